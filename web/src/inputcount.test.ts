import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InputCount } from './inputcount.ts';

test('keys are counted, pastes measured, and nothing is no word', () => {
  const count = new InputCount();
  assert.equal(count.words, '');
  count.add(Uint8Array.of(97));
  assert.equal(count.words, '1 keystroke');
  count.add(new Uint8Array(6));
  assert.equal(count.words, '2 keystrokes');
  count.add(new Uint8Array(1493));
  assert.equal(count.words, '1.5 kB');
  count.clear();
  assert.equal(count.words, '');
});
