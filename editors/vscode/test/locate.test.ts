import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Places, expanded, findServer, installCommand } from '../src/locate';

function places(programs: readonly string[], more: Partial<Places> = {}): Places {
  return {
    setting: [],
    environments: [],
    path: '/usr/bin:/bin',
    home: '/home/ada',
    platform: 'linux',
    isProgram: (path) => programs.includes(path),
    ...more,
  };
}

const EVERYWHERE = ['/env/bin/dgemma-lsp', '/usr/bin/dgemma-lsp', '/home/ada/.local/bin/dgemma-lsp', '/set/dgemma-lsp'];

const ORDER: readonly (readonly [string, string, Partial<Places>])[] = [
  ['the setting first', '/set/dgemma-lsp', { setting: ['/set/dgemma-lsp'], environments: ['/env'] }],
  ['then the selected environment, by its folder', '/env/bin/dgemma-lsp', { environments: ['/env'] }],
  ['or by its interpreter', '/env/bin/dgemma-lsp', { environments: ['/env/bin/python3.12'] }],
  ['then the PATH', '/usr/bin/dgemma-lsp', { environments: ['/other'] }],
  ['then where pipx and uv put programs', '/home/ada/.local/bin/dgemma-lsp', { path: '/bin' }],
];

for (const [name, program, more] of ORDER) {
  test(`the server is looked for in an order: ${name}`, () => {
    assert.deepEqual(findServer(places(EVERYWHERE, more)).found?.command, [program]);
  });
}

test('what the setting names is never replaced by another server', () => {
  const search = findServer(places(EVERYWHERE, { setting: ['/none/dgemma-lsp'] }));
  assert.equal(search.found, undefined);
  assert.deepEqual(search.looked, ['/none/dgemma-lsp (the setting dgemma.server.command)']);
});

test('a bare name in the setting is looked up on the PATH, and keeps its arguments', () => {
  const search = findServer(places(EVERYWHERE, { setting: ['dgemma-lsp', '--device', 'cuda'] }));
  assert.deepEqual(search.found?.command, ['/usr/bin/dgemma-lsp', '--device', 'cuda']);
});

test('a relative entry of the PATH is not looked into: it would be a folder of the project', () => {
  const isProgram = (path: string): boolean => path === 'bin/dgemma-lsp' || path === '/home/ada/.local/bin/dgemma-lsp';
  const search = findServer(places([], { path: 'bin:.', isProgram }));
  assert.deepEqual(search.found?.command, ['/home/ada/.local/bin/dgemma-lsp']);
});

test('where it was looked for is told in words', () => {
  const { looked } = findServer(places([], { environments: ['/env'] }));
  assert.deepEqual(looked, [
    '/env/bin/dgemma-lsp (the selected Python environment)',
    '/usr/bin/dgemma-lsp (the PATH)',
    '/bin/dgemma-lsp (the PATH)',
    '/home/ada/.local/bin/dgemma-lsp (programs of pipx and uv)',
  ]);
});

test('it is installed with what there is', () => {
  assert.equal(installCommand(places(['/usr/bin/uv'])), 'uv tool install dgemma-lsp');
  assert.equal(installCommand(places(['/usr/bin/uv', '/usr/bin/pipx'])), 'pipx install dgemma-lsp');
  assert.equal(installCommand(places([])), 'pipx install dgemma-lsp');
});

test('variables of the setting are replaced', () => {
  const words = ['~/bin/x', '${workspaceFolder}/.venv/bin/dgemma-lsp', '--model=${env:MODELS}/small', '${env:NONE}', 'a~b'];
  assert.deepEqual(expanded(words, '/home/ada', '/project', { MODELS: '/models' }), [
    '/home/ada/bin/x', '/project/.venv/bin/dgemma-lsp', '--model=/models/small', '', 'a~b',
  ]);
});
