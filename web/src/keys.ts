// Keys that are the page's own, and keys that an input method keeps from the terminal.

/** What Ctrl, Shift and a letter do. They are the letters of other terminals, so no program has them. */
const OWN = { c: 'copy', v: 'paste', f: 'find', s: 'share', l: 'shells' } as const;

export type OwnKey = (typeof OWN)[keyof typeof OWN];

/** The part of a KeyboardEvent that says which key it was. */
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

/** The page's own key, if it is one. */
export function ownKey(event: Pressed): OwnKey | undefined {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return undefined;
  const own = new Map<string, OwnKey>(Object.entries(OWN));
  return own.get(letterOf(event) ?? '');
}

/**
 * The letter on the key, in lower case: where the keyboard's layout has Latin letters, its own; or else, as with Cyrillic
 * or under an input method, the one that stands at this place on most keyboards.
 */
function letterOf({ key, code }: Pressed): string | undefined {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase();
}

/** The bytes of Ctrl with a sign, and where the sign stands on most keyboards if the layout has no Latin signs. */
const SIGNS: readonly { sign: string; byte: string; code: string; shift: boolean }[] = [
  { sign: '/', byte: '\x1f', code: 'Slash', shift: false },
  { sign: '_', byte: '\x1f', code: 'Minus', shift: true },
  { sign: ']', byte: '\x1d', code: 'BracketRight', shift: false },
  { sign: '\\', byte: '\x1c', code: 'Backslash', shift: false },
];

/**
 * The byte of Ctrl with `/`, `_`, `]` or `\`, wherever the layout has the sign: with Shift, or with AltGr. xterm.js knows
 * where they stand on a US keyboard.
 */
export function controlSign(event: Pressed & { altGraph: boolean }): string | undefined {
  if (!event.ctrlKey || event.metaKey || event.isComposing || (event.altKey && !event.altGraph)) return undefined;
  const bySign = SIGNS.find(({ sign }) => sign === event.key);
  // A key that has a Latin letter or another sign is that letter or sign.
  const isLatin = /^[\x20-\x7e]$/.test(event.key);
  const byPlace = isLatin || event.key.length !== 1 ? undefined : SIGNS.find(({ code, shift }) => code === event.code && shift === event.shiftKey);
  return (bySign ?? byPlace)?.byte;
}

/** What the browser says of a key that went to an input method. */
const TO_INPUT_METHOD = 229;

/**
 * Whether a key ends what is being composed, and goes to the terminal itself: an input method for Hangul lets go of Space,
 * Enter and the arrows, where others keep each key to themselves.
 */
export function endsComposition({ key, keyCode, isComposing }: Pressed): boolean {
  return isComposing && keyCode !== TO_INPUT_METHOD && !['Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock'].includes(key);
}

/**
 * The byte of Ctrl with a letter, or of Escape, where an input method is on but nothing is being composed. xterm.js would wait
 * for a text that never comes, and a program could not be interrupted.
 */
export function pastInputMethod(event: Pressed): string | undefined {
  if (event.keyCode !== TO_INPUT_METHOD || event.isComposing || event.altKey || event.metaKey) return undefined;
  if (event.code === 'Escape') return '\x1b';
  const letter = letterOf(event);
  if (!event.ctrlKey || event.shiftKey || letter === undefined) return undefined;
  return String.fromCharCode(letter.charCodeAt(0) & 0x1f);
}
