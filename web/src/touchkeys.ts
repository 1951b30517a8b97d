// Keys that a phone's keyboard lacks. The stylesheet shows them on touch screens.

import { button, element } from './elements.ts';
import type { Terminal } from './terminal.ts';

let armed = false;
let controlKey: HTMLButtonElement | undefined;

export function makeTouchKeys(terminal: Terminal): void {
  const arrow = (letter: string, key: string) => () => {
    const plain = terminal.applicationCursorKeys ? 'O' : '[';
    const ctrlKey = takeControl();
    terminal.press(key, ctrlKey, `\x1b${ctrlKey ? '[1;5' : plain}${letter}`);
  };
  const keys: [string, string, () => void][] = [
    ['Esc', 'Escape', () => terminal.press('Escape', false, '\x1b')],
    ['Tab', 'Tab', () => terminal.type('\t')],
    ['Ctrl', 'Control, for the next key', () => arm(!armed)],
    ['←', 'Left', arrow('D', 'ArrowLeft')],
    ['↓', 'Down', arrow('B', 'ArrowDown')],
    ['↑', 'Up', arrow('A', 'ArrowUp')],
    ['→', 'Right', arrow('C', 'ArrowRight')],
    ['Paste', 'Paste', () => void pasteClipboard(terminal)],
  ];
  for (const [text, label, press] of keys) {
    const key = button(text, press);
    key.setAttribute('aria-label', label);
    // Keeps the focus in the terminal, so that the phone's keyboard stays open.
    key.addEventListener('pointerdown', (event) => event.preventDefault());
    if (text === 'Ctrl') controlKey = key;
    element('touch-keys').append(key);
  }
}

/**
 * Applies the armed Ctrl to a typed byte. Ctrl applies to one key only, even if nothing can be made
 * of that key.
 */
export function withControl(bytes: Uint8Array): Uint8Array {
  const [byte] = bytes;
  if (!takeControl() || byte === undefined || byte >= 0x80 || bytes.length !== 1) return bytes;
  return Uint8Array.of(byte & 0x1f);
}

function takeControl(): boolean {
  const was = armed;
  if (was) arm(false);
  return was;
}

function arm(on: boolean): void {
  armed = on;
  controlKey?.setAttribute('aria-pressed', String(on));
}

/** Pastes what is in the clipboard, if the browser lets the page read it. */
export async function pasteClipboard(terminal: Terminal): Promise<void> {
  // The user may refuse it.
  const text = await navigator.clipboard.readText().catch(() => '');
  terminal.focus();
  if (text !== '') terminal.paste(text);
}
