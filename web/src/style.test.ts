import assert from 'node:assert/strict';
import { test } from 'node:test';
import xterm from '@xterm/headless';

import { emulate } from './emulation.ts';

/** Whether a cell is bold, its colours and the kind of its underline, after SGR with `parameters`. */
async function look(parameters: string): Promise<string> {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols: 20, rows: 2 });
  emulate(terminal);
  await new Promise<void>((done) => terminal.write(`\x1b[3m\x1b[${parameters}mx`, done));
  const cell = terminal.buffer.active.getLine(0)?.getCell(0) as unknown as {
    isBold(): number; isItalic(): number; isBlink(): number; getFgColor(): number; getBgColor(): number; getUnderlineStyle(): number;
  };
  terminal.dispose();
  assert.ok(cell.isItalic(), 'the style was reset');
  const parts = [cell.isBold() && 'bold', cell.isBlink() && 'blink', cell.getFgColor() + 1 && `fg ${cell.getFgColor()}`];
  parts.push(cell.getBgColor() + 1 && `bg ${cell.getBgColor()}`, cell.getUnderlineStyle() && `underline ${cell.getUnderlineStyle()}`);
  return parts.filter(Boolean).join(', ');
}

test('SGR 59 gives the underline the colour of the text', async () => {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols: 20, rows: 2 });
  emulate(terminal);
  const cell = (x: number) => terminal.buffer.active.getLine(0)?.getCell(x) as unknown as { isUnderlineColorRGB(): boolean; getUnderlineColor(): number };
  await new Promise<void>((done) => terminal.write('\x1b[4;31;58:2::255:255:255ma\x1b[1;59;2mb\x1b[59;58:2::1:2:3mc', done));
  assert.deepEqual([0, 1, 2].map((x) => cell(x).isUnderlineColorRGB()), [true, false, true]);
  assert.deepEqual([0, 1, 2].map((x) => cell(x).getUnderlineColor()), [0xffffff, 1, 0x010203]);
});

// As in a_wrong_colour_changes_nothing_and_takes_its_parameters_along of the worker's terminal.
for (const [parameters, left] of [
  ['38;5;7', 'fg 7'], ['38;5;300;1', 'bold'], ['38;2;1;256;3;1', 'bold'], ['38;;1', 'bold'], ['38;7;1', 'bold'], ['38', ''], ['48;2', ''],
  ['48;2;1;2', ''], ['48;5', ''], ['38:5', ''], ['38:5:7;1', 'bold, fg 7'], ['38;5:7;1', 'bold, fg 7'], ['38;5;7:1;4', 'fg 7, underline 1'],
  ['38:2:1:2:3', 'fg 66051'], ['38:2::1:2:3', 'fg 66051'], ['38;2:9:1:2:3;1', 'bold, fg 66051'], ['4:', 'underline 1'], ['4:0', ''],
  ['4:3', 'underline 3'], ['4:9', 'underline 1'], ['1:2', 'bold'], ['6', 'blink'], ['1;59;6', 'bold, blink'],
] as const) {
  test(`SGR ${parameters}`, async () => assert.equal(await look(parameters), left));
}
