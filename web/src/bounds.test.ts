import assert from 'node:assert/strict';
import { test } from 'node:test';
import xterm from '@xterm/headless';
import { bound } from './bounds.ts';

/** The first row after `output`, and the number of skipped sequences. */
async function shown(output: string): Promise<[string | undefined, number]> {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols: 20, rows: 4 });
  let astray = 0;
  bound(terminal.parser, () => (astray += 1));
  await new Promise<void>((done) => terminal.write(output, done));
  const row = terminal.buffer.active.getLine(0)?.translateToString(true);
  terminal.dispose();
  return [row, astray];
}

for (const final of ['b', '@', 'L', 'M', 'P', 'S', 'T', 'X', 'I', 'Z']) {
  test(`2³¹ of CSI ${final} hold nothing up`, async () => {
    assert.deepEqual(await shown(`x\x1b[2147483647${final}\r\x1b[Kafter`), ['after', 1]);
  });
}

test('what fits a screen is done', async () => {
  assert.deepEqual(await shown('x\x1b[3b\x1b[2D\x1b[1P'), ['xxx', 0]);
});
