// Parses a theme that the user pastes, in the form of Windows Terminal (JSON), iTerm2 (a property
// list) or Ghostty (lines of text). What is pasted is untrusted: only colours are taken from it, and
// what is wrong is said in a sentence.

import type { Scheme } from './preferences.ts';
import { colourOf, isDark, mix } from './scheme.ts';
import { type Colours, ON_LIGHT } from './themes.ts';

/** The longest text that is parsed, in characters. The themes of iTerm2 are the longest: about 12,000. */
export const PASTED_MAX = 65_536;

/** The longest name of a theme. */
const NAME_MAX = 40;

/** The largest number of elements in a property list. */
const ELEMENTS_MAX = 2000;

/** The most that is shown of a wrong word. */
const SHOWN_MAX = 30;

/** The 16 colours in their order, as `Colours` names them. */
const PALETTE = [
  'black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white', 'brightBlack', 'brightRed', 'brightGreen', 'brightYellow',
  'brightBlue', 'brightMagenta', 'brightCyan', 'brightWhite',
] as const satisfies readonly (keyof Colours)[];

/** The text is no theme. The message is a sentence for the user. */
export class BadScheme extends Error {
  override readonly name = 'BadScheme';
}

/** The colours of a theme apart from its palette. Those that it need not name have a default. */
interface Own {
  background: string;
  foreground: string;
  cursor?: string | undefined;
  cursorAccent?: string | undefined;
  selectionBackground?: string | undefined;
}

/** All colours of a theme from those that it names. */
export function made({ background, foreground, cursor, cursorAccent, selectionBackground }: Own, palette: readonly string[]): Colours {
  const selected = selectionBackground ?? mix(background, foreground, 0.25);
  const own = {
    background,
    foreground,
    cursor: cursor ?? foreground,
    cursorAccent: cursorAccent ?? background,
    selectionBackground: selected,
    selectionInactiveBackground: mix(background, selected, 0.6),
  };
  const named = Object.fromEntries(PALETTE.map((name, at) => [name, palette[at] ?? foreground]));
  return { ...(named as Record<(typeof PALETTE)[number], string>), ...own };
}

/** The theme of a text. Throws `BadScheme`. */
export function parseScheme(text: string): Scheme {
  const trimmed = text.replace(/^\ufeff/, '').trim();
  if (trimmed === '') throw new BadScheme('There is nothing to read yet.');
  if (trimmed.length > PASTED_MAX) throw new BadScheme('This is too long for a theme.');
  if (trimmed.startsWith('{') || trimmed.startsWith('[')) return ofJson(trimmed);
  if (trimmed.startsWith('<')) return ofPropertyList(trimmed);
  return ofLines(trimmed);
}

/** A word of the text as it may be shown. */
function shown(word: string): string {
  const plain = word.slice(0, 200).replace(/[\p{Cc}\p{Cf}\p{Cs}\s]+/gu, ' ').trim();
  return `“${plain.slice(0, SHOWN_MAX)}${plain.length > SHOWN_MAX ? '…' : ''}”`;
}

function nameOf(name: unknown): string {
  const plain = typeof name === 'string' ? name.slice(0, 200).replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '').trim() : '';
  return plain.slice(0, NAME_MAX) || 'Your own';
}

/**
 * A theme from colours by the names that its form has for them. `names` are those of `Own`, then
 * those of the palette; a colour without which there is no theme must be there.
 */
function schemeOf(name: unknown, found: ReadonlyMap<string, string>, own: Record<keyof Own, string>, palette: readonly string[]): Scheme {
  const needed = (word: string) => {
    const colour = found.get(word);
    if (colour === undefined) throw new BadScheme(`The colour ${shown(word)} is missing.`);
    return colour;
  };
  const colours = made(
    {
      background: needed(own.background),
      foreground: needed(own.foreground),
      cursor: found.get(own.cursor),
      cursorAccent: found.get(own.cursorAccent),
      selectionBackground: found.get(own.selectionBackground),
    },
    palette.map(needed),
  );
  return { name: nameOf(name), colours, contrast: isDark(colours.background) ? 1 : ON_LIGHT };
}

function colour(word: string, value: unknown): string {
  const found = colourOf(value);
  if (found !== undefined) return found;
  const what = typeof value === 'string' ? shown(value) : 'what it is set to';
  throw new BadScheme(`${shown(word)} is not a colour such as #1d1f21: ${what}.`);
}

// Windows Terminal: https://learn.microsoft.com/windows/terminal/customize-settings/color-schemes

const JSON_OWN = {
  background: 'background',
  foreground: 'foreground',
  cursor: 'cursorColor',
  cursorAccent: 'cursorText',
  selectionBackground: 'selectionBackground',
};
const JSON_PALETTE = PALETTE.map((name) => name.replace('magenta', 'purple').replace('Magenta', 'Purple'));

