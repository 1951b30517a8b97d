import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, amount, counted, windowTitle } from './words.ts';

const target = { machine: 'web1', user: 'dev' };

test('an age is said in its largest unit', () => {
  const said = (seconds: number) => ago(1000, (1000 + seconds) * 1000);
  assert.equal(said(-5), 'just now');
  assert.equal(said(59), 'just now');
  assert.equal(said(60), '1 minute ago');
  assert.equal(said(7199), '1 hour ago');
  assert.equal(said(86_400 * 10), '10 days ago');
});

test('an amount is said as people say it', () => {
  assert.equal(amount(1), '1 byte');
  assert.equal(amount(999), '999 bytes');
  assert.equal(amount(1500), '1.5 kB');
  assert.equal(amount(2_345_678), '2.3 MB');
  assert.equal(counted(0, 'keystroke'), '0 keystrokes');
});

test("the window has the program's title, or the target's name", () => {
  assert.equal(windowTitle('vim', target), 'vim · tere');
  assert.equal(windowTitle('', target), 'dev@web1 · tere');
  assert.equal(windowTitle(' \u202e\x07 ', target), 'dev@web1 · tere');
  assert.equal(windowTitle('', undefined), 'tere');
  assert.equal(windowTitle('vim', target, 'lost'), 'lost · vim · tere');
  assert.equal(windowTitle('a\u202eb', target), 'ab · tere');
  assert.equal(windowTitle('x'.repeat(500), target), `${'x'.repeat(120)} · tere`);
});
