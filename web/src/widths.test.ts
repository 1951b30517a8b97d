import assert from 'node:assert/strict';
import { test } from 'node:test';

import { widths } from './widths.ts';

test('characters are as wide as the worker counts them', () => {
  for (const [text, width] of [
    ['a', 1], ['é', 1], ['日', 2], ['ｆ', 2], ['🙂', 2], ['\u0301', 0], ['\u200d', 0], ['\ufe0f', 0], ['❤', 1], ['─', 1], ['\u00ad', 0],
  ] as const) {
    assert.equal(widths.wcwidth(text.codePointAt(0) ?? 0), width, JSON.stringify(text));
  }
});