function ofJson(text: string): Scheme {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new BadScheme('This begins like JSON and is none: a brace, a quote or a comma is missing, or one is too many.');
  }
  if (Array.isArray(parsed)) throw new BadScheme('This is a list. Paste one theme of it, from { to }.');
  if (typeof parsed !== 'object' || parsed === null) throw new BadScheme('This is not a theme.');
  const fields = new Map<string, unknown>(Object.entries(parsed));
  if (fields.has('schemes')) throw new BadScheme('These are all settings of Windows Terminal. Paste one theme of “schemes”, from { to }.');
  const words = [...Object.values(JSON_OWN), ...JSON_PALETTE];
  const found = words.filter((word) => fields.has(word)).map((word): [string, string] => [word, colour(word, fields.get(word))]);
  return schemeOf(fields.get('name'), new Map(found), JSON_OWN, JSON_PALETTE);
}

// iTerm2: a property list (https://www.apple.com/DTDs/PropertyList-1.0.dtd) whose dictionary has a
// dictionary for each colour. The page may not have the browser parse XML: trusted types.

const PLIST_OWN = {
  background: 'Background Color',
  foreground: 'Foreground Color',
  cursor: 'Cursor Color',
  cursorAccent: 'Cursor Text Color',
  selectionBackground: 'Selection Color',
};
const PLIST_PALETTE = PALETTE.map((_name, at) => `Ansi ${at} Color`);

/** An element without elements in it, the beginning or the end of one, or what has no meaning here. */
const PLIST_TOKEN = /<(key|real|integer|string)>([^<]*)<\/\1>|<(\/?)(plist|dict)(?: version="[^"<>]*")?>|<(string|dict)\/>|<\?xml[^<>]*\?>|<!DOCTYPE[^<>[]*>|<!--(?:(?!-->)[\s\S])*-->|\s+/y;

function ofPropertyList(text: string): Scheme {
  const found = new Map<string, string>();
  let depth = 0;
  let key = '';
  let outer = '';
  let parts = new Map<string, number>();
  PLIST_TOKEN.lastIndex = 0;
  for (let elements = 0; PLIST_TOKEN.lastIndex < text.length; elements += 1) {
    const at = PLIST_TOKEN.lastIndex;
    const token = PLIST_TOKEN.exec(text);
    if (token === null || elements > ELEMENTS_MAX) {
      throw new BadScheme(`This is not a property list as iTerm2 exports it, from ${shown(text.slice(at, at + 60))} on.`);
    }
    const [, leaf, content = '', end, nest] = token;
    if (leaf === 'key') {
      key = content.trim();
    } else if (leaf === 'real' || leaf === 'integer') {
      if (depth === 2) parts.set(key, Number(content));
    } else if (nest === 'dict' && end === '') {
      depth += 1;
      if (depth === 2) [outer, parts] = [key, new Map()];
    } else if (nest === 'dict') {
      if (depth === 2) takeComponents(found, outer, parts);
      depth -= 1;
    }
  }
  if (depth !== 0) throw new BadScheme('The end of this property list is missing.');
  return schemeOf(undefined, found, PLIST_OWN, PLIST_PALETTE);
}

function takeComponents(found: Map<string, string>, word: string, parts: ReadonlyMap<string, number>): void {
  if (![...Object.values(PLIST_OWN), ...PLIST_PALETTE].includes(word)) return;
  const channels = ['Red', 'Green', 'Blue'].map((name) => {
    const part = parts.get(`${name} Component`);
    if (part === undefined || !(part >= 0 && part <= 1)) {
      throw new BadScheme(`In ${shown(word)}, ${name} Component must be a number from 0 to 1.`);
    }
    return Math.round(part * 255).toString(16).padStart(2, '0');
  });
  found.set(word, `#${channels.join('')}`);
}

// Ghostty: https://ghostty.org/docs/config/reference

const LINES_OWN = {
  background: 'background',
  foreground: 'foreground',
  cursor: 'cursor-color',
  cursorAccent: 'cursor-text',
  selectionBackground: 'selection-background',
};
const LINES_PALETTE = PALETTE.map((_name, at) => `palette ${at}`);

function ofLines(text: string): Scheme {
  const found = new Map<string, string>();
  for (const [at, line] of text.split(/\r\n|\r|\n/).entries()) {
    const plain = line.trim();
    if (plain === '' || plain.startsWith('#')) continue;
    const [, word, value] = /^([a-z-]+)\s*=\s*(.*)$/.exec(plain) ?? [];
    if (word === undefined || value === undefined) {
      throw new BadScheme(`Line ${at + 1} is not a line of a theme: ${shown(plain)}. Themes of Windows Terminal, iTerm2 and Ghostty are understood.`);
    }
    if (word === 'palette') {
      const [, index, entry] = /^(\d{1,3})\s*=\s*(.*)$/.exec(value) ?? [];
      if (index === undefined) throw new BadScheme(`Line ${at + 1} is not a colour of the palette such as “palette = 1=#cc241d”.`);
      // The other 240 are the same in all themes of the page.
      if (Number(index) < PALETTE.length) found.set(`palette ${Number(index)}`, colour(`palette ${Number(index)}`, entry));
    } else if (Object.values(LINES_OWN).includes(word) && !/^cell-(fore|back)ground$/.test(value)) {
      found.set(word, colour(word, value));
    }
  }
  return schemeOf(undefined, found, LINES_OWN, LINES_PALETTE);
}
