// The number of columns of each character, counted like the worker's terminal, so that both agree
// on every position.

import type { IUnicodeVersionProvider } from '@xterm/xterm';

import { NONE, WIDE } from './widths.table.ts';

/** The name of these widths in xterm.js. */
export const VERSION = 'tere';

/** First and last of each range, ascending. */
type Ranges = number[];

function read(table: string): Ranges {
  const ranges: Ranges = [];
  let end = 0;
  const numbers = table.trim().split(' ').map((number) => parseInt(number, 36));
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    const first = end + (numbers[at] ?? 0);
    end = first + (numbers[at + 1] ?? 0);
    ranges.push(first, end - 1);
  }
  return ranges;
}

const none = read(NONE);
const wide = read(WIDE);

function has(ranges: Ranges, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2 - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (code < (ranges[2 * middle] ?? 0)) high = middle - 1;
    else if (code > (ranges[2 * middle + 1] ?? 0)) low = middle + 1;
    else return true;
  }
  return false;
}

export const widths: IUnicodeVersionProvider = {
  version: VERSION,
  wcwidth(code) {
    if (code < 0xa0) return 1;
    if (has(none, code)) return 0;
    return has(wide, code) ? 2 : 1;
  },
  // A joining character has no width of its own. The value is packed as in xterm.js: the lowest bit
  // tells whether the character joins the one before it, followed by the width; see
  // UnicodeService.createPropertyValue there.
  charProperties(code, preceding) {
    const before = (preceding >> 1) & 3;
    const own = this.wcwidth(code);
    const joins = own === 0 && before > 0;
    return ((joins ? before : own) << 1) | Number(joins);
  },
};
