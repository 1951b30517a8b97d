import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Feed } from './feed.ts';

const SIZE = { cols: 80, rows: 24 };

function feed(): { feed: Feed; seen: string[]; told: number[] } {
  const seen: string[] = [];
  const told: number[] = [];
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const screen = {
    write: (bytes: Uint8Array) => void seen.push(`+${text(bytes)}`),
    show: (_size: unknown, bytes: Uint8Array, extent: string) => void seen.push(`${extent}:${text(bytes)}`),
  };
  return { feed: new Feed(screen, (bytes) => void told.push(bytes)), seen, told };
}

const bytes = (text: string) => new TextEncoder().encode(text);

test('a snapshot is shown whole, and what follows it after it', () => {
  const { feed: one, seen } = feed();
  one.begin(SIZE, 5, 'whole');
  one.take(bytes('ab'));
  assert.deepEqual(seen, []);
  one.take(bytes('cdefg'));
  assert.deepEqual(seen, ['whole:abcde', '+fg']);
  one.begin(SIZE, 0, 'screen');
  assert.deepEqual(seen, ['whole:abcde', '+fg', 'screen:']);
  one.end();
});

test('a snapshot that begins before the last is complete replaces it', () => {
  const { feed: one, seen } = feed();
  one.begin(SIZE, 5, 'whole');
  one.take(bytes('ab'));
  one.begin(SIZE, 2, 'screen');
  one.take(bytes('xyz'));
  assert.deepEqual(seen, ['screen:xy', '+z']);
  one.end();
});

test('what was shown is told soon, much of it at once, and none twice', async () => {
  const { feed: one, told } = feed();
  one.take(new Uint8Array(5000));
  assert.deepEqual(told, [5000]);
  one.take(new Uint8Array(3));
  one.take(new Uint8Array(4));
  assert.deepEqual(told, [5000]);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(told, [5000, 7]);
  one.take(new Uint8Array(1));
  one.end();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(told, [5000, 7]);
});
