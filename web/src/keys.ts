// Keys that the page handles itself, and keys that an input method keeps from the terminal.

/** The properties of a KeyboardEvent that identify the key. */
export interface Pressed {
  key: string;
  code: string;
  keyCode: number;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  isComposing: boolean;
}

/**
 * The key as the table of actions names it: a letter, in upper case, that is pressed with Ctrl and
 * Shift, or `?`. Other terminals use the same keys, so no program uses them.
 */
export function ownKey(event: Pressed): string | undefined {
  const { key, ctrlKey, shiftKey, altKey, metaKey } = event;
  if (altKey || metaKey) return undefined;
  if (!ctrlKey) return key === '?' && !composes(event) ? key : undefined;
  return shiftKey ? letterOf(event)?.toUpperCase() : undefined;
}

/**
 * The letter on the key, in lower case. If the keyboard's layout has Latin letters, this is the
 * layout's letter. Otherwise, as with Cyrillic or an input method, it is the letter at this
 * position on most keyboards.
 */
function letterOf({ key, code }: Pressed): string | undefined {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase();
}

/**
 * The bytes for Ctrl with a sign, and the position of the sign on most keyboards, for layouts
 * without Latin signs.
 */
const SIGNS: readonly { sign: string; byte: string; code: string; shift: boolean }[] = [
  { sign: '/', byte: '\x1f', code: 'Slash', shift: false },
  { sign: '_', byte: '\x1f', code: 'Minus', shift: true },
  { sign: ']', byte: '\x1d', code: 'BracketRight', shift: false },
  { sign: '\\', byte: '\x1c', code: 'Backslash', shift: false },
];

/**
 * The byte for Ctrl with `/`, `_`, `]` or `\`, wherever the layout has the sign, even with Shift or
 * AltGr. xterm.js only knows their positions on a US keyboard.
 */
export function controlSign(event: Pressed & { altGraph: boolean }): string | undefined {
  if (!event.ctrlKey || event.metaKey || event.isComposing || (event.altKey && !event.altGraph)) return undefined;
  const bySign = SIGNS.find(({ sign }) => sign === event.key);
  // A key with a Latin letter or another sign in this layout is not matched by its position.
  const isLatin = /^[\x20-\x7e]$/.test(event.key);
  const byPlace = isLatin || event.key.length !== 1 ? undefined : SIGNS.find(({ code, shift }) => code === event.code && shift === event.shiftKey);
  return (bySign ?? byPlace)?.byte;
}

/** The `keyCode` of a key that went to an input method. */
const TO_INPUT_METHOD = 229;

/** Whether a key belongs to an input method. */
export function composes({ key, keyCode, isComposing }: Pressed): boolean {
  return isComposing || keyCode === TO_INPUT_METHOD || key === 'Process' || key === 'Dead';
}

/**
 * Whether a key ends the composition and also goes to the terminal. An input method for Hangul
 * passes Space, Enter and the arrow keys on; other input methods keep every key.
 */
export function endsComposition({ key, keyCode, isComposing }: Pressed): boolean {
  return isComposing && keyCode !== TO_INPUT_METHOD && !['Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock'].includes(key);
}

/**
 * The byte for Ctrl with a letter, or for Escape, while an input method is on but composes nothing.
 * xterm.js would wait for text that never comes, and the user could not interrupt a program.
 */
export function pastInputMethod(event: Pressed): string | undefined {
  if (event.keyCode !== TO_INPUT_METHOD || event.isComposing || event.altKey || event.metaKey) return undefined;
  if (event.code === 'Escape') return '\x1b';
  const letter = letterOf(event);
  if (!event.ctrlKey || event.shiftKey || letter === undefined) return undefined;
  return String.fromCharCode(letter.charCodeAt(0) & 0x1f);
}
