// Limits for the counts in control sequences. xterm.js accepts any count: it would repeat a
// character 2³¹ times, or insert as many lines. A sequence with a count that is too large is
// skipped here. The session's terminal has executed it, and a snapshot shows the result.

import type { IParser } from '@xterm/xterm';

/** The longest side of a screen. */
const COUNT_MAX = 1000;

/** The largest number of cells of a screen. */
const REPEATS_MAX = 250_000;

/**
 * Final bytes of the counted sequences: insert and delete characters and lines, erase, scroll, tab
 * forward and backward.
 */
const COUNTED = ['@', 'L', 'M', 'P', 'S', 'T', 'X', 'I', 'Z'];

/** Calls `astray` when a sequence was skipped, so that the screen may be wrong. */
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
