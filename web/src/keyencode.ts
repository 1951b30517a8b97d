// Encodes keys as programs ask for them: the kitty keyboard protocol
// (https://sw.kovidgoyal.net/kitty/keyboard-protocol/) and xterm's modifyOtherKeys. A key that is
// told as ever is left to xterm.js.

import type { Pressed } from './keys.ts';

/** The flags of the kitty keyboard protocol. */
export const DISAMBIGUATE = 1;
export const EVENTS = 2;
export const ALTERNATES = 4;
export const ALL_KEYS = 8;
export const TEXT = 16;

export interface KeyPress extends Pressed {
  type: 'press' | 'repeat' | 'release';
  /** As `KeyboardEvent.location`: 2 is on the right, 3 on the keypad. */
  location: number;
  altGraph: boolean;
  capsLock: boolean;
  numLock: boolean;
  /** Whether Alt makes other characters, as Option does on a Mac. */
  altMakesText: boolean;
}

/** Keys whose sequences end with a letter or a tilde, and their number before it. */
const FUNCTION_KEYS: Record<string, [number, string]> = {
  ArrowUp: [1, 'A'], ArrowDown: [1, 'B'], ArrowRight: [1, 'C'], ArrowLeft: [1, 'D'], Home: [1, 'H'], End: [1, 'F'],
  F1: [1, 'P'], F2: [1, 'Q'], F4: [1, 'S'], Insert: [2, '~'], Delete: [3, '~'], PageUp: [5, '~'], PageDown: [6, '~'],
  F3: [13, '~'], F5: [15, '~'], F6: [17, '~'], F7: [18, '~'], F8: [19, '~'], F9: [20, '~'], F10: [21, '~'], F11: [23, '~'],
  F12: [24, '~'],
};

/** Keys that ever were a control character. */
const CONTROLS: Record<string, number> = { Escape: 27, Enter: 13, Tab: 9, Backspace: 127 };

/** Numbers of the private use area that the protocol gives to other keys, by their `code`. */
const NUMBERED: Record<string, number> = {
  CapsLock: 57358, ScrollLock: 57359, NumLock: 57360, PrintScreen: 57361, Pause: 57362, ContextMenu: 57363,
  ShiftLeft: 57441, ControlLeft: 57442, AltLeft: 57443, MetaLeft: 57444, ShiftRight: 57447, ControlRight: 57448, AltRight: 57449,
  MetaRight: 57450, NumpadDecimal: 57409, NumpadDivide: 57410, NumpadMultiply: 57411, NumpadSubtract: 57412, NumpadAdd: 57413,
  NumpadEnter: 57414, NumpadEqual: 57415, NumpadComma: 57416,
};

/** The number of F13; those after it follow. */
const F13 = 57376;

/** The number of 0 on the keypad; the other digits follow. */
const KEYPAD_0 = 57399;

/** Keys of the keypad while it moves the cursor, by their `key`. */
const KEYPAD_KEYS: Record<string, number> = {
  ArrowLeft: 57417, ArrowRight: 57418, ArrowUp: 57419, ArrowDown: 57420, PageUp: 57421, PageDown: 57422, Home: 57423, End: 57424,
  Insert: 57425, Delete: 57426, Clear: 57427,
};

const MODIFIERS = ['Shift', 'Control', 'Alt', 'Meta', 'AltGraph'];
const LOCKS = ['CapsLock', 'NumLock', 'ScrollLock'];
const ALT_GRAPH = 57453;

/** The signs of a keyboard with the layout of the United States, without and with Shift. */
const US_SIGNS: Record<string, [string, string]> = {
  Minus: ['-', '_'], Equal: ['=', '+'], BracketLeft: ['[', '{'], BracketRight: [']', '}'], Backslash: ['\\', '|'], Semicolon: [';', ':'],
  Quote: ["'", '"'], Backquote: ['`', '~'], Comma: [',', '<'], Period: ['.', '>'], Slash: ['/', '?'], Space: [' ', ' '],
};
const SHIFTED_DIGITS = ')!@#$%^&*(';

/** What the key is on a keyboard with the layout of the United States. */
function usKey(code: string): [string, string] | undefined {
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  if (letter !== undefined) return [letter.toLowerCase(), letter];
  const digit = /^Digit([0-9])$/.exec(code)?.[1];
  return digit === undefined ? US_SIGNS[code] : [digit, SHIFTED_DIGITS[Number(digit)] ?? digit];
}

const codePoint = (text: string) => text.codePointAt(0) ?? 0;

/** Whether the key writes a character. */
const isText = ({ key }: KeyPress) => [...key].length === 1;

/** Whether the character needs the modifiers that are pressed, so that they are no modifiers. */
const needsModifiers = (press: KeyPress) =>
  isText(press) && (press.altGraph || (press.altMakesText && press.altKey && !press.ctrlKey));

/**
 * The number of a key that writes a character: the character without Shift. The browser does not
 * tell what another layout has there, so only signs where the layout of the United States has them
 * count.
 */
function textNumber({ key, code, shiftKey }: KeyPress): number {
  const us = usKey(code);
  if (shiftKey && us?.[1] === key) return codePoint(us[0]);
  const lower = key.toLowerCase();
  return codePoint([...lower].length === 1 ? lower : key);
}

