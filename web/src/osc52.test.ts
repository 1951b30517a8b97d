import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COPY_MAX, copyOf } from './osc52.ts';

const encoded = (text: string) => Buffer.from(text).toString('base64');

test('a text is copied whole', () => {
  for (const text of ['x', 'two\nlines', 'Grüße, 世界 👋', 'a'.repeat(COPY_MAX)]) {
    for (const selections of ['c', '', 'p', 's0', 'pc']) {
      assert.deepEqual(copyOf(`${selections};${encoded(text)}`), { text });
    }
  }
});

test('what asks for the clipboard, empties it or is no text copies nothing', () => {
  for (const data of ['c;?', 'c;', ';', '', 'c', 'x;eA==', 'c;eA', 'c;e', 'c;****', 'c;eA==\u0000', 'c; eA==']) {
    const copy = copyOf(data);
    // atob() takes a text without its padding.
    assert.ok(copy === undefined || data === 'c;eA', `${data}: ${JSON.stringify(copy)}`);
  }
});

test('bytes that are no text do no harm, and a text that is too long is said to be', () => {
  assert.deepEqual(copyOf(`c;${Buffer.from([0xff, 0x41]).toString('base64')}`), { text: '\ufffdA' });
  assert.equal(copyOf(`c;${encoded('a'.repeat(COPY_MAX + 3))}`), 'too long');
});
