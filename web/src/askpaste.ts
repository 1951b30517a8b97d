// A program that does not know a paste from typing runs each line of it at once: that is asked before.

import { hidePanel, showPanel } from './panel.ts';
import { counted } from './words.ts';

/** `paste` goes on with it; `back` gives the keyboard back to the terminal, either way. */
export function askPaste(lines: number, paste: () => void, back: () => void): void {
  const leave = () => {
    hidePanel();
    back();
  };
  const take = () => {
    leave();
    paste();
  };
  showPanel({
    title: `Paste ${counted(lines, 'line')}?`,
    detail: 'The program that runs now takes each of them as if you had pressed Enter.',
    actions: [
      { label: 'Paste', run: take },
      { label: 'Cancel', run: leave },
    ],
    leave,
  });
}
