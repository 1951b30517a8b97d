import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webAddress } from './links.ts';

test('a link leads to the web or nowhere', () => {
  assert.equal(webAddress('https://example.org/a?b#c'), 'https://example.org/a?b#c');
  assert.equal(webAddress('HTTP://example.org'), 'http://example.org/');
  for (const address of [
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ssh://host',
    'blob:https://example.org/x',
    '/relative',
    '',
  ]) {
    assert.equal(webAddress(address), undefined, address);
  }
});
