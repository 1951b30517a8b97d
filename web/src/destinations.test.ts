import assert from 'node:assert/strict';
import { test } from 'node:test';

import { destinations } from './destinations.ts';
import type { Lobby } from './lobby.ts';
import type { SessionSummary } from './protocol.ts';

const terms = { touch: false, reason: false, limit: null };
const target = { user: 'dev', machine: 'web1' };
const session = (id: string, more: Partial<SessionSummary>): SessionSummary => ({
  id, target, opened: 1000, owner: 'alice', role: 'owner', viewing: [], name: null, about: null, left: null, touch: false, exec: false, ...more,
});
const about = (title: string, idle: number) => ({ title, size: { cols: 80, rows: 24 }, idle, viewers: 0, alert: null });

test('shells come by their last use, without the one in view and without commands', () => {
  const went: string[] = [];
  const lobby: Lobby = {
    targets: [{ target, terms }, { target: { user: 'ops', machine: '.host' }, terms: { ...terms, touch: true } }],
    sessions: [
      session('older', {}),
      session('newer', { opened: 1200 }),
      session('used', { about: about('vim \u202e\u0007notes', 60) }),
      session('viewed', { about: about('', 0) }),
      session('command', { exec: true }),
      session('shared', { name: 'the plan', owner: 'carol', role: 'watcher', about: about('x', 30) }),
    ],
    machines: [
      { machine: 'alice-box', task: false, expires: null, outdated: false, checkpoints: [], allow: ['rebuild'] },
      { machine: 'fixed', task: false, expires: null, outdated: false, checkpoints: [], allow: [] },
    ],
    tasks: [{ user: 'dev', before: 'alice.', after: '', terms }],
  } as Lobby;
  const entries = destinations(
    lobby,
    'viewed',
    { open: (one) => went.push(`open ${one.machine}`), attach: ({ id }) => went.push(`attach ${id}`), press: (key) => went.push(`press ${key}`) },
    1_300_000,
  );
  assert.deepEqual(
    entries.map(({ group, name, detail }) => [group, name, detail]),
    [
      ['Running', 'the plan', 'dev@web1, of carol, active just now'],
      ['Running', 'vim notes', 'dev@web1, active 1 minute ago'],
      ['Running', 'dev@web1', 'opened 1 minute ago'],
      ['Running', 'dev@web1', 'opened 5 minutes ago'],
      ['New shell', 'dev@web1', ''],
      ['New shell', 'ops@.host', 'the host itself, with your passkey once more'],
      ['Machines', 'New machine for a task…', 'dev@alice.'],
      ['Machines', 'alice-box', 'copy it, keep it as it is, or make it anew'],
    ],
  );
  assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length);
  assert.deepEqual(entries.filter(({ onHost }) => onHost).map(({ name }) => name), ['ops@.host']);
  for (const entry of entries) entry.run();
  assert.deepEqual(went.slice(2), ['attach newer', 'attach older', 'open web1', 'open .host', 'press new dev alice.', 'press machine alice-box']);
});
