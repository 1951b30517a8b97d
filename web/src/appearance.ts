// The colours in use: those of the theme that the user has chosen, or of the one that suits the
// system. They are those of the page too, so that the terminal and the page look like one surface.

import { onPreferences, preferences } from './preferencestore.ts';
import { isDark, pageColours } from './scheme.ts';
import { type Colours, dark, light, ON_LIGHT } from './themes.ts';

export interface Appearance {
  colours: Colours;
  /** The least contrast of a character, to which xterm.js corrects its colour. */
  contrast: number;
}

const darkness = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

export function appearance(): Appearance {
  const { theme } = preferences();
  if (typeof theme === 'object') return theme;
  const isNight = theme === 'system' ? darkness.matches : theme === 'dark';
  return isNight ? { colours: dark, contrast: 1 } : { colours: light, contrast: ON_LIGHT };
}

/** Has `listener` called when the colours may have changed. */
export function onAppearance(listener: () => void): void {
  listeners.add(listener);
}

/** What index.html says about the colours of the window around the page. */
const metas = [...document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]')].map((meta) => ({ meta, own: meta.content }));

function paint(): void {
  const { theme } = preferences();
  const { colours, contrast } = appearance();
  const { style } = document.documentElement;
  const isOwn = typeof theme !== 'object';
  // Both of the page's own themes are in base.css.
  for (const [name, colour] of Object.entries(pageColours(colours, contrast))) style.setProperty(name, isOwn ? null : colour);
  style.colorScheme = theme === 'system' ? '' : isDark(colours.background) ? 'dark' : 'light';
  for (const { meta, own } of metas) meta.content = theme === 'system' ? own : colours.background;
}

function changed(): void {
  paint();
  for (const listener of listeners) listener();
}

paint();
onPreferences(changed);
darkness.addEventListener('change', changed);
