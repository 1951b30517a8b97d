import assert from 'node:assert/strict';
import { test } from 'node:test';
import xterm from '@xterm/headless';
import { ignoreQueries } from './ignorequeries.ts';

const ESC = '\x1b';
const ST = `${ESC}\\`;
const queries = {
  DA1: `${ESC}[c`,
  'DA1 with 0': `${ESC}[0c`,
  DECID: `${ESC}Z`,
  DA2: `${ESC}[>c`,
  DA3: `${ESC}[=c`,
  'DSR status': `${ESC}[5n`,
  CPR: `${ESC}[6n`,
  DECXCPR: `${ESC}[?6n`,
  'colour scheme': `${ESC}[?996n`,
  'DECRQM ansi': `${ESC}[4$p`,
  'DECRQM private': `${ESC}[?2004$p`,
  XTVERSION: `${ESC}[>q`,
  'window size in pixels': `${ESC}[14t`,
  'cell size in pixels': `${ESC}[16t`,
  'window size in cells': `${ESC}[18t`,
  'window title': `${ESC}[21t`,
  'icon title': `${ESC}[20t`,
  'keyboard flags': `${ESC}[?u`,
  XTQMODKEYS: `${ESC}[?4m`,
  DECREQTPARM: `${ESC}[x`,
  'graphics attributes': `${ESC}[?1;1;0S`,
  'DECRQSS SGR': `${ESC}P$qm${ST}`,
  'DECRQSS cursor style': `${ESC}P$q q${ST}`,
  XTGETTCAP: `${ESC}P+q544e${ST}`,
  'palette colour': `${ESC}]4;1;?${ST}`,
  'palette colours': `${ESC}]4;1;rgb:1/2/3;2;?\x07`,
  foreground: `${ESC}]10;?${ST}`,
  'foreground and background': `${ESC}]10;?;?\x07`,
  background: `${ESC}]11;?\x07`,
  cursor: `${ESC}]12;?\x07`,
  clipboard: `${ESC}]52;c;?${ST}`,
  ENQ: '\x05',
};

/** The terminal's replies to `output`. */
async function answers(output: string, silent: 'silent' | 'as it comes'): Promise<string> {
  const terminal = new xterm.Terminal({ allowProposedApi: true, windowOptions: { getWinSizeChars: true } });
  if (silent === 'silent') ignoreQueries(terminal.parser);
  let answered = '';
  terminal.onData((data) => (answered += data));
  await new Promise<void>((done) => terminal.write(output, done));
  terminal.dispose();
  return answered;
}

for (const [name, query] of Object.entries(queries)) {
  test(`no answer to ${name}`, async () => {
    assert.equal(await answers(query, 'silent'), '');
  });
}

test('without the handlers the terminal would answer', async () => {
  for (const name of ['DA1', 'DA2', 'CPR', 'DECXCPR', 'DECRQM private', 'DECRQSS SGR', 'window size in cells'] as const) {
    assert.notEqual(await answers(queries[name], 'as it comes'), '', name);
  }
});

test('what is no query still works', async () => {
  const terminal = new xterm.Terminal({ allowProposedApi: true, cols: 20, rows: 4 });
  ignoreQueries(terminal.parser);
  let title = '';
  terminal.onTitleChange((text) => (title = text));
  const output = `${ESC}]2;name\x07${ESC}]4;1;rgb:ff/00/00\x07${ESC}[?2004h${ESC}[2;3Hx${ESC}[c${ESC}[6ny`;
  await new Promise<void>((done) => terminal.write(output, done));
  assert.equal(title, 'name');
  assert.equal(terminal.modes.bracketedPasteMode, true);
  assert.equal(terminal.buffer.active.getLine(1)?.translateToString(true), '  xy');
});
