import assert from 'node:assert/strict';
import { test } from 'node:test';

import { otherRole, shareText } from './mayshare.ts';

test('the keyboard is offered where the policy lets it be handed over, and taken back anywhere', () => {
  assert.equal(otherRole('watcher', 'writer'), 'writer');
  assert.equal(otherRole('watcher', 'watcher'), null);
  assert.equal(otherRole('watcher', null), null);
  for (const shareable of ['writer', 'watcher', null] as const) assert.equal(otherRole('writer', shareable), 'watcher');
});

test('the owner is told whether guests may type', () => {
  for (const isShared of [true, false]) {
    assert.match(shareText('watcher', isShared), /[Nn]obody but you may type/);
    assert.doesNotMatch(shareText('writer', isShared), /[Nn]obody but you may type/);
  }
});
