import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ALL_KEYS, ALTERNATES, DISAMBIGUATE, EVENTS, type KeyPress, TEXT, kittyKey, otherKey } from './keyencode.ts';

type Held = 'shift' | 'ctrl' | 'alt' | 'meta' | 'altGraph' | 'caps' | 'num' | 'mac';

function press(key: string, code: string, held: Held[] = [], type: KeyPress['type'] = 'press', location = 0): KeyPress {
  const has = (one: Held) => held.includes(one);
  return {
    ...{ key, code, keyCode: 0, isComposing: false, type, location },
    ...{ shiftKey: has('shift'), ctrlKey: has('ctrl'), altKey: has('alt'), metaKey: has('meta') },
    ...{ altGraph: has('altGraph'), capsLock: has('caps'), numLock: has('num'), altMakesText: has('mac') },
  };
}

const a = press('a', 'KeyA');
const enter = (...held: Held[]) => press('Enter', 'Enter', held);

for (const [what, one, flags, told] of [
  ['no flag', press('Escape', 'Escape'), 0, undefined],
  ['Escape', press('Escape', 'Escape'), DISAMBIGUATE, '\x1b[27u'],
  ['a letter', a, DISAMBIGUATE, undefined],
  ['a capital', press('A', 'KeyA', ['shift']), DISAMBIGUATE, undefined],
  ['Ctrl-A', press('a', 'KeyA', ['ctrl']), DISAMBIGUATE, '\x1b[97;5u'],
  ['Ctrl-I', press('i', 'KeyI', ['ctrl']), DISAMBIGUATE, '\x1b[105;5u'],
  ['Tab', press('Tab', 'Tab'), DISAMBIGUATE, undefined],
  ['Shift-Tab', press('Tab', 'Tab', ['shift']), DISAMBIGUATE, '\x1b[9;2u'],
  ['Enter', enter(), DISAMBIGUATE, undefined],
  ['Shift-Enter', enter('shift'), DISAMBIGUATE, '\x1b[13;2u'],
  ['Ctrl-Alt-Enter', enter('ctrl', 'alt'), DISAMBIGUATE, '\x1b[13;7u'],
  ['Alt-Backspace', press('Backspace', 'Backspace', ['alt']), DISAMBIGUATE, '\x1b[127;3u'],
  ['Ctrl-Shift-A', press('A', 'KeyA', ['ctrl', 'shift']), DISAMBIGUATE, '\x1b[97;6u'],
  ['Ctrl-Shift-2', press('@', 'Digit2', ['ctrl', 'shift']), DISAMBIGUATE, '\x1b[50;6u'],
  ['Alt-ö', press('ö', 'Semicolon', ['alt']), DISAMBIGUATE, '\x1b[246;3u'],
  ['Ctrl-Space', press(' ', 'Space', ['ctrl']), DISAMBIGUATE, '\x1b[32;5u'],
  ['a sign with AltGr', press('@', 'KeyQ', ['ctrl', 'alt', 'altGraph']), DISAMBIGUATE, undefined],
  ['a sign with Option', press('å', 'KeyA', ['alt', 'mac']), DISAMBIGUATE, undefined],
  ['Command-C', press('c', 'KeyC', ['meta']), DISAMBIGUATE | ALL_KEYS, undefined],
  ['an arrow', press('ArrowUp', 'ArrowUp'), DISAMBIGUATE, '\x1b[A'],
  ['Ctrl-Left', press('ArrowLeft', 'ArrowLeft', ['ctrl']), DISAMBIGUATE, '\x1b[1;5D'],
  ['F1', press('F1', 'F1'), DISAMBIGUATE, '\x1b[P'],
  ['F3', press('F3', 'F3'), DISAMBIGUATE, '\x1b[13~'],
  ['Shift-F5', press('F5', 'F5', ['shift']), DISAMBIGUATE, '\x1b[15;2~'],
  ['F13', press('F13', 'F13'), DISAMBIGUATE, '\x1b[57376u'],
  ['Enter on the keypad', press('Enter', 'NumpadEnter', [], 'press', 3), DISAMBIGUATE, '\x1b[57414u'],
  ['a digit on the keypad', press('7', 'Numpad7', ['num'], 'press', 3), DISAMBIGUATE, undefined],
  ['an arrow on the keypad', press('ArrowUp', 'Numpad8', [], 'press', 3), DISAMBIGUATE, '\x1b[57419u'],
  ['Shift alone', press('Shift', 'ShiftLeft', ['shift']), DISAMBIGUATE | EVENTS, undefined],
  ['Shift alone, all keys', press('Shift', 'ShiftRight', ['shift']), ALL_KEYS, '\x1b[57447;2u'],
  ['Caps Lock and an arrow', press('ArrowUp', 'ArrowUp', ['caps', 'num']), DISAMBIGUATE, '\x1b[A'],
  ['Caps Lock and an arrow, all keys', press('ArrowUp', 'ArrowUp', ['caps', 'num']), ALL_KEYS, '\x1b[1;193A'],
  ['a letter, all keys', a, ALL_KEYS, '\x1b[97u'],
  ['Enter, all keys', enter(), ALL_KEYS, '\x1b[13u'],
  ['a capital with text', press('A', 'KeyA', ['shift']), ALL_KEYS | TEXT, '\x1b[97;2;65u'],
  ['a letter with text', a, ALL_KEYS | TEXT, '\x1b[97;;97u'],
  ['Ctrl-A has no text', press('a', 'KeyA', ['ctrl']), ALL_KEYS | TEXT, '\x1b[97;5u'],
  ['text without all keys', press('a', 'KeyA', ['ctrl']), DISAMBIGUATE | TEXT, '\x1b[97;5u'],
  ['the shifted key', press('A', 'KeyA', ['shift', 'ctrl']), DISAMBIGUATE | ALTERNATES, '\x1b[97:65;6u'],
  ['a key of another layout', press('ф', 'KeyA', ['ctrl']), DISAMBIGUATE | ALTERNATES, '\x1b[1092::97;5u'],
  ['the same with Shift', press('Ф', 'KeyA', ['ctrl', 'shift']), DISAMBIGUATE | ALTERNATES, '\x1b[1092:1060:97;6u'],
  ['a repeat', press('Escape', 'Escape', [], 'repeat'), DISAMBIGUATE | EVENTS, '\x1b[27;1:2u'],
  ['a repeat that is not asked for', press('Escape', 'Escape', [], 'repeat'), DISAMBIGUATE, '\x1b[27u'],
  ['a release', press('Escape', 'Escape', [], 'release'), DISAMBIGUATE | EVENTS, '\x1b[27;1:3u'],
  ['a release that is not asked for', press('Escape', 'Escape', [], 'release'), DISAMBIGUATE, undefined],
  ['the release of a letter', press('a', 'KeyA', [], 'release'), DISAMBIGUATE | EVENTS, undefined],
  ['the release of a letter, all keys', press('a', 'KeyA', [], 'release'), ALL_KEYS | EVENTS | TEXT, '\x1b[97;1:3u'],
  ['the release of Shift-Enter', press('Enter', 'Enter', ['shift'], 'release'), DISAMBIGUATE | EVENTS, undefined],
  ['the release of Ctrl-Up', press('ArrowUp', 'ArrowUp', ['ctrl'], 'release'), EVENTS, '\x1b[1;5:3A'],
  ['Ctrl-A without disambiguation', press('a', 'KeyA', ['ctrl']), EVENTS, undefined],
  ['an arrow without disambiguation', press('ArrowUp', 'ArrowUp'), EVENTS, undefined],
  ['its repeat', press('ArrowUp', 'ArrowUp', [], 'repeat'), EVENTS, '\x1b[1;1:2A'],
  ['a dead key', press('Dead', 'BracketRight'), DISAMBIGUATE | ALL_KEYS, undefined],
] as const) {
  test(`kitty: ${what}`, () => assert.equal(kittyKey(one, flags), told));
}

