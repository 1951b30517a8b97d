import assert from 'node:assert/strict';
import { test } from 'node:test';

import { browserName, resumeStatement } from './resume.ts';

test('what is signed is what auth verifies', () => {
  // The same bytes as in the test of src/client_key.rs.
  const statement = resumeStatement('https://shell.example.org', new Uint8Array(32).fill(1), new Uint8Array(32).fill(2));
  const expected =
    '7465726520636c69656e74206b65792031' + '00' + '726573756d65' + '00' +
    '68747470733a2f2f7368656c6c2e6578616d706c652e6f7267' + '00' + '01'.repeat(32) + '02'.repeat(32);
  assert.equal(Buffer.from(statement).toString('hex'), expected);
});

test('a browser has a name that people know', () => {
  const linux = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';
  assert.equal(browserName(linux), 'Chrome on Linux');
  assert.equal(browserName('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'), 'Firefox on Linux');
  assert.equal(browserName('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1'), 'Safari on iPhone');
  assert.equal(browserName(linux.replace('X11; Linux x86_64', 'Linux; Android 15')), 'Chrome on Android');
  assert.equal(browserName(''), 'Browser');
});
