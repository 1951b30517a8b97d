import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Clock } from './clock.test-kit.ts';
import { InputQueue, type InputSink } from './inputqueue.ts';

let clock = new Clock();
let sent: number[][] = [];
let dropped: number[] = [];
let isBehind = false;
const line: InputSink = {
  send: (bytes) => sent.push([...bytes]),
  isBehind: () => isBehind,
  dropped: (bytes) => dropped.push(bytes),
};
let queue = new InputQueue(line);

beforeEach(() => {
  clock = new Clock();
  clock.install();
  sent = [];
  dropped = [];
  isBehind = false;
  queue = new InputQueue(line);
});

const text = (bytes: number[]) => String.fromCharCode(...bytes);
const bracketed = (length: number) => new TextEncoder().encode(`\x1b[200~${'x'.repeat(length)}\x1b[201~`);
const paste = (length: number) => Uint8Array.from({ length }, (_, at) => at % 251);

test('a key goes out at once', () => {
  queue.type(Uint8Array.of(97));
  queue.type(Uint8Array.of(98));
  assert.deepEqual(sent, [[97], [98]]);
});

test('a long paste goes out in steps, whole and in order, and what is typed after it after it', () => {
  const bytes = paste(100_000);
  queue.type(bytes);
  queue.type(Uint8Array.of(13));
  assert.equal(sent.flat().length, 16_384);
  clock.tick(40);
  assert.equal(sent.flat().length, 3 * 16_384);
  clock.tick(10_000);
  assert.deepEqual(sent.flat(), [...bytes, 13]);
  queue.type(Uint8Array.of(97));
  assert.deepEqual(sent.at(-1), [97]);
});

test('Ctrl-C ends a paste', () => {
  queue.type(paste(100_000));
  queue.type(Uint8Array.of(3));
  clock.tick(10_000);
  assert.deepEqual(sent.slice(1), [[3]]);
  assert.deepEqual(dropped, [100_000 - 16_384]);
});

test('Ctrl-C in a paste that is in brackets closes them first', () => {
  queue.type(bracketed(100_000));
  queue.type(Uint8Array.of(3));
  clock.tick(10_000);
  assert.deepEqual(sent.slice(1).map(text), ['\x1b[201~', '\x03']);
  assert.deepEqual(dropped, [100_012 - 16_384]);
  queue.type(Uint8Array.of(3));
  assert.deepEqual(sent.slice(3).map(text), ['\x03'], 'they are closed');
});

test('the end of a long paste goes out by itself, whole and last', () => {
  // With the second length, the step before has room for only a part of the end marker.
  for (const length of [100_000, 2 * 16_384 - 6 - 3]) {
    sent = [];
    queue.type(bracketed(length));
    clock.tick(10_000);
    assert.equal(text(sent.flat()), text([...bracketed(length)]));
    assert.equal(text(sent.at(-1) ?? []), '\x1b[201~');
  }
  queue.type(Uint8Array.of(3));
  assert.deepEqual(sent.at(-1), [3]);
  assert.deepEqual(dropped, []);
});

test('what the network does not take waits, in order, and beyond a bound is not sent', () => {
  isBehind = true;
  queue.type(Uint8Array.of(97));
  queue.type(paste(100_000));
  clock.tick(10_000);
  assert.deepEqual(sent, []);
  queue.type(paste(4 * 1024 * 1024));
  assert.deepEqual(dropped, [4 * 1024 * 1024]);
  isBehind = false;
  clock.tick(10_000);
  assert.deepEqual(sent.flat(), [97, ...paste(100_000)]);
});

test('a paste that is dropped does not go on', () => {
  queue.type(paste(100_000));
  queue.drop();
  clock.tick(10_000);
  assert.equal(sent.flat().length, 16_384);
});
