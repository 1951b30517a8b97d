import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { labelOf } from './label.ts';

test('what is left of a name is what the server takes', () => {
  assert.equal(labelOf(' the\tbuild '), 'thebuild');
  assert.equal(labelOf(' vim \u0007notes\u202e '), 'vim notes');
  assert.equal(labelOf('abc\u202edef \u200b'), 'abcdef');
  assert.equal(labelOf('half \ud83d'), 'half');
  // A family is one character to the user, and several joined characters in the code.
  assert.equal(labelOf('👩‍👧'), '👩👧');
  assert.equal(labelOf('\u001b\u200b '), undefined);
  assert.equal(labelOf(''), undefined);
});

test('a long name is cut at a whole character', () => {
  assert.equal(labelOf('é'.repeat(100)), 'é'.repeat(60));
  assert.equal(labelOf(`x${'👩'.repeat(40)}`), `x${'👩'.repeat(29)}`);
});

test('the rule is that of the server', () => {
  const rust = readFileSync('../src/names/label.rs', 'utf8');
  assert.match(rust, /LABEL_MAX: usize = 120/);
  assert.ok(rust.includes("'\\u{200b}'..='\\u{200f}' | '\\u{2028}'..='\\u{202e}' | '\\u{2060}'..='\\u{206f}' | '\\u{feff}'"));
});
