// Themes that many people know from other terminals. They are a part of the settings, so the page
// loads them only with these.

import type { Scheme } from './preferences.ts';
import { made } from './schemeparser.ts';
import { ON_LIGHT } from './themes.ts';

/** A theme in a short form: background, foreground, cursor, selection, and the 16 colours. */
function scheme(name: string, contrast: number, own: string, palette: string): Scheme {
  const [background = '', foreground = '', cursor = '', selectionBackground = ''] = own.split(' ');
  return { name, contrast, colours: made({ background, foreground, cursor, selectionBackground }, palette.split(' ')) };
}

export const SCHEMES: readonly Scheme[] = [
  scheme(
    'High contrast',
    7,
    '#000000 #ffffff #ffff00 #4d4d80',
    '#000000 #ff7070 #5cff5c #ffff5c #8cb4ff #ff8cff #5cffff #ffffff #a0a0a0 #ff9c9c #8cff8c #ffff8c #b4ceff #ffb4ff #8cffff #ffffff',
  ),
  scheme(
    'High contrast, light',
    7,
    '#ffffff #000000 #0000c0 #b0c8ff',
    '#000000 #9c0000 #005c00 #5c4a00 #0000b0 #78007c #005a5f #4a4a4a #3c3c3c #b00000 #006a00 #6a5500 #1414d0 #8c0090 #00666c #000000',
  ),
  scheme(
    'Solarized dark',
    1,
    '#002b36 #839496 #93a1a1 #0b4b5a',
    '#073642 #dc322f #859900 #b58900 #268bd2 #d33682 #2aa198 #eee8d5 #586e75 #cb4b16 #586e75 #657b83 #839496 #6c71c4 #93a1a1 #fdf6e3',
  ),
  scheme(
    'Solarized light',
    ON_LIGHT,
    '#fdf6e3 #657b83 #586e75 #d9d2bd',
    '#073642 #dc322f #859900 #b58900 #268bd2 #d33682 #2aa198 #eee8d5 #586e75 #cb4b16 #586e75 #657b83 #839496 #6c71c4 #93a1a1 #fdf6e3',
  ),
  scheme(
    'Gruvbox dark',
    1,
    '#282828 #ebdbb2 #ebdbb2 #504945',
    '#282828 #cc241d #98971a #d79921 #458588 #b16286 #689d6a #a89984 #928374 #fb4934 #b8bb26 #fabd2f #83a598 #d3869b #8ec07c #ebdbb2',
  ),
  scheme(
    'Gruvbox light',
    ON_LIGHT,
    '#fbf1c7 #3c3836 #3c3836 #d5c4a1',
    '#fbf1c7 #cc241d #98971a #d79921 #458588 #b16286 #689d6a #7c6f64 #928374 #9d0006 #79740e #b57614 #076678 #8f3f71 #427b58 #3c3836',
  ),
  scheme(
    'Catppuccin Mocha',
    1,
    '#1e1e2e #cdd6f4 #f5e0dc #45475a',
    '#45475a #f38ba8 #a6e3a1 #f9e2af #89b4fa #f5c2e7 #94e2d5 #bac2de #585b70 #f38ba8 #a6e3a1 #f9e2af #89b4fa #f5c2e7 #94e2d5 #a6adc8',
  ),
  scheme(
    'Catppuccin Latte',
    ON_LIGHT,
    '#eff1f5 #4c4f69 #dc8a78 #ccd0da',
    '#5c5f77 #d20f39 #40a02b #df8e1d #1e66f5 #ea76cb #179299 #acb0be #6c6f85 #d20f39 #40a02b #df8e1d #1e66f5 #ea76cb #179299 #bcc0cc',
  ),
];
