import assert from 'node:assert/strict';
import { test } from 'node:test';
import xterm from '@xterm/headless';

import { Decoder, emulate } from './emulation.ts';

/** The rows after `output`, without blanks at their ends, and the cursor. */
async function shown(output: string, cols = 20, rows = 4): Promise<{ rows: string[]; cursor: [number, number] }> {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols, rows });
  emulate(terminal);
  await new Promise<void>((done) => terminal.write(output, done));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: rows }, (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '');
  const cursor: [number, number] = [active.cursorY, active.cursorX];
  terminal.dispose();
  while (lines.at(-1) === '') lines.pop();
  return { rows: lines, cursor };
}

for (const final of ['b', '@', 'L', 'M', 'P', 'S', 'T', 'X', 'I', 'Z', ' @', ' A', "'}", "'~"]) {
  test(`2³¹ of CSI ${final} hold nothing up`, async () => {
    const began = Date.now();
    const { rows } = await shown(`x\x1b[2147483647${final}\x1b[H\x1b[2Jafter`);
    assert.deepEqual(rows, ['after']);
    assert.ok(Date.now() - began < 2000);
  });
}

// tests/corpus.rs compares the rest with the worker's terminal.
for (const [what, output, rows] of [
  ['a relative move in origin mode', '\x1b[2;4r\x1b[?6h\x1b[Cx\x1b[2Gy', ['', ' y']],
  ['ED 1 in the last row and column of a screen without scrollback', 'a\x1b[4;20Hb\x1b[1Jc', ['', '', '', 'c']],
  ['a saved cursor after the screen has scrolled', '\x1b[2;2H\x1b7\x1b[4;1H\n\n\n\x1b8x', ['', ' x']],
  ['a mark after a move', 'e\x1b[1;2H\u0301f', ['e\u0301f']],
  ['a character in an application program command', '\x1b_\u00e9\x1b\\x', ['x']],
  ['a national character set', '\x1b(K[', ['[']],
  ['tab stops of both screens', '\x1b[3g\x1b[1;4H\x1bH\x1b[?1047h\x1b[H\tx\x1b[1;7H\x1bH\x1b[?1047l\x1b[H\t\tx', ['      x']],
  ['new line mode after RIS', '\x1b[20h\x1bca\nb', ['a', ' b']],
  ['a selective erase after SGR 0', '\x1b[1"q\x1b[ma\x1b["qb\x1b[?2J', ['a']],
] as const) {
  test(what, async () => assert.deepEqual((await shown(output)).rows, rows));
}

test('reverse wrap', async () => {
  assert.deepEqual((await shown('\x1b[?45habcdefg\x1b[4D', 5)).cursor, [0, 3]);
  assert.deepEqual((await shown('abcdefg\x1b[4D', 5)).cursor, [1, 0]);
});

test('bytes that are no text are shown, and a character may come in parts', () => {
  const decoder = new Decoder();
  const parts = [[0x61, 0xff, 0xe4], [0xb8], [0xad, 0xc3], [0x62]];
  assert.equal(parts.map((part) => decoder.text(Uint8Array.from(part))).join('|'), 'a\ufffd||\u4e2d|\ufffdb');
});