function modifiersOf(press: KeyPress, flags: number): number {
  const { shiftKey, altKey, ctrlKey, capsLock, numLock } = press;
  let modifiers = Number(shiftKey);
  if (!needsModifiers(press)) modifiers += 2 * Number(altKey) + 4 * Number(ctrlKey);
  // Programs that have not asked for all keys do not expect a lock.
  if ((flags & ALL_KEYS) !== 0) modifiers += 64 * Number(capsLock) + 128 * Number(numLock);
  return modifiers;
}

/** The number of a key that has one, and the end of its sequence. */
function numberOf(press: KeyPress): [number, string] | undefined {
  const { key, code, location } = press;
  if (location === 3 && KEYPAD_KEYS[key] !== undefined) return [KEYPAD_KEYS[key], 'u'];
  const digit = /^Numpad([0-9])$/.exec(code)?.[1];
  if (location === 3 && digit !== undefined) return [KEYPAD_0 + Number(digit), 'u'];
  if (code.startsWith('Numpad') && NUMBERED[code] !== undefined) return [NUMBERED[code], 'u'];
  if (FUNCTION_KEYS[key] !== undefined) return FUNCTION_KEYS[key];
  if (CONTROLS[key] !== undefined) return [CONTROLS[key], 'u'];
  const high = Number(/^F(1[3-9]|2[0-4])$/.exec(key)?.[1] ?? 0);
  if (high > 0) return [F13 + high - 13, 'u'];
  if (key === 'AltGraph') return [ALT_GRAPH, 'u'];
  if (NUMBERED[code] !== undefined && (MODIFIERS.includes(key) || LOCKS.includes(key) || code === key)) return [NUMBERED[code], 'u'];
  return isText(press) ? [textNumber(press), 'u'] : undefined;
}

/** The key as the kitty keyboard protocol tells it with these flags; undefined if as ever. */
export function kittyKey(press: KeyPress, flags: number): string | undefined {
  const { key, type, location, metaKey } = press;
  // Keys with Command belong to the browser.
  if (flags === 0 || (metaKey && key !== 'Meta')) return undefined;
  const all = (flags & ALL_KEYS) !== 0;
  const number = numberOf(press);
  if (number === undefined) return undefined;
  const modifiers = modifiersOf(press, flags);
  const isModifier = MODIFIERS.includes(key) || LOCKS.includes(key);
  const isOldControl = ['Enter', 'Tab', 'Backspace'].includes(key) && location !== 3;
  if (!all) {
    if (isModifier) return undefined;
    // Text is told as text, and these three as ever, so that a shell can be used after a crash.
    if (isText(press) && (modifiers & ~1) === 0) return undefined;
    if (isOldControl && (modifiers === 0 || type === 'release')) return undefined;
    // Without the first flag, a key is told in another way only if there is more to tell.
    if ((flags & DISAMBIGUATE) === 0 && (number[1] === 'u' || type === 'press')) return undefined;
  }
  const tellsEvents = (flags & EVENTS) !== 0;
  if (type === 'release' && !tellsEvents) return undefined;
  const event = tellsEvents && type !== 'press' ? (type === 'repeat' ? ':2' : ':3') : '';

  let first = String(number[0]);
  if ((flags & ALTERNATES) !== 0 && isText(press)) {
    const shifted = press.shiftKey && codePoint(key) !== number[0] ? String(codePoint(key)) : '';
    const us = usKey(press.code);
    const base = us !== undefined && codePoint(us[0]) !== number[0] ? String(codePoint(us[0])) : '';
    if (base !== '') first += `:${shifted}:${base}`;
    else if (shifted !== '') first += `:${shifted}`;
  }
  const writes = isText(press) && type !== 'release' && (modifiers & 6) === 0;
  const text = all && (flags & TEXT) !== 0 && writes ? String(codePoint(key)) : '';
  let second = modifiers > 0 || event !== '' ? `${1 + modifiers}${event}` : '';
  if (text !== '') second += `;${text}`;
  if (second !== '') return `\x1b[${first};${second}${number[1]}`;
  return number[1] === 'u' || number[1] === '~' ? `\x1b[${first}${number[1]}` : `\x1b[${number[1]}`;
}

/** Characters that Ctrl has turned into a control character ever since. */
const HAS_CONTROL = /^[a-zA-Z@[\\\]^_ ?/2-8]$/;

/** The key as xterm's modifyOtherKeys tells it at this level; undefined if as ever. */
export function otherKey(press: KeyPress, level: number): string | undefined {
  const { key, type, shiftKey, altKey, ctrlKey, metaKey, location } = press;
  if (level === 0 || type === 'release' || metaKey || location === 3) return undefined;
  const control = CONTROLS[key];
  if (control === undefined && !isText(press)) return undefined;
  const modifiers = modifiersOf(press, 0);
  if (control === undefined) {
    if ((modifiers & ~1) === 0) return undefined;
    if (level === 1 && (!ctrlKey || HAS_CONTROL.test(key))) return undefined;
  } else {
    // Shift-Tab has a sequence of its own.
    if (modifiers === 0 || (key === 'Tab' && shiftKey && !ctrlKey && !altKey)) return undefined;
    if (level === 1 && (modifiers === 2 || key === 'Backspace')) return undefined;
  }
  return `\x1b[27;${1 + modifiers};${control ?? codePoint(key)}~`;
}
