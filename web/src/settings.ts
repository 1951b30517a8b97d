// The settings of this device. What is changed is in use at once, and remembered. This file and what
// it imports are a module of their own, which the page loads when it is needed (later.ts), so it
// imports nothing that has a state.

import { button, span } from './elements.ts';
import { fontNames, fontStack } from './fontnames.ts';
import { familiesHere, fontTrouble, mayListFonts } from './fontshere.ts';
import type { KeyRow } from './keyshelp.ts';
import { CURSORS, DEFAULTS, LINE_HEIGHTS, numberIn, type Preferences, type Scheme, SIZES } from './preferences.ts';
import { readable } from './scheme.ts';
import { BadScheme, parseScheme, PASTED_MAX } from './schemeparser.ts';
import { SCHEMES } from './schemes.ts';
import { type Colours, dark, light, ON_LIGHT } from './themes.ts';
import { counted } from './words.ts';

export interface SettingsCallbacks {
  preferences(): Preferences;
  change(part: Partial<Preferences>): void;
  /** Asks the browser for leave to notify. Returns why there is none, or undefined. */
  askToNotify(): Promise<string | undefined>;
  /** The page's own keys. */
  keys(): KeyRow[];
}

/** Fonts that many people have for their terminal. */
const FONTS = ['Cascadia Mono', 'Consolas', 'DejaVu Sans Mono', 'Fira Code', 'Hack', 'Iosevka', 'JetBrains Mono', 'Menlo', 'SF Mono', 'Source Code Pro', 'Ubuntu Mono'];

const OWN_THEMES: [Preferences['theme'] & string, string][] = [
  ['system', 'As the system has it'],
  ['dark', 'Dark'],
  ['light', 'Light'],
];

const CURSOR_NAMES: Record<Preferences['cursor'], string> = { block: 'Block', underline: 'Underline', bar: 'Bar' };

/** Numbers the elements that refer to each other. */
let lastId = 0;

/** Shows the settings. */
export function showSettings(callbacks: SettingsCallbacks): void {
  if (document.querySelector('#settings')) return;
  const dialog = document.createElement('dialog');
  dialog.id = 'settings';
  dialog.setAttribute('aria-labelledby', 'settings-title');
  dialog.onclose = () => dialog.remove();
  const draw = (focused?: string) => {
    dialog.replaceChildren(form(callbacks, draw, () => dialog.close()));
    if (focused !== undefined) dialog.querySelector<HTMLElement>(`[data-key="${focused}"]`)?.focus();
  };
  draw();
  // A click beside the sheet closes it.
  dialog.onclick = ({ target, clientX, clientY }) => {
    const { left, top } = dialog.getBoundingClientRect();
    if (target === dialog && (clientX < left || clientY < top)) dialog.close();
  };
  document.body.append(dialog);
  dialog.showModal();
}

/** `draw` draws the form anew, and gives the focus to the element with a key. */
function form(callbacks: SettingsCallbacks, draw: (focused?: string) => void, close: () => void): HTMLFormElement {
  const made = create('form', '');
  made.onsubmit = (event) => event.preventDefault();
  const sample = create('pre', 'sample');
  sample.setAttribute('aria-hidden', 'true');
  const change = (part: Partial<Preferences>) => {
    callbacks.change(part);
    drawSample(sample, callbacks.preferences());
  };
  drawSample(sample, callbacks.preferences());

  const header = create('header', '');
  const title = create('h2', '');
  title.id = 'settings-title';
  title.textContent = 'Settings';
  const leave = button('×', close);
  leave.setAttribute('aria-label', 'Close');
  header.append(title, leave);

  const defaults = button('Restore defaults', () => {
    callbacks.change({ ...DEFAULTS });
    draw('defaults');
  });
  defaults.dataset['key'] = 'defaults';
  const actions = create('p', 'row');
  actions.append(defaults, button('Close', close));
  made.append(
    header,
    group('Text', ...textFields(callbacks.preferences(), change)),
    group('Colours', ...colours(callbacks.preferences(), change, draw)),
    sample,
    group('Terminal', ...terminal(callbacks, change)),
    group('Keys of the page', ...keys(callbacks, change)),
    paragraph('Kept in this browser only, for this device.'),
    actions,
  );
  return made;
}

