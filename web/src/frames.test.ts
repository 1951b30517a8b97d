import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_BYTES_MAX, SENT_AT_UNKNOWN, frames, latin1Bytes, readFrame, textBytes } from './frames.ts';

test('a frame begins with its stream, its kind and its time, big-endian', () => {
  assert.deepEqual(frames(0x0102, 0x03040506, textBytes('é')), [Uint8Array.of(1, 2, 1, 3, 4, 5, 6, 0xc3, 0xa9)]);
});

test('nothing typed is no frame', () => {
  assert.deepEqual(frames(1, 0, new Uint8Array()), []);
});

test('a long paste is cut into frames within the bound, and none of it is lost', () => {
  for (const length of [FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1, 3 * FRAME_BYTES_MAX + 7]) {
    const bytes = Uint8Array.from({ length }, (_, at) => at % 251);
    const made = frames(65535, SENT_AT_UNKNOWN, bytes);
    assert.ok(made.every((frame) => frame.length <= FRAME_BYTES_MAX + 7));
    const back = made.flatMap((frame) => [...frame.subarray(7)]);
    assert.deepEqual(Uint8Array.from(back), bytes);
    assert.equal(made.length, Math.ceil(length / FRAME_BYTES_MAX));
  }
});

test('a frame without a whole header, or of another kind, is no frame', () => {
  assert.equal(readFrame(new ArrayBuffer(0)), undefined);
  assert.equal(readFrame(Uint8Array.of(1, 2).buffer), undefined);
  assert.equal(readFrame(Uint8Array.of(1, 2, 9, 65).buffer), undefined);
  assert.deepEqual(readFrame(Uint8Array.of(1, 2, 1).buffer), { stream: 258, bytes: new Uint8Array() });
  assert.deepEqual(readFrame(Uint8Array.of(1, 2, 1, 65).buffer)?.bytes, Uint8Array.of(65));
});

test('an old mouse report is one byte a character', () => {
  assert.deepEqual(latin1Bytes('\x1b[M \xff\x80'), Uint8Array.of(0x1b, 0x5b, 0x4d, 0x20, 0xff, 0x80));
});
