// Calculates with colours: how well one is read on another, and the page's own colours for a
// terminal theme that has none.

import type { Colours } from './themes.ts';

const BLACK = '#000000';
const WHITE = '#ffffff';

/** The least contrast of text, and of text in a theme that asks for more: WCAG 2.2, 1.4.3 and 1.4.6. */
const TEXT_CONTRAST = 4.5;
const MORE_CONTRAST = 7;

/** A colour as `#rrggbb`, from one that is written with three or six digits; undefined if it is none. */
export function colourOf(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined;
  const digits = /^#?([0-9a-f]{6}|[0-9a-f]{3})$/i.exec(text.trim())?.[1]?.toLowerCase();
  if (digits === undefined) return undefined;
  return `#${digits.length === 6 ? digits : [...digits].map((digit) => digit + digit).join('')}`;
}

function channels(colour: string): [number, number, number] {
  const number = Number.parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 0xff, number & 0xff];
}

/** `share` of the other colour, from 0 to 1, in the first one. */
export function mix(colour: string, other: string, share: number): string {
  const others = channels(other);
  const mixed = channels(colour).map((channel, at) => Math.round(channel + ((others[at] ?? 0) - channel) * share));
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}

/** The relative luminance of WCAG, from 0 to 1. */
export function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The contrast of two colours, from 1 to 21. */
export function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Whether white is read better on the colour than black. */
export function isDark(colour: string): boolean {
  return contrast(colour, WHITE) > contrast(colour, BLACK);
}

/** The colour, as far towards white or black as it must be to be read on each of the grounds. */
export function readable(colour: string, grounds: string[], ratio: number): string {
  const end = isDark(grounds[0] ?? BLACK) ? WHITE : BLACK;
  for (let share = 0; share < 1; share += 0.04) {
    const tried = mix(colour, end, share);
    if (grounds.every((ground) => contrast(tried, ground) >= ratio)) return tried;
  }
  return end;
}

/** The page's colours, the custom properties of base.css, for the colours of a terminal. */
export function pageColours(colours: Colours, atLeast: number): Record<string, string> {
  const { background: ground, foreground } = colours;
  const ratio = atLeast > TEXT_CONTRAST ? MORE_CONTRAST : TEXT_CONTRAST;
  const raised = isDark(ground) ? mix(ground, foreground, 0.06) : mix(ground, WHITE, 0.5);
  const line = mix(ground, foreground, atLeast > TEXT_CONTRAST ? 0.6 : 0.2);
  const hovered = mix(ground, foreground, 0.15);
  // The bar is tinted with red while a shell on the host is in view.
  const grounds = [ground, raised, hovered, mix(raised, colours.red, 0.22)];
  const text = (colour: string) => readable(colour, grounds, ratio);
  const accentGround = readable(colours.blue, [WHITE], TEXT_CONTRAST);
  return {
    '--ground': ground,
    '--raised': raised,
    '--line': line,
    '--hover': hovered,
    '--ink': readable(foreground, grounds, MORE_CONTRAST),
    '--quiet': text(mix(foreground, ground, atLeast > TEXT_CONTRAST ? 0 : 0.35)),
    '--accent': text(colours.blue),
    '--accent-ground': accentGround,
    '--accent-hover': mix(accentGround, BLACK, 0.15),
    '--good': text(colours.green),
    '--trouble': text(colours.yellow),
    '--danger': text(colours.red),
  };
}
