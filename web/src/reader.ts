// Screen reader support makes the terminal slower, so it is a switch. The switch is in the bar for
// screen readers, and becomes visible while it has the focus or is on.

import { element } from './elements.ts';

const REMEMBERED = 'tere.reader';
const made = element<HTMLButtonElement>('bar-reader');

let isOn = remembered();

export function readerIsOn(): boolean {
  return isOn;
}

/** Sets up the switch; called once. `turned` is called on every change. */
export function makeReaderSwitch(turned: () => void): void {
  made.setAttribute('aria-pressed', String(isOn));
  made.onclick = () => {
    isOn = !isOn;
    made.setAttribute('aria-pressed', String(isOn));
    remember();
    turned();
  };
}

/**
 * Whether the switch was on in an earlier page. The switch also works in a browser that stores
 * nothing for pages.
 */
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
    // The setting then lasts only as long as this page.
  }
}
