// A program without bracketed paste runs each line of a paste at once, and may receive only the
// beginning of a long line. The page asks before such a paste.

import { hidePanel, showPanel } from './panel.ts';
import { amount, counted } from './words.ts';

/**
 * `tooLong` is the length in bytes of a line that is too long, or 0. `paste` carries the paste out;
 * `back` returns the focus to the terminal, whatever the answer.
 */
export function askPaste(lines: number, tooLong: number, paste: () => void, back: () => void): void {
  const leave = () => {
    hidePanel();
    back();
  };
  const take = () => {
    leave();
    paste();
  };
  showPanel({
    title: tooLong > 0 ? `Paste a line of ${amount(tooLong)}?` : `Paste ${counted(lines, 'line')}?`,
    detail:
      tooLong > 0
        ? 'A program that reads whole lines, such as cat or a question for a password, gets the first 4,095 bytes of it and loses the rest.'
        : 'The program that runs now takes each of them as if you had pressed Enter.',
    actions: [
      { label: 'Paste', run: take },
      { label: 'Cancel', run: leave },
    ],
    leave,
  });
}
