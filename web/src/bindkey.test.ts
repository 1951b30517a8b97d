import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindingText, type Binding } from './bindkey.ts';

const binding: Binding = {
  type: 'binding',
  key: '0123456789abcdef',
  name: 'laptop',
  source: '192.0.2.1',
  allow: ['list', 'attach', 'open'],
  seconds: 30 * 86_400,
  options: {},
};

test('the question says what a key is good for, and for how long', () => {
  assert.equal(
    bindingText(binding),
    'For 30 days, without asking again, it may list your targets and sessions, see your sessions and type into them and open shells. Allow it only if you have just run tere login there yourself.',
  );
  const short: Binding = { ...binding, allow: ['list'], seconds: 8 * 3600 };
  assert.match(bindingText(short), /^For 8 hours, without asking again, it may list your targets and sessions\. /);
});
