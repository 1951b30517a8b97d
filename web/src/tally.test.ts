import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Tally } from './tally.ts';

test('keys are counted, pastes measured, and nothing is no word', () => {
  const tally = new Tally();
  assert.equal(tally.words, '');
  tally.add(Uint8Array.of(97));
  assert.equal(tally.words, '1 keystroke');
  tally.add(new Uint8Array(6));
  assert.equal(tally.words, '2 keystrokes');
  tally.add(new Uint8Array(1493));
  assert.equal(tally.words, '1.5 kB');
  tally.clear();
  assert.equal(tally.words, '');
});
