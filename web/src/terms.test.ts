import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { SessionSummary } from './protocol.ts';
import { termsOf } from './terms.ts';

const target = (name: string) => ({ user: name.split('@')[0] ?? '', machine: name.split('@')[1] ?? '' });
const none = { touch: false, reason: false, limit: null };
const all = { touch: true, reason: true, limit: 600 };
const session = (id: string, name: string, touch: boolean): SessionSummary => ({
  id,
  target: target(name),
  opened: 0,
  left: null,
  touch,
  owner: 'carol',
  role: 'watcher',
  name: null,
  viewing: [],
  about: null,
  exec: false,
});
const known = {
  targets: [
    { target: target('dev@box'), terms: none },
    { target: target('dev@vault'), terms: all },
  ],
  sessions: [session('aaaaaaaaaaaa', 'dev@box', true), session('bbbbbbbbbbbb', 'dev@other', true)],
  tasks: [{ user: 'dev', before: 'alice.', after: '', terms: { ...none, touch: true } }],
};

test('a new session takes what its grant demands', () => {
  assert.deepEqual(termsOf(known, target('dev@box'), undefined), none);
  assert.deepEqual(termsOf(known, target('dev@vault'), undefined), all);
  assert.deepEqual(termsOf(known, target('dev@alice.try'), undefined), { ...none, touch: true });
  assert.deepEqual(termsOf(known, target('root@alice.try'), undefined), none);
});

test('a view takes what its session demands, and no reason', () => {
  assert.equal(termsOf(known, target('dev@box'), 'aaaaaaaaaaaa').touch, true);
  assert.equal(termsOf(known, target('dev@other'), 'bbbbbbbbbbbb').touch, true, 'a guest has no grant');
  assert.deepEqual(termsOf(known, target('dev@vault'), 'cccccccccccc'), { ...none, touch: true }, 'opened since the list came');
});

test('the host itself takes a touch, whatever is known', () => {
  for (const id of [undefined, 'aaaaaaaaaaaa']) assert.equal(termsOf(known, target('root@.host'), id).touch, true);
});
