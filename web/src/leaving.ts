// Ctrl-W deletes a word in a shell and closes a tab in a browser, which does not give the key away. So a tab
// asks before it goes while Ctrl is down; whoever closes it by another way means it. In full screen the
// browser can be asked for its keys, and the shell has them all.

import { element } from './elements.ts';

/** Not in every browser, and not in the types of any. */
interface KeyboardLock {
  keyboard?: { lock(): Promise<void>; unlock(): void };
}

const { keyboard } = navigator as Navigator & KeyboardLock;
const opener = element<HTMLButtonElement>('bar-full');

/** `isLive` says whether there is a shell that a key may have been meant for. */
export function guardLeaving(isLive: () => boolean): void {
  let ctrl = false;
  const note = (event: KeyboardEvent | MouseEvent) => (ctrl = event.ctrlKey);
  window.addEventListener('keydown', note, { capture: true });
  window.addEventListener('keyup', note, { capture: true });
  window.addEventListener('mousemove', note, { capture: true });
  // The key may come up while another window has the keyboard.
  window.addEventListener('blur', () => (ctrl = false));
  window.addEventListener('beforeunload', (event) => {
    if (ctrl && isLive()) event.preventDefault();
  });
}

/** Makes the button, once. `left` gives the keyboard back to the terminal. */
export function makeFullScreen(left: () => void): void {
  opener.hidden = !document.fullscreenEnabled;
  if (keyboard) opener.title = 'Full screen: Ctrl+W, Ctrl+T and Esc go to the shell there';
  opener.onclick = () => {
    const going = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
    // A browser that does not want to stays as it is.
    void going.catch(() => undefined).then(left);
  };
  document.addEventListener('fullscreenchange', () => {
    const isFull = document.fullscreenElement !== null;
    opener.setAttribute('aria-pressed', String(isFull));
    if (isFull) void keyboard?.lock().catch(() => undefined);
    else keyboard?.unlock();
  });
}
