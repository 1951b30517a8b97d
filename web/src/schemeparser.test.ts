import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadScheme, parseScheme } from './schemeparser.ts';

const hex = (at: number) => `#0102${at.toString(16).padStart(2, '0')}`;
const names = ['black', 'red', 'green', 'yellow', 'blue', 'purple', 'cyan', 'white'];
const bright = names.map((name) => `bright${name[0]?.toUpperCase()}${name.slice(1)}`);
const windows: Record<string, unknown> = {
  name: 'Mine',
  background: '#FDF6E3',
  foreground: '#333',
  cursorColor: '#ff0000',
  ...Object.fromEntries([...names, ...bright].map((name, at) => [name, hex(at)])),
};

const component = (value: number) => `<real>${value}</real>`;
const colour = (key: string, red: number, green: number, blue: number) =>
  `<key>${key}</key>\n<dict><key>Alpha Component</key><real>1</real><key>Blue Component</key>${component(blue)}<key>Color Space</key>
  <string>sRGB</string><key>Green Component</key>${component(green)}<key>Red Component</key>${component(red)}</dict>`;
const list = (body: string) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>${body}</dict></plist>`;
const iterm = [
  ...[...names, ...bright].map((_name, at) => colour(`Ansi ${at} Color`, 1 / 255, 2 / 255, at / 255)),
  colour('Background Color', 0, 0.5, 1),
  colour('Foreground Color', 1, 1, 1),
  colour('Badge Color', 9, 9, 9),
];

const ghostty = [
  '# a comment',
  ...[...names, ...bright].map((_name, at) => `palette = ${at}=${hex(at)}`),
  'palette = 255=#eeeeee',
  'background = 1d1f21',
  'foreground=#c5c8c6',
  'cursor-color = cell-foreground',
  'selection-foreground = cell-background',
];

test('a theme of Windows Terminal', () => {
  const { name, colours, contrast } = parseScheme(JSON.stringify(windows));
  assert.equal(name, 'Mine');
  assert.deepEqual([colours.background, colours.foreground, colours.cursor], ['#fdf6e3', '#333333', '#ff0000']);
  assert.deepEqual([colours.magenta, colours.brightMagenta, colours.brightWhite], [hex(5), hex(13), hex(15)]);
  assert.equal(contrast, 4.5, 'its ground is light');
});

test('a theme of iTerm2', () => {
  const { name, colours, contrast } = parseScheme(list(iterm.join('\n')));
  assert.equal(name, 'Your own');
  assert.deepEqual([colours.background, colours.foreground, colours.cursor], ['#0080ff', '#ffffff', '#ffffff']);
  assert.deepEqual([colours.black, colours.brightWhite], [hex(0), hex(15)]);
  assert.equal(contrast, 4.5);
});

test('a theme of Ghostty', () => {
  const { colours, contrast } = parseScheme(ghostty.join('\r\n'));
  assert.deepEqual([colours.background, colours.foreground, colours.cursor], ['#1d1f21', '#c5c8c6', '#c5c8c6']);
  assert.deepEqual([colours.magenta, colours.brightWhite], [hex(5), hex(15)]);
  assert.equal(contrast, 1);
});

test('what is wrong is said', () => {
  const without = (name: string) => JSON.stringify({ ...windows, [name]: undefined });
  const json = (more: object) => JSON.stringify({ ...windows, ...more });
  const cases: [string, RegExp][] = [
    ['', /nothing to read/],
    [' \n', /nothing to read/],
    ['x'.repeat(70_000), /too long/],
    ['{"name": "a",', /begins like JSON/],
    ['[{}]', /Paste one theme/],
    [JSON.stringify({ schemes: [windows] }), /Paste one theme of “schemes”/],
    [without('purple'), /“purple” is missing/],
    [without('background'), /“background” is missing/],
    [json({ red: 'red' }), /“red” is not a colour such as #1d1f21: “red”/],
    [json({ red: 7 }), /“red” is not a colour such as #1d1f21: what it is set to/],
    [json({ red: 'url(https://example.org)' }), /“red” is not a colour/],
    [json({ red: `\u202e${'x'.repeat(300)}\n<b>` }), /: “x{30}…”\.$/],
    ['<html><body>', /not a property list as iTerm2 exports it, from “<html><body>” on/],
    [list(iterm.slice(1).join('')), /“Ansi 0 Color” is missing/],
    [list(`${iterm.join('')}${colour('Ansi 3 Color', 2, 0, 0)}`), /In “Ansi 3 Color”, Red Component must be a number from 0 to 1/],
    [list(`${iterm.join('')}<key>Ansi 3 Color</key><dict></dict>`), /Red Component must be/],
    [list(iterm.join('')).replace('</dict></plist>', ''), /The end of this property list is missing/],
    ['<!DOCTYPE a [<!ENTITY b "c">]><plist>', /not a property list/],
    ['<dict/>'.repeat(3000), /not a property list/],
    ['background: #fff', /Line 1 is not a line of a theme: “background: #fff”/],
    ['# only\nhello', /Line 2 is not a line of a theme/],
    [ghostty.slice(2).join('\n'), /“palette 0” is missing/],
    [[...ghostty, 'palette = 16777216=#fff'].join('\n'), /Line 23 is not a colour of the palette/],
    [[...ghostty, 'palette = 3=rosybrown'].join('\n'), /“palette 3” is not a colour such as #1d1f21: “rosybrown”/],
    [[...ghostty, 'background = black'].join('\n'), /“background” is not a colour/],
  ];
  for (const [text, said] of cases) {
    assert.throws(() => parseScheme(text), (error) => error instanceof BadScheme && said.test(error.message) && error.message.length < 200, `${text.slice(0, 60)}: ${said}`);
  }
});

test('a theme is read in a time that grows with its length', () => {
  const begun = performance.now();
  for (const text of ['<'.repeat(60_000), '<!--'.repeat(15_000), '<key>'.repeat(12_000), `${'a'.repeat(60_000)}=`, '<?xml'.repeat(12_000), ' '.repeat(60_000) + '<']) {
    assert.throws(() => parseScheme(text), BadScheme);
  }
  assert.ok(performance.now() - begun < 1000);
});
