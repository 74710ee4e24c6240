// Where the language server is. Knows nothing of VS Code: a test says what is installed.

import { isAbsolute, join, normalize } from 'node:path';

export const PROGRAM = 'dgemma-lsp';

/** What there is to look through. */
export interface Places {
  /** The setting dgemma.server.command, with its variables replaced; empty when it is not set. */
  readonly setting: readonly string[];
  /** Folders of Python environments or their interpreters, the selected one first. */
  readonly environments: readonly string[];
  /** The environment variable PATH. */
  readonly path: string;
  /** The user's home. */
  readonly home: string;
  readonly platform: NodeJS.Platform;
  /** Whether there is a program of this name. */
  readonly isProgram: (path: string) => boolean;
}

export interface Found {
  readonly command: readonly [string, ...string[]];
  /** In words, for the doctor. */
  readonly origin: string;
}

/** What was found, and where it was looked for, in words. */
export interface Search {
  readonly found?: Found;
  readonly looked: readonly string[];
}

export function findServer(places: Places): Search {
  const [program, ...options] = places.setting;
  // Who names a command wants that one: another one would be a surprise.
  if (program !== undefined) return searchSetting(places, program, options);
  const looked: string[] = [];
  for (const [origin, candidate] of candidates(places)) {
    looked.push(`${candidate} (${origin})`);
    if (places.isProgram(candidate)) return { found: { command: [candidate], origin }, looked };
  }
  return { looked };
}

function searchSetting(places: Places, program: string, options: readonly string[]): Search {
  const origin = 'the setting dgemma.server.command';
  const looked = [`${program} (${origin})`];
  const path = program.includes('/') || program.includes('\\')
    ? [program]
    : folders(places).map((folder) => join(folder, executable(places, program)));
  const found = path.find(places.isProgram);
  return found === undefined ? { looked } : { found: { command: [found, ...options], origin }, looked };
}

function* candidates(places: Places): Generator<[origin: string, path: string]> {
  for (const environment of places.environments) {
    for (const folder of scripts(environment, places.platform)) {
      yield ['the selected Python environment', join(folder, executable(places, PROGRAM))];
    }
  }
  for (const folder of folders(places)) yield ['the PATH', join(folder, executable(places, PROGRAM))];
  // Where pipx and uv put programs; an editor that was not started from a shell often lacks it in its PATH.
  yield ['programs of pipx and uv', join(places.home, '.local', 'bin', executable(places, PROGRAM))];
}

/** Where an environment keeps its programs; it may be named by its folder or by its interpreter. */
function scripts(environment: string, platform: NodeJS.Platform): string[] {
  const inner = platform === 'win32' ? 'Scripts' : 'bin';
  return /python[\d.]*(\.exe)?$/i.test(environment) && !/[\\/]\.?venv[\\/]?$/.test(environment)
    ? [normalize(join(environment, '..')), join(environment, inner)]
    : [join(environment, inner)];
}

function folders(places: Places): string[] {
  // A relative entry would lead into whatever folder is open.
  return places.path.split(places.platform === 'win32' ? ';' : ':').filter((folder) => isAbsolute(folder));
}

function executable(places: Places, name: string): string {
  return places.platform === 'win32' && !/\.\w+$/.test(name) ? `${name}.exe` : name;
}

/** How to install the server with what there is; with pipx when there is nothing. */
export function installCommand(places: Pick<Places, 'path' | 'home' | 'platform' | 'isProgram'>): string {
  const all = { ...places, setting: [], environments: [] };
  const where = [...folders(all), join(places.home, '.local', 'bin')];
  const has = (name: string): boolean => where.some((folder) => places.isProgram(join(folder, executable(all, name))));
  return has('uv') && !has('pipx') ? `uv tool install ${PROGRAM}` : `pipx install ${PROGRAM}`;
}

/** The setting with ~, ${workspaceFolder}, ${userHome} and ${env:NAME} replaced. */
export function expanded(
  words: readonly string[],
  home: string,
  workspace: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  return words.map((word) =>
    word
      .replace(/^~(?=$|[\\/])/, home)
      .replaceAll('${userHome}', home)
      .replaceAll('${workspaceFolder}', workspace ?? '')
      .replaceAll(/\$\{env:(\w+)\}/g, (_, name: string) => environment[name] ?? ''),
  );
}
