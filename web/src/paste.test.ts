import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lines, longLine, pasteable } from './paste.ts';

test('a paste cannot end its own brackets', () => {
  assert.equal(pasteable('safe\x1b[201~rm -rf /\r'), 'safe[201~rm -rf /\r');
  assert.equal(pasteable('safe\x9b201~x'), 'safe201~x');
});

test('lines, tabs and letters stay', () => {
  const text = 'one\r\n\ttwo\nthree é 你好 👩‍💻';
  assert.equal(pasteable(text), text);
});

test('no other control character stays', () => {
  assert.equal(pasteable('a\x00\x03\x04\x08\x7f\x85b'), 'ab');
});

test('lines are counted as people do', () => {
  assert.equal(lines('one'), 1);
  assert.equal(lines('one\n'), 1);
  assert.equal(lines('one\r\ntwo\r\n'), 2);
  assert.equal(lines('one\rtwo\n\nfour'), 4);
});

test('a line that the kernel would cut short is found, in bytes', () => {
  assert.equal(longLine('a'.repeat(4095)), 0);
  assert.equal(longLine('short\n' + 'a'.repeat(4096) + '\nshort'), 4096);
  assert.equal(longLine('é'.repeat(2048)), 4096);
  assert.equal(longLine('a\n'.repeat(10_000)), 0);
});
