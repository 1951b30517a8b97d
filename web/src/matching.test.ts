import assert from 'node:assert/strict';
import { test } from 'node:test';

import { matching } from './matching.ts';

const entries = [
  { name: 'Reset the terminal', detail: '' },
  { name: 'the build', detail: 'dev@web1, opened 2 hours ago' },
  { name: 'dev@web1', detail: 'a new shell' },
  { name: 'alice@alice-box', detail: 'a new shell' },
  { name: 'Über uns', detail: '' },
];
const names = (text: string) => matching(text, entries).map(({ name }) => name);

test('nothing typed leaves everything as it was', () => {
  assert.deepEqual(names(''), entries.map(({ name }) => name));
  assert.deepEqual(names('  '), entries.map(({ name }) => name));
});

test('all words count, wherever they are', () => {
  assert.deepEqual(names('new box'), ['alice@alice-box']);
  assert.deepEqual(names('WEB1 build'), ['the build']);
  assert.deepEqual(names('build nothing'), []);
});

test('a name that begins so comes first, then a word in it', () => {
  assert.deepEqual(names('dev'), ['dev@web1', 'the build']);
  assert.deepEqual(names('box'), ['alice@alice-box']);
  assert.deepEqual(names('te'), ['Reset the terminal']);
  assert.deepEqual(names('the'), ['the build', 'Reset the terminal']);
});

test('accents need not be typed', () => {
  assert.deepEqual(names('uber'), ['Über uns']);
});
