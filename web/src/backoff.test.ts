import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from './backoff.ts';

test('the wait doubles up to half a minute', () => {
  const waits = Array.from({ length: 9 }, (_, tries) => backoff(tries, 0));
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(backoff(1e6, 0), 30_000);
});

test('chance takes away at most half', () => {
  assert.equal(backoff(3, 1), 2000);
  assert.equal(backoff(3, 0.5), 3000);
});
