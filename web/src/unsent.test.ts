import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Unsent } from './unsent.ts';

test('keys are counted, pastes measured, and nothing is no word', () => {
  const unsent = new Unsent();
  assert.equal(unsent.words, '');
  unsent.add(Uint8Array.of(97));
  assert.equal(unsent.words, 'Not sent: 1 keystroke.');
  unsent.add(new Uint8Array(6));
  assert.equal(unsent.words, 'Not sent: 2 keystrokes.');
  unsent.add(new Uint8Array(1493));
  assert.equal(unsent.words, 'Not sent: 1.5 kB.');
  unsent.clear();
  assert.equal(unsent.words, '');
});