for (const [what, one, level, told] of [
  ['level 0', enter('shift'), 0, undefined],
  ['Shift-Enter', enter('shift'), 1, '\x1b[27;2;13~'],
  ['Ctrl-Enter', enter('ctrl'), 1, '\x1b[27;5;13~'],
  ['Enter', enter(), 2, undefined],
  ['Ctrl-I at level 1', press('i', 'KeyI', ['ctrl']), 1, undefined],
  ['Ctrl-I at level 2', press('i', 'KeyI', ['ctrl']), 2, '\x1b[27;5;105~'],
  ['Ctrl-Tab', press('Tab', 'Tab', ['ctrl']), 1, '\x1b[27;5;9~'],
  ['Shift-Tab', press('Tab', 'Tab', ['shift']), 2, undefined],
  ['Ctrl-;', press(';', 'Semicolon', ['ctrl']), 1, '\x1b[27;5;59~'],
  ['Ctrl-Shift-A at level 2', press('A', 'KeyA', ['ctrl', 'shift']), 2, '\x1b[27;6;65~'],
  ['Alt-X at level 1', press('x', 'KeyX', ['alt']), 1, undefined],
  ['Alt-X at level 2', press('x', 'KeyX', ['alt']), 2, '\x1b[27;3;120~'],
  ['a capital', press('A', 'KeyA', ['shift']), 2, undefined],
  ['a sign with AltGr', press('@', 'KeyQ', ['ctrl', 'alt', 'altGraph']), 2, undefined],
  ['an arrow', press('ArrowUp', 'ArrowUp', ['ctrl']), 2, undefined],
  ['a release', press('Enter', 'Enter', ['shift'], 'release'), 2, undefined],
] as const) {
  test(`modifyOtherKeys: ${what}`, () => assert.equal(otherKey(one, level), told));
}