function textFields(preferences: Preferences, change: (part: Partial<Preferences>) => void): HTMLElement[] {
  const font = text(preferences.font.join(', '), 'The page’s own');
  const known = create('datalist', '');
  known.id = `settings-${(lastId += 1)}`;
  const offer = (names: string[]) => known.replaceChildren(...names.map((name) => new Option(name, name)));
  offer(FONTS);
  font.setAttribute('list', known.id);
  const fontLine = pair('Font', font);
  const says = fontLine.querySelector('.small');
  const judge = (names: string[] | undefined) => {
    if (says) says.textContent = names === undefined ? 'A name has letters, digits and spaces; names are separated by commas.' : fontTrouble(names);
  };
  judge(preferences.font);
  font.oninput = () => {
    const names = fontNames(font.value);
    judge(names);
    if (names !== undefined) change({ font: names });
  };
  const list = button('List the fonts of this computer', () => {
    familiesHere().then(
      (names) => {
        offer(names);
        font.focus();
        if (says) says.textContent = `The field offers ${counted(names.length, 'font')} of this computer.`;
      },
      () => {
        if (says) says.textContent = 'The browser did not list its fonts. A name can be typed.';
      },
    );
  });

  return [
    fontLine,
    known,
    ...(mayListFonts() ? [list] : []),
    number('Size, in pixels', preferences.size, 'By the window', SIZES, 1, (value) => change({ size: value ?? DEFAULTS.size })),
    number('Line height', preferences.lineHeight, String(DEFAULTS.lineHeight), LINE_HEIGHTS, 0.05, (value) => change({ lineHeight: value ?? DEFAULTS.lineHeight })),
  ];
}

function colours(preferences: Preferences, change: (part: Partial<Preferences>) => void, draw: (focused?: string) => void): HTMLElement[] {
  const { theme } = preferences;
  const select = create('select', '');
  select.dataset['key'] = 'theme';
  const schemes: Scheme[] = [...SCHEMES];
  if (typeof theme === 'object' && !schemes.some((one) => isSame(one, theme))) schemes.push(theme);
  for (const [word, name] of OWN_THEMES) select.append(new Option(name, word, false, theme === word));
  for (const [at, one] of schemes.entries()) {
    select.append(new Option(one.name, String(at), false, typeof theme === 'object' && isSame(one, theme)));
  }
  select.oninput = () => {
    const own = OWN_THEMES.find(([word]) => word === select.value)?.[0];
    change({ theme: own ?? schemes[Number(select.value)] ?? DEFAULTS.theme });
  };

  const details = create('details', '');
  const summary = create('summary', '');
  summary.textContent = 'Paste a theme';
  const area = create('textarea', '');
  area.setAttribute('aria-label', 'A theme');
  area.placeholder = '{ "name": "…", "background": "#1d1f21", …';
  area.spellcheck = false;
  area.maxLength = PASTED_MAX + 1;
  const trouble = create('p', 'small');
  trouble.setAttribute('role', 'alert');
  area.oninput = () => (trouble.textContent = '');
  const use = button('Use it', () => {
    try {
      change({ theme: parseScheme(area.value) });
      draw('theme');
    } catch (error) {
      trouble.textContent = error instanceof BadScheme ? error.message : 'This cannot be read.';
      area.focus();
    }
  });
  const what = paragraph('From Windows Terminal (JSON), iTerm2 (.itermcolors) or Ghostty (its lines of text). Only colours are taken from it.');
  details.append(summary, what, area, trouble, use);
  return [pair('Theme', select), details];
}

function terminal(callbacks: SettingsCallbacks, change: (part: Partial<Preferences>) => void): HTMLElement[] {
  const preferences = callbacks.preferences();
  const cursor = create('select', '');
  for (const word of CURSORS) cursor.append(new Option(CURSOR_NAMES[word], word, false, word === preferences.cursor));
  cursor.oninput = () => change({ cursor: CURSORS.find((word) => word === cursor.value) ?? DEFAULTS.cursor });
  return [
    pair('Cursor', cursor),
    check('Show the bell as a frame', preferences.bell === 'visible', (isOn) => change({ bell: isOn ? 'visible' : 'none' })),
    check('Copy what is selected with the mouse', preferences.copyOnSelect, (copyOnSelect) => change({ copyOnSelect })),
    ...notifications(callbacks, change),
  ];
}

function notifications({ preferences, askToNotify }: SettingsCallbacks, change: (part: Partial<Preferences>) => void): HTMLElement[] {
  const says = paragraph('');
  says.setAttribute('role', 'status');
  const row = check('Notify me of alerts while I look elsewhere', preferences().notify, (isOn) => {
    says.textContent = '';
    change({ notify: isOn });
    if (!isOn) return;
    void askToNotify().then((why) => {
      if (why === undefined) return;
      says.textContent = why;
      change({ notify: false });
      const box = row.querySelector('input');
      if (box) box.checked = false;
    });
  });
  return [row, says];
}

