// The fonts of this computer, as far as the browser tells.

import { fontStack, isFontName } from './fontnames.ts';

/** The most families that are offered. */
const FAMILIES_MAX = 500;

/** Not supported by every browser, and not in TypeScript's types. */
interface LocalFonts {
  queryLocalFonts?: () => Promise<{ family: string }[]>;
}

const { queryLocalFonts } = window as Window & LocalFonts;

/** Whether the browser can list them, if the user lets it. */
export function mayListFonts(): boolean {
  return queryLocalFonts !== undefined;
}

/** The families whose letters are all of one width. Rejects if the user or the browser refuses. */
export async function familiesHere(): Promise<string[]> {
  const fonts = (await queryLocalFonts?.call(window)) ?? [];
  // Some browsers refuse with an empty list.
  if (fonts.length === 0) throw new Error('no fonts are listed');
  const names = new Set(fonts.map(({ family }) => family).filter(isFontName));
  return [...names].filter((name) => isFixed(name)).sort().slice(0, FAMILIES_MAX);
}

/** A sentence about families that cannot be used as they should be, or an empty string. */
export function fontTrouble(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined) return '';
  const missing = names.filter((name) => !isHere(name));
  if (missing.length === names.length) return `There is no ${missing.join(', ')} on this device. The page’s own is used.`;
  return isHere(first) && !isFixed(first) ? `The letters of ${first} differ in width, so columns will not look right.` : '';
}

const canvas = document.createElement('canvas').getContext('2d');

function width(text: string, font: string): number {
  if (!canvas) return 0;
  canvas.font = `32px ${font}`;
  return canvas.measureText(text).width;
}

/** Whether a family is there: text is then not as wide as in each of the families behind it. */
function isHere(name: string): boolean {
  const sample = 'mmmmmmmmmmlliiWW@#%';
  return ['monospace', 'serif'].some((other) => width(sample, fontStack([name], other)) !== width(sample, other));
}

function isFixed(name: string): boolean {
  return width('iiii', fontStack([name], 'serif')) === width('WWWW', fontStack([name], 'serif'));
}
