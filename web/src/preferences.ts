// What the user can set in the page for a device. It is kept in the browser's storage, and what is
// found there is parsed like any other input.

import { fontNames, isFontName } from './fontnames.ts';
import { dark, type Colours } from './themes.ts';

/** The longest stored text that is parsed, in characters. More counts as nothing. */
const STORED_MAX = 8192;

/** The longest name of a theme. */
const NAME_MAX = 40;

/** The most keys that are turned off. */
const KEYS_MAX = 40;

/** Bounds of the font size in pixels, and of the height of a line in font sizes. */
export const SIZES = { min: 6, max: 40 } as const;
export const LINE_HEIGHTS = { min: 1, max: 2 } as const;

export const CURSORS = ['block', 'underline', 'bar'] as const;
export const BELLS = ['none', 'visible'] as const;
export const OWN_THEMES = ['system', 'dark', 'light'] as const;

/** A theme other than the page's own, with its colours. */
export interface Scheme {
  name: string;
  colours: Colours;
  /** The least contrast of a character, to which the terminal corrects its colour: 1 for as it is. */
  contrast: number;
}

export interface Preferences {
  /** Families in the order of preference; the page's own follow. */
  font: string[];
  /** Pixels; null for what suits the window. */
  size: number | null;
  /** In font sizes. */
  lineHeight: number;
  cursor: (typeof CURSORS)[number];
  theme: (typeof OWN_THEMES)[number] | Scheme;
  bell: (typeof BELLS)[number];
  copyOnSelect: boolean;
  /** Whether the browser notifies of an alert while the user looks elsewhere. */
  notify: boolean;
  /** The ids of the actions whose keys are turned off. */
  keysOff: string[];
}

export const DEFAULTS: Readonly<Preferences> = {
  font: [],
  size: null,
  lineHeight: 1.15,
  cursor: 'block',
  theme: 'system',
  bell: 'none',
  copyOnSelect: false,
  notify: false,
  keysOff: [],
};

/** The preferences in a stored text. What is missing or wrong is as if nobody had set it. */
export function parsePreferences(stored: string | null): Preferences {
  let parsed: unknown;
  try {
    parsed = stored === null || stored.length > STORED_MAX ? {} : JSON.parse(stored);
  } catch {
    parsed = {};
  }
  if (typeof parsed !== 'object' || parsed === null) parsed = {};
  const found = parsed as Record<keyof Preferences, unknown>;
  return {
    font: Array.isArray(found.font) && found.font.every(isFontName) ? (fontNames(found.font.join(',')) ?? []) : [],
    size: numberIn(found.size, SIZES) ?? DEFAULTS.size,
    lineHeight: numberIn(found.lineHeight, LINE_HEIGHTS) ?? DEFAULTS.lineHeight,
    cursor: oneOf(CURSORS, found.cursor) ?? DEFAULTS.cursor,
    theme: oneOf(OWN_THEMES, found.theme) ?? schemeOf(found.theme) ?? DEFAULTS.theme,
    bell: oneOf(BELLS, found.bell) ?? DEFAULTS.bell,
    copyOnSelect: found.copyOnSelect === true,
    notify: found.notify === true,
    keysOff: Array.isArray(found.keysOff) ? found.keysOff.filter(isActionId).slice(0, KEYS_MAX) : [],
  };
}

export function numberIn(value: unknown, { min, max }: { min: number; max: number }): number | undefined {
  return typeof value === 'number' && value >= min && value <= max ? value : undefined;
}

function oneOf<T extends string>(words: readonly T[], value: unknown): T | undefined {
  return words.find((word) => word === value);
}

function isActionId(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z-]{1,20}$/.test(value);
}

function schemeOf(value: unknown): Scheme | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, colours, contrast } = value as Record<keyof Scheme, unknown>;
  const least = numberIn(contrast, { min: 1, max: 21 });
  if (typeof name !== 'string' || name === '' || name.length > NAME_MAX || /[\p{Cc}\p{Cf}\p{Cs}]/u.test(name)) return undefined;
  if (least === undefined || typeof colours !== 'object' || colours === null) return undefined;
  const own = new Map<string, unknown>(Object.entries(colours));
  const words = Object.keys(dark);
  const isColour = (colour: unknown) => typeof colour === 'string' && /^#[0-9a-f]{6}$/.test(colour);
  if (!words.every((word) => isColour(own.get(word)))) return undefined;
  return { name, contrast: least, colours: Object.fromEntries(words.map((word) => [word, own.get(word)])) as Colours };
}
