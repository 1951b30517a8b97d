import assert from 'node:assert/strict';
import { test } from 'node:test';

import { reasonOf, reasonTrouble } from './touch.ts';

test('a reason is one line without odd characters', () => {
  assert.equal(reasonOf('  disk\tfull\n'), 'disk full');
  assert.equal(reasonOf('a\u202eb'), 'a b');
  assert.equal(reasonOf(' \n '), null);
});

test('a reason that is required must be there, and none is too long', () => {
  assert.equal(reasonTrouble('', false), '');
  assert.notEqual(reasonTrouble(' ', true), '');
  assert.equal(reasonTrouble('x'.repeat(300), true), '');
  assert.notEqual(reasonTrouble('é'.repeat(151), false), '');
});
