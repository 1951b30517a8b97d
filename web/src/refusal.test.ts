import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Refusal } from './protocol.ts';
import { endSentence, endSentences, refusalSentence, refusalSentences } from './refusal.ts';

const rust = readFileSync('../src/protocol/refusal.rs', 'utf8');

/** The arms of `Refusal::sentence`, by their names in the protocol. */
function rustSentences(): Record<string, string> {
  const arms = rust.matchAll(/Self::(\w+) =>\s*\{?\s*"([^"]*)"/g);
  const kebab = (name: string) => name.replace(/(?!^)[A-Z]/g, '-$&').toLowerCase();
  return Object.fromEntries([...arms].map(([, name, sentence]) => [kebab(name ?? ''), sentence ?? '']));
}

test('the page and the command line say the same of a refusal', () => {
  assert.ok(Object.keys(refusalSentences).length > 10);
  assert.deepEqual(rustSentences(), { ...refusalSentences });
});

test('a refusal from a newer server still is a sentence', () => {
  assert.match(refusalSentence('made-up' as Refusal), /made-up/);
});

test('each end is a sentence', () => {
  for (const sentence of Object.values(endSentences)) assert.match(sentence, /^[A-Z].*\.$/);
});

test('a shell that failed says how, and one that succeeded only that it has ended', () => {
  assert.equal(endSentence('shell-ended', { exited: 0 }), 'The shell has ended.');
  assert.equal(endSentence('shell-ended', null), 'The shell has ended.');
  assert.equal(endSentence('shell-ended', { exited: 2 }), 'The shell has ended (exit status 2).');
  assert.equal(endSentence('shell-ended', { killed: 'KILL' }), 'The shell was killed (SIGKILL).');
  assert.equal(endSentence('machine-gone', { exited: 2 }), endSentence('machine-gone'));
});
