// Compares the screen that xterm.js builds from each recording with the screens that it builds from
// our snapshots. tests/corpus.rs passes a file of {name, whole, streams}, one a line, and the
// page's emulation.ts as JavaScript. The first stream is a snapshot of the end; the others continue
// after a cut.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { Terminal } = require('@xterm/headless');
const { Decoder, emulate } = await import(process.argv[3]);

/** Plays events as the page would, and says all that there is to see. */
async function play(events) {
  const { cols, rows } = events[0];
  const windowOptions = { pushTitle: true, popTitle: true };
  const xterm = new Terminal({ allowProposedApi: true, cols, rows, logLevel: 'off', scrollback: 10_000, windowOptions });
  emulate(xterm);
  const decoder = new Decoder();
  let title = '';
  xterm.onTitleChange((now) => (title = now));
  for (const event of events.slice(1)) {
    if (event.bytes === undefined) xterm.resize(event.cols, event.rows);
    else await new Promise((done) => xterm.write(decoder.text(Buffer.from(event.bytes, 'latin1')), done));
  }
  const seen = portrait(xterm);
  seen.title = title;
  xterm.dispose();
  return seen;
}

function portrait(xterm) {
  const seen = {};
  const core = xterm._core;
  const { cursorStyle, cursorBlink } = core.coreService.decPrivateModes;
  seen['cursor is'] = `${cursorStyle} ${cursorBlink} ${core.coreService.isCursorHidden}`;
  const { active, normal, alternate } = xterm.buffer;
  for (const [name, buffer] of [['main', normal], ...(active.type === 'alternate' ? [['alternate', alternate]] : [])]) {
    for (let y = 0; y < buffer.length; y += 1) {
      const row = y - buffer.baseY;
      const line = buffer.getLine(y);
      // The first line of all has nothing to go on from.
      if (line.isWrapped && y > 0) seen[`${name} ${row} is wrapped`] = 'yes';
      if (row < 0) seen[`scrollback ${row}`] = line.translateToString(true).trimEnd();
      else for (let x = 0; x < xterm.cols; x += 1) cell(seen, `${name} ${row} ${x}`, line.getCell(x), core._oscLinkService);
    }
  }
  seen['cursor'] = `${Math.min(active.cursorX, xterm.cols - 1)} ${active.cursorY}`;
  seen['waits to wrap'] = String(active.cursorX >= xterm.cols);
  for (const [mode, state] of Object.entries(xterm.modes)) {
    // Whether a synchronised update is under way is not in a snapshot of ours: what it holds back is drawn.
    if (mode !== 'synchronizedOutputMode') seen[`mode ${mode}`] = String(state);
  }
  return seen;
}

/**
 * xterm.js forgets a link with the last row of it, also if that row is deleted before the text of
 * the link is printed. The worker does not.
 */
const FORGOTTEN = 'to what is forgotten';

/** Whether two cells differ in no more than that one has a link that is forgotten. */
function isForgotten(one = '', other = '') {
  const forgets = (cell) => cell.replace(/ to \S+ as \S+$/, ` ${FORGOTTEN}`);
  return (one.endsWith(FORGOTTEN) || other.endsWith(FORGOTTEN)) && forgets(one) === forgets(other);
}

/** The colour of the underline where there is one, and the link. */
function beyond(cell, links) {
  const line = cell.getUnderlineStyle() === 0 || cell.isUnderlineColorDefault() ? '' : ` line ${cell.getUnderlineColor()}`;
  if (cell.extended.urlId === 0 || !cell.hasExtendedAttrs()) return line;
  const link = links.getLinkData(cell.extended.urlId);
  return link === undefined ? `${line} ${FORGOTTEN}` : `${line} to ${link.uri} as ${link.id}`;
}

function cell(seen, place, cell, links) {
  const chars = cell.getChars();
  const look = [
    // Colours 0 to 15 can be said in two ways, which xterm.js tells apart and draws alike.
    cell.isFgPalette() ? 1 : cell.getFgColorMode(), cell.getFgColor(), cell.isBgPalette() ? 1 : cell.getBgColorMode(), cell.getBgColor(),
    cell.isBold(), cell.isDim(), cell.isItalic(), cell.isUnderline(), cell.isBlink(), cell.isInverse(),
    cell.isInvisible(), cell.isStrikethrough(), cell.isOverline(),
    // What xterm.js has besides its interface: kind and colour of the underline, protection.
    cell.getUnderlineStyle(), cell.isProtected() !== 0,
  ].map(Number).join(' ') + beyond(cell, links);
  const blank = (chars === '' || chars === ' ') && cell.getWidth() === 1 && look === '0 -1 0 -1 0 0 0 0 0 0 0 0 0 0 0';
  if (!blank) seen[place] = `${chars === '' && cell.getWidth() === 1 ? ' ' : chars} ${cell.getWidth()} ${look}`;
}

function difference(whole, other) {
  const places = new Set([...Object.keys(whole), ...Object.keys(other)]);
  return [...places].filter((place) => whole[place] !== other[place] && !isForgotten(whole[place], other[place]));
}

let failed = 0;
let streams = 0;
for (const line of (await readFile(process.argv[2], 'utf8')).split('\n')) {
  const { name, whole, streams: others } = JSON.parse(line);
  const reference = await play(whole);
  for (const [number, stream] of others.entries()) {
    streams += 1;
    const seen = await play(stream);
    const places = difference(reference, seen);
    if (places.length === 0) continue;
    failed += 1;
    const shown = places.slice(0, 6).map((place) => `  ${place}: ${reference[place]} | ${seen[place]}`).join('\n');
    console.log(`${name}, ${number === 0 ? 'at its end' : `cut ${number}`}: ${places.length} places differ\n${shown}`);
  }
}
console.log(`${streams} streams compared, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
