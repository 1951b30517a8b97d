import assert from 'node:assert/strict';
import { test } from 'node:test';

import { placeOf, targetOf } from './place.ts';

const terms = { touch: false, reason: false, limit: null };
const targets = [
  { target: { user: 'dev', machine: 'alice-box' }, terms },
  { target: { user: 'root', machine: '.host' }, terms: { ...terms, touch: true } },
  { target: { user: 'dev', machine: 'vault' }, terms: { ...terms, touch: true } },
];

test('a link names a target or a session, and nothing else', () => {
  assert.deepEqual(placeOf('#open=dev@alice-box'), { target: 'dev@alice-box' });
  assert.deepEqual(placeOf('#session=abcdefghijkl'), { session: 'abcdefghijkl' });
  for (const other of ['', '#', '#run=id', '#open', 'open=dev@alice-box', '#enrol=abc']) assert.equal(placeOf(other), undefined, other);
});

test('a link leads only to what the account may open, and never to what takes a touch', () => {
  assert.equal(targetOf({ target: 'dev@alice-box' }, targets), targets[0]?.target);
  for (const target of ['dev@bob-box', 'root@alice-box', 'root@.host', 'dev@vault', '', '@', 'dev@alice-box;id']) {
    assert.equal(targetOf({ target }, targets), undefined, target);
  }
  assert.equal(targetOf({ session: 'dev@alice-box' }, targets), undefined);
});
