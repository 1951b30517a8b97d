// Copies what the user has selected in the terminal: by an action, or at once where the user wants
// that.

import { notice } from './notice.ts';
import { preferences } from './preferencestore.ts';

/** Copies a text, unless it is empty. */
export function copyText(text: string): void {
  if (text === '') return;
  navigator.clipboard.writeText(text).catch(() => notice('clipboard', 'The browser did not let it be copied.'));
}

/** `selection` returns the selected text, or an empty one. */
export function makeCopyOnSelect(place: HTMLElement, selection: () => string): void {
  let begun = false;
  place.addEventListener('mousedown', ({ button }) => (begun = button === 0), { capture: true });
  // The mouse may be released anywhere. xterm.js has finished the selection by then: it listens to
  // the document.
  window.addEventListener('mouseup', () => {
    if (begun && preferences().copyOnSelect) copyText(selection());
    begun = false;
  });
}
