import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Clock } from './clock.test-kit.ts';
import { Typing } from './typing.ts';

let clock = new Clock();
let sent: number[][] = [];
let typing = new Typing(() => {});

beforeEach(() => {
  clock = new Clock();
  clock.install();
  sent = [];
  typing = new Typing((bytes) => sent.push([...bytes]));
});

const paste = (length: number) => Uint8Array.from({ length }, (_, at) => at % 251);

test('a key goes out at once', () => {
  typing.type(Uint8Array.of(97));
  typing.type(Uint8Array.of(98));
  assert.deepEqual(sent, [[97], [98]]);
});

test('a long paste goes out in steps, whole and in order, and what is typed after it after it', () => {
  const bytes = paste(100_000);
  typing.type(bytes);
  typing.type(Uint8Array.of(13));
  assert.equal(sent.flat().length, 16_384);
  clock.tick(40);
  assert.equal(sent.flat().length, 3 * 16_384);
  clock.tick(10_000);
  assert.deepEqual(sent.flat(), [...bytes, 13]);
  typing.type(Uint8Array.of(97));
  assert.deepEqual(sent.at(-1), [97]);
});

test('Ctrl-C ends a paste', () => {
  typing.type(paste(100_000));
  typing.type(Uint8Array.of(3));
  clock.tick(10_000);
  assert.deepEqual(sent.slice(1), [[3]]);
});

test('a paste that is dropped does not go on', () => {
  typing.type(paste(100_000));
  typing.drop();
  clock.tick(10_000);
  assert.equal(sent.flat().length, 16_384);
});
