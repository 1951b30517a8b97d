// Counts of a sequence that xterm.js takes at their word: it would repeat a character 2³¹ times, or insert as many
// lines. What is too large to be done here is left out; the session's terminal has done it, and shows how it looks.

import type { IParser } from '@xterm/xterm';

/** More than a side of the largest screen. */
const COUNT_MAX = 1000;

/** More than the cells of the largest screen. */
const REPEATS_MAX = 250_000;

/** Insert and delete characters and lines, erase, scroll, tabs there and back. */
const COUNTED = ['@', 'L', 'M', 'P', 'S', 'T', 'X', 'I', 'Z'];

/** `astray`: something was left out, so the screen is not what it should be. */
export function bound(parser: IParser, astray: () => void): void {
  const most = (final: string, bound: number) =>
    parser.registerCsiHandler({ final }, (parameters) => {
      const tooLarge = Number(parameters[0]) > bound;
      if (tooLarge) astray();
      return tooLarge;
    });
  for (const final of COUNTED) most(final, COUNT_MAX);
  most('b', REPEATS_MAX);
}
