import assert from 'node:assert/strict';
import { test } from 'node:test';

import { controlSign, endsComposition, ownKey, pastInputMethod, type Pressed } from './keys.ts';

const none = { ctrlKey: false, shiftKey: false, altKey: false, metaKey: false, isComposing: false };
const pressed = (key: string, code: string, more: Partial<Pressed>): Pressed => ({ key, code, keyCode: 0, ...none, ...more });
const both = { ctrlKey: true, shiftKey: true };

test('the letter on the key counts, wherever it is', () => {
  assert.equal(ownKey(pressed('F', 'KeyF', both)), 'F');
  assert.equal(ownKey(pressed('F', 'KeyY', both)), 'F', 'Dvorak');
  assert.equal(ownKey(pressed('U', 'KeyF', both)), 'U', 'Dvorak');
  assert.equal(ownKey(pressed('а', 'KeyF', both)), 'F', 'Cyrillic');
  assert.equal(ownKey(pressed('Process', 'KeyL', both)), 'L', 'an input method');
});

test('only Ctrl and Shift together make it', () => {
  assert.equal(ownKey(pressed('f', 'KeyF', { ctrlKey: true })), undefined);
  assert.equal(ownKey(pressed('F', 'KeyF', { ...both, altKey: true })), undefined);
  assert.equal(ownKey(pressed('constructor', '', both)), undefined);
  assert.equal(ownKey(pressed('?', 'Slash', { shiftKey: true })), '?');
  assert.equal(ownKey(pressed('?', 'Minus', { shiftKey: true })), '?', 'German');
  assert.equal(ownKey(pressed('?', 'Slash', both)), undefined);
  assert.equal(ownKey(pressed('?', 'Slash', { shiftKey: true, isComposing: true })), undefined);
});

test('a program can be interrupted under an input method', () => {
  const kept = { keyCode: 229 };
  assert.equal(pastInputMethod(pressed('Process', 'KeyC', { ...kept, ctrlKey: true })), '\x03');
  assert.equal(pastInputMethod(pressed('c', 'KeyI', { ...kept, ctrlKey: true })), '\x03', 'Dvorak');
  assert.equal(pastInputMethod(pressed('Process', 'Escape', kept)), '\x1b');
});

test('what an input method composes is left to it', () => {
  const kept = { keyCode: 229 };
  assert.equal(pastInputMethod(pressed('Process', 'KeyC', kept)), undefined);
  assert.equal(pastInputMethod(pressed('Process', 'Escape', { ...kept, isComposing: true })), undefined);
  assert.equal(pastInputMethod(pressed('c', 'KeyC', { ctrlKey: true })), undefined, 'xterm.js has it');
});

test('Ctrl with a sign is its byte on any layout', () => {
  const ctrl = (key: string, code: string, more: Partial<Pressed> & { altGraph?: boolean } = {}) =>
    controlSign({ ...pressed(key, code, { ctrlKey: true, ...more }), altGraph: more.altGraph ?? false });
  assert.equal(ctrl('/', 'Slash'), '\x1f', 'US');
  assert.equal(ctrl('/', 'Digit7', { shiftKey: true }), '\x1f', 'German');
  assert.equal(ctrl('_', 'Slash', { shiftKey: true }), '\x1f', 'German');
  assert.equal(ctrl('_', 'Digit8'), '\x1f', 'French');
  assert.equal(ctrl('\\', 'Minus', { altGraph: true }), '\x1c', 'German, AltGr');
  assert.equal(ctrl('\\', 'Minus', { altGraph: true, altKey: true }), '\x1c', 'where AltGr is Ctrl and Alt');
  assert.equal(ctrl(']', 'Digit9', { altGraph: true }), '\x1d', 'German, AltGr');
  assert.equal(ctrl('ъ', 'BracketRight'), '\x1d', 'Cyrillic');
  assert.equal(ctrl('ü', 'BracketLeft'), undefined, 'German');
  assert.equal(ctrl('+', 'BracketRight'), undefined, 'German: it is a plus');
  assert.equal(ctrl('/', 'Slash', { altKey: true }), undefined, 'Alt is another thing');
  assert.equal(controlSign({ ...pressed('/', 'Slash', {}), altGraph: false }), undefined);
});

test('a key that the input method lets go of ends what is composed, and one that only modifies does not', () => {
  const composing = { isComposing: true };
  assert.ok(endsComposition(pressed(' ', 'Space', { ...composing, keyCode: 32 })));
  assert.ok(endsComposition(pressed('ArrowLeft', 'ArrowLeft', { ...composing, keyCode: 37 })));
  assert.ok(!endsComposition(pressed('Process', 'Space', { ...composing, keyCode: 229 })));
  assert.ok(!endsComposition(pressed('Shift', 'ShiftLeft', { ...composing, keyCode: 16 })));
  assert.ok(!endsComposition(pressed(' ', 'Space', { keyCode: 32 })));
});
