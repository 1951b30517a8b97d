import assert from 'node:assert/strict';
import { test } from 'node:test';

import { reasonOf, reasonTrouble, touchText, touchTitle } from './touch.ts';

test('a reason is one line without odd characters', () => {
  assert.equal(reasonOf('  disk\tfull\n'), 'disk full');
  assert.equal(reasonOf('a\u202eb'), 'a b');
  assert.equal(reasonOf(' \n '), null);
});

test('a reason that is required must be there, and none is too long', () => {
  assert.equal(reasonTrouble('', false), '');
  assert.notEqual(reasonTrouble(' ', true), '');
  assert.equal(reasonTrouble('x'.repeat(300), true), '');
  assert.notEqual(reasonTrouble('é'.repeat(151), false), '');
});

test('the question names the target, and says who demands what', () => {
  const [vault, host] = [{ user: 'dev', machine: 'vault' }, { user: 'ops', machine: '.host' }];
  const terms = { touch: true, reason: false, limit: null };
  assert.equal(touchTitle(vault, true), 'Open a shell as dev@vault?');
  assert.equal(touchTitle(host, true), 'Open a shell on the host, as ops?');
  assert.equal(touchText(vault, true, terms), 'The policy of this host demands your passkey once more for each shell there. The journal records it.');
  assert.equal(
    touchText(vault, true, { touch: true, reason: true, limit: 1800 }),
    'The policy of this host demands your passkey once more and a reason in words for each shell there, and the session ends after 30 minutes. The journal records it.',
  );
  assert.match(touchText(vault, true, { touch: false, reason: true, limit: null }), /demands a reason in words for each shell/);
  assert.match(touchText(vault, false, terms), /demands your passkey for each view of this session/);
  for (const isNew of [true, false]) {
    assert.match(touchText(host, isNew, terms), /the host itself/);
    assert.doesNotMatch(touchText(vault, isNew, terms), /the host itself/);
  }
});
