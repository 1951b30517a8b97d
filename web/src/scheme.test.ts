import assert from 'node:assert/strict';
import { test } from 'node:test';

import { colourOf, contrast, isDark, mix, pageColours } from './scheme.ts';
import { SCHEMES } from './schemes.ts';

test('a colour has three or six digits, and nothing else is one', () => {
  assert.equal(colourOf('#1D1f21'), '#1d1f21');
  assert.equal(colourOf(' abc '), '#aabbcc');
  for (const wrong of ['', '#12345', '#1234567', 'red', '#12345g', 'rgb(1,2,3)', '#000;}', 0x123456, null, undefined]) {
    assert.equal(colourOf(wrong), undefined, String(wrong));
  }
});

test('contrast is that of WCAG', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21);
  assert.equal(contrast('#777777', '#777777'), 1);
  assert.equal(contrast('#767676', '#ffffff').toFixed(2), '4.54');
  assert.ok(isDark('#13151b') && !isDark('#fbfbfd'));
  assert.equal(mix('#000000', '#ff8000', 0.5), '#804000');
});

test('the page is legible in the colours of any theme', () => {
  const unreadable = { ...SCHEMES[0]!, colours: { ...SCHEMES[0]!.colours, background: '#808080', foreground: '#828282', blue: '#808080' } };
  for (const { name, colours, contrast: atLeast } of [...SCHEMES, unreadable]) {
    const page = pageColours(colours, atLeast);
    for (const text of ['--ink', '--quiet', '--accent', '--good', '--trouble', '--danger']) {
      for (const ground of ['--ground', '--raised', '--hover']) {
        const found = contrast(page[text]!, page[ground]!);
        assert.ok(found >= 4.5, `${name}: ${text} on ${ground} has ${found}`);
      }
    }
    assert.ok(contrast('#ffffff', page['--accent-ground']!) >= 4.5, `${name}: the main button`);
  }
});
