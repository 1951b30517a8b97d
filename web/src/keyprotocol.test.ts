import assert from 'node:assert/strict';
import { test } from 'node:test';
import xterm from '@xterm/headless';

import type { KeyPress } from './keyencode.ts';
import { KeyProtocol } from './keyprotocol.ts';

const shiftEnter: KeyPress = {
  ...{ key: 'Enter', code: 'Enter', keyCode: 13, shiftKey: true, ctrlKey: false, altKey: false, metaKey: false, isComposing: false },
  ...{ type: 'press', location: 0, altGraph: false, capsLock: false, numLock: false, altMakesText: false },
};

/** The flags after `output`, and what is sent for Shift-Enter. */
async function told(...outputs: string[]): Promise<[number, string | undefined]> {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols: 20, rows: 4 });
  const protocol = new KeyProtocol(terminal as unknown as ConstructorParameters<typeof KeyProtocol>[0]);
  for (const output of outputs) await new Promise<void>((done) => terminal.write(output, done));
  const result: [number, string | undefined] = [protocol.flags, protocol.encode(shiftEnter)];
  terminal.dispose();
  return result;
}

const kitty = '\x1b[13;2u';
const other = '\x1b[27;2;13~';

// As in src/terminal/tests/answers.rs.
for (const [output, flags, sent] of [
  ['', 0, undefined],
  ['\x1b[>1u', 1, kitty],
  ['\x1b[>1u\x1b[>255u', 31, '\x1b[13;2u'],
  ['\x1b[>1u\x1b[>3u\x1b[<u', 1, kitty],
  ['\x1b[=8u\x1b[>3u\x1b[<9u', 0, undefined],
  ['\x1b[=5u\x1b[=2;2u', 7, kitty],
  ['\x1b[=5u\x1b[=4;3u', 1, kitty],
  ['\x1b[>1u\x1b[?1049h', 0, undefined],
  ['\x1b[>1u\x1b[?1049h\x1b[>8u', 8, kitty],
  ['\x1b[>1u\x1b[?1049h\x1b[>8u\x1b[?1049l', 1, kitty],
  ['\x1b[>1u\x1b[>4;2m\x1bc', 0, undefined],
  ['\x1b[>1u\x1b[>4;2m\x1b[!p', 0, undefined],
  ['\x1b[>4;1m', 0, other],
  ['\x1b[>4;2m\x1b[>4;7m', 0, other],
  ['\x1b[>4;2m\x1b[>4m', 0, undefined],
  ['\x1b[>4;2m\x1b[>m', 0, undefined],
  ['\x1b[>4;2m\x1b[>4n', 0, undefined],
  ['\x1b[>4;2m\x1b[>1;1m', 0, other],
  ['\x1b[>4;2m\x1b[>1u', 1, kitty],
] as const) {
  test(`Shift-Enter after ${JSON.stringify(output)}`, async () => assert.deepEqual(await told(output), [flags, sent]));
}

test('the stack is bounded, and the oldest go first', async () => {
  const pushes = Array.from({ length: 100 }, (_, at) => `\x1b[>${(at + 1) % 32}u`).join('');
  assert.equal((await told(pushes))[0], 4);
  assert.equal((await told(pushes, '\x1b[<16u'))[0], 20);
  assert.equal((await told(pushes, '\x1b[<17u'))[0], 0);
});
