import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Change, changed, followed, rebased, regionsAfter } from '../src/regions';

const TEXT = 'one two three';
const FILLS: readonly Change[] = [
  { start: 0, end: 3, text: '1' },
  { start: 8, end: 13, text: 'III III' },
];

test('all changes are made, and nothing between them', () => {
  assert.equal(changed(TEXT, FILLS), '1 two III III');
});

test('the regions of the new text hold the new texts', () => {
  const text = changed(TEXT, FILLS);
  assert.deepEqual(regionsAfter(FILLS).map(({ start, end }) => text.slice(start, end)), ['1', 'III III']);
});

test('an empty change inserts', () => {
  assert.equal(changed('ab', [{ start: 1, end: 1, text: '-' }]), 'a-b');
});

const ELSEWHERE: Readonly<Record<string, Change>> = {
  'between them': { start: 4, end: 7, text: 'deux' },
  'an insertion right before the first': { start: 0, end: 0, text: '# ' },
  'an insertion right behind the last': { start: 13, end: 13, text: '!' },
  'a deletion between them': { start: 3, end: 8, text: '' },
};

for (const [where, made] of Object.entries(ELSEWHERE)) {
  test(`changes survive typing elsewhere: ${where}`, () => {
    const moved = rebased(FILLS, made);
    assert.ok(moved);
    assert.equal(changed(changed(TEXT, [made]), moved), changed(TEXT, [made, ...FILLS].sort((a, b) => a.start - b.start)));
  });
}

const ACROSS: Readonly<Record<string, Change>> = {
  'in it': { start: 1, end: 2, text: 'x' },
  'over its border': { start: 7, end: 9, text: '' },
  'over all of it': { start: 0, end: 13, text: '' },
};

for (const [where, made] of Object.entries(ACROSS)) {
  test(`changes of a text that is another one now are dropped: ${where}`, () => {
    assert.equal(rebased(FILLS, made), undefined);
  });
}

test('a region grows and shrinks with what is typed in it', () => {
  assert.deepEqual(followed({ start: 4, end: 7 }, { start: 5, end: 6, text: 'abc' }), { start: 4, end: 9 });
  assert.deepEqual(followed({ start: 4, end: 7 }, { start: 7, end: 7, text: '!' }), { start: 4, end: 8 });
});

test('a region moves with what is typed before it, and is lost when its border is gone', () => {
  assert.deepEqual(followed({ start: 4, end: 7 }, { start: 0, end: 1, text: '' }), { start: 3, end: 6 });
  assert.equal(followed({ start: 4, end: 7 }, { start: 3, end: 5, text: '' }), undefined);
});