function keys({ preferences, keys }: SettingsCallbacks, change: (part: Partial<Preferences>) => void): HTMLElement[] {
  const rows = keys().map(({ id, name, key, isOff }) => {
    const row = check(name, !isOff, (isOn) => {
      const others = preferences().keysOff.filter((one) => one !== id);
      change({ keysOff: isOn ? others : [...others, id] });
    });
    const shown = create('kbd', '');
    shown.textContent = key;
    row.append(shown);
    return row;
  });
  return [paragraph('A key that is turned off goes to the shell.'), ...rows];
}

/** Some lines in the colours and letters that are set. */
function drawSample(sample: HTMLElement, { theme, font, size, lineHeight }: Preferences): void {
  const isDark = theme === 'system' ? window.matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
  const shown: Colours = typeof theme === 'object' ? theme.colours : isDark ? dark : light;
  const least = typeof theme === 'object' ? theme.contrast : isDark ? 1 : ON_LIGHT;
  const mono = getComputedStyle(document.documentElement).getPropertyValue('--mono');
  const { style } = sample;
  const legible = (colour: string) => readable(colour, [shown.background], least);
  [style.background, style.color, style.fontFamily] = [shown.background, legible(shown.foreground), fontStack(font, mono)];
  [style.fontSize, style.lineHeight] = [`${size ?? 14}px`, String(lineHeight * 1.2)];
  const part = (words: string, colour: keyof Colours) => {
    const made = span(words);
    made.style.color = legible(shown[colour]);
    return made;
  };
  const blocks = (['red', 'green', 'yellow', 'blue', 'magenta', 'cyan'] as const).map((colour) => part('██', colour));
  const bright = (['brightRed', 'brightGreen', 'brightYellow', 'brightBlue', 'brightMagenta', 'brightCyan'] as const).map((colour) => part('██', colour));
  sample.replaceChildren(
    part('dev@web1', 'green'), ':', part('~/src', 'blue'), '$ make test\n',
    part('ok', 'green'), '  0O 1lI | {} => != "quoted"\n',
    part('error', 'red'), ': ', part('warning', 'yellow'), ' in ', part('main.rs:42', 'cyan'), '\n',
    ...blocks, ...bright,
  );
}

function isSame(one: Scheme, other: Scheme): boolean {
  return one.name === other.name && JSON.stringify(one.colours) === JSON.stringify(other.colours);
}

// Parts of the form.

function create<K extends keyof HTMLElementTagNameMap>(tag: K, name: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (name !== '') made.className = name;
  return made;
}

function group(title: string, ...parts: HTMLElement[]): HTMLFieldSetElement {
  const made = create('fieldset', '');
  const legend = create('legend', '');
  legend.textContent = title;
  made.append(legend, ...parts);
  return made;
}

function paragraph(words: string): HTMLParagraphElement {
  const made = create('p', 'quiet small');
  made.textContent = words;
  return made;
}

/** A field with its name, and room below it for a sentence. */
function pair(name: string, field: HTMLElement): HTMLElement {
  const made = create('div', 'pair');
  const label = create('label', '');
  const says = create('p', 'quiet small');
  field.id = `settings-${(lastId += 1)}`;
  says.id = `settings-${(lastId += 1)}`;
  says.setAttribute('role', 'status');
  field.setAttribute('aria-describedby', says.id);
  label.htmlFor = field.id;
  label.textContent = name;
  made.append(label, field, says);
  return made;
}

function text(value: string, placeholder: string): HTMLInputElement {
  const made = create('input', '');
  made.type = 'text';
  made.value = value;
  made.placeholder = placeholder;
  made.autocomplete = 'off';
  made.spellcheck = false;
  made.maxLength = 200;
  return made;
}

/** A field for a number. `changed` is called with undefined if the field is empty. */
function number(
  name: string,
  value: number | null,
  placeholder: string,
  bounds: { min: number; max: number },
  step: number,
  changed: (value: number | undefined) => void,
): HTMLElement {
  const field = create('input', '');
  field.type = 'number';
  [field.min, field.max, field.step] = [String(bounds.min), String(bounds.max), String(step)];
  [field.value, field.placeholder] = [value === null ? '' : String(value), placeholder];
  const made = pair(name, field);
  const says = made.querySelector('.small');
  field.oninput = () => {
    const typed = numberIn(field.valueAsNumber, bounds);
    const isNone = typed === undefined && field.value !== '';
    // A number that is being typed may not be one yet.
    if (!isNone) changed(typed);
    if (says) says.textContent = isNone ? `From ${bounds.min} to ${bounds.max}.` : '';
  };
  return made;
}

function check(name: string, isOn: boolean, changed: (isOn: boolean) => void): HTMLLabelElement {
  const made = create('label', 'check');
  const box = create('input', '');
  box.type = 'checkbox';
  box.checked = isOn;
  box.oninput = () => changed(box.checked);
  made.append(box, span(name));
  return made;
}
