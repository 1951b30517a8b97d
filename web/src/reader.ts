// A terminal that a screen reader can read costs everybody else speed, so it is a switch. It is in the bar for those who
// listen, and for the eye once it has the focus or is on.

import { element } from './elements.ts';

const REMEMBERED = 'tere.reader';
const made = element<HTMLButtonElement>('bar-reader');

let isOn = remembered();

export function readerIsOn(): boolean {
  return isOn;
}

/** Makes the switch, once; `turned` hears of each turn. */
export function makeReaderSwitch(turned: () => void): void {
  made.setAttribute('aria-pressed', String(isOn));
  made.onclick = () => {
    isOn = !isOn;
    made.setAttribute('aria-pressed', String(isOn));
    remember();
    turned();
  };
}

/** A browser that stores nothing for pages has the switch all the same. */
function remembered(): boolean {
  try {
    return localStorage.getItem(REMEMBERED) !== null;
  } catch {
    return false;
  }
}

function remember(): void {
  try {
    if (isOn) localStorage.setItem(REMEMBERED, 'on');
    else localStorage.removeItem(REMEMBERED);
  } catch {
    // Then it is for this time only.
  }
}
