// A terminal that a screen reader can read costs everybody else speed, so it is a switch. It is in the bar for those who
// listen, and for the eye once it has the focus or is on.

import { element } from './elements.ts';

const REMEMBERED = 'tere.reader';
const made = element<HTMLButtonElement>('bar-reader');

export function readerIsOn(): boolean {
  return localStorage.getItem(REMEMBERED) !== null;
}

/** Makes the switch, once; `turned` hears of each turn. */
export function makeReaderSwitch(turned: () => void): void {
  const show = () => made.setAttribute('aria-pressed', String(readerIsOn()));
  made.onclick = () => {
    if (readerIsOn()) localStorage.removeItem(REMEMBERED);
    else localStorage.setItem(REMEMBERED, 'on');
    show();
    turned();
  };
  show();
}
