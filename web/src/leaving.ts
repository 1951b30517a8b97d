// Ctrl-W deletes a word in a shell and closes the tab in a browser, and a page cannot intercept it.
// So the page asks for confirmation if its tab is closed while Ctrl is down; closing it in another
// way is taken as intended. In full screen, the page can ask the browser for all keys, and they go
// to the shell.

import { element } from './elements.ts';

/** Not supported by every browser, and not in TypeScript's types. */
interface KeyboardLock {
  keyboard?: { lock(): Promise<void>; unlock(): void };
}

const { keyboard } = navigator as Navigator & KeyboardLock;
const opener = element<HTMLButtonElement>('bar-full');

/** `isLive` returns whether there is a shell for which the key may have been meant. */
export function guardLeaving(isLive: () => boolean): void {
  let ctrl = false;
  const note = (event: KeyboardEvent | MouseEvent) => (ctrl = event.ctrlKey);
  window.addEventListener('keydown', note, { capture: true });
  window.addEventListener('keyup', note, { capture: true });
  window.addEventListener('mousemove', note, { capture: true });
  // Ctrl may be released while another window has the focus.
  window.addEventListener('blur', () => (ctrl = false));
  window.addEventListener('beforeunload', (event) => {
    if (ctrl && isLive()) event.preventDefault();
  });
}

/** Sets up the button; called once. `left` returns the focus to the terminal. */
export function makeFullScreen(left: () => void): void {
  opener.hidden = !document.fullscreenEnabled;
  if (keyboard) opener.title = 'Full screen: Ctrl+W, Ctrl+T and Esc go to the shell there';
  opener.onclick = () => {
    const going = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
    // The browser may refuse, and nothing changes.
    void going.catch(() => undefined).then(left);
  };
  document.addEventListener('fullscreenchange', () => {
    const isFull = document.fullscreenElement !== null;
    opener.setAttribute('aria-pressed', String(isFull));
    if (isFull) void keyboard?.lock().catch(() => undefined);
    else keyboard?.unlock();
  });
}
