import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fontNames, fontStack } from './fontnames.ts';
import { DEFAULTS, parsePreferences } from './preferences.ts';
import { SCHEMES } from './schemes.ts';

test('what was stored is found again', () => {
  const theme = SCHEMES[2]!;
  const all = { font: ['Iosevka', 'monospace'], size: 17, lineHeight: 1.4, cursor: 'bar', theme, bell: 'visible', copyOnSelect: true, notify: true, keysOff: ['find'] };
  assert.deepEqual(parsePreferences(JSON.stringify(all)), all);
});

test('what is missing or wrong in the storage is as if nobody had set it', () => {
  const wrong: unknown[] = [
    null, 7, 'dark', [], {},
    { font: ['x"; } body { display: none'] }, { font: 'Iosevka' }, { font: [7] }, { font: Array(40).fill('a') },
    { size: 5 }, { size: 1e9 }, { size: '14' }, { size: null }, { lineHeight: 0 }, { lineHeight: 99 },
    { cursor: 'none' }, { cursor: ['bar'] }, { theme: 'blue' }, { theme: {} }, { bell: true }, { copyOnSelect: 'yes' }, { notify: 1 },
    { keysOff: 'find' }, { keysOff: [7, '<b>', 'x'.repeat(99)] },
    { ...SCHEMES[0], name: '' }, { theme: { ...SCHEMES[0]!, name: 'a\u202eb' } }, { theme: { ...SCHEMES[0]!, contrast: 0 } },
    { theme: { ...SCHEMES[0]!, colours: { ...SCHEMES[0]!.colours, red: 'red' } } },
    { theme: { ...SCHEMES[0]!, colours: { ...SCHEMES[0]!.colours, red: undefined } } },
    { __proto__: null, constructor: 7 },
  ];
  for (const one of wrong) assert.deepEqual(parsePreferences(JSON.stringify(one)), DEFAULTS, JSON.stringify(one));
  for (const text of [null, '', '{', 'undefined', `{"size":20,"x":"${'x'.repeat(9000)}"}`]) assert.deepEqual(parsePreferences(text), DEFAULTS);
});

test('of a stored theme only its colours are taken', () => {
  const colours = { ...SCHEMES[0]!.colours, extra: '#123456', __proto__: { red: '#000000' } };
  const { theme } = parsePreferences(JSON.stringify({ theme: { ...SCHEMES[0]!, colours, more: 1 } }));
  assert.deepEqual(theme, SCHEMES[0]);
});

test('a name of a font cannot end the declaration in which it stands', () => {
  assert.deepEqual(fontNames(`"Fira Code", 'Noto Sans Mono',monospace`), ['Fira Code', 'Noto Sans Mono', 'monospace']);
  assert.deepEqual(fontNames('  '), []);
  assert.deepEqual(fontNames('源ノ角ゴシック'), ['源ノ角ゴシック']);
  for (const wrong of ['a;b', 'a}b', 'a"b', 'a\\22 b', 'url(x)', 'a,', '-x', 'a/*', 'a\nb', '<', 'a'.repeat(61), 'a,b,c,d,e,f,g']) {
    assert.equal(fontNames(wrong), undefined, wrong);
  }
  assert.equal(fontStack(['Fira Code', 'monospace'], 'Menlo'), '"Fira Code", monospace, Menlo');
});
