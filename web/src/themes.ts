// The terminal's colours: the page's own themes, one for each colour scheme.

import type { ITheme } from '@xterm/xterm';

import type { Theme } from './protocol.ts';

export const dark = {
  background: '#13151b',
  foreground: '#d9dce5',
  cursor: '#9db0ff',
  cursorAccent: '#13151b',
  selectionBackground: '#3a4570',
  selectionInactiveBackground: '#2b3146',
  black: '#20242e',
  red: '#f2777a',
  green: '#8fcf8b',
  yellow: '#e9c46f',
  blue: '#8aa5ff',
  magenta: '#cf9df0',
  cyan: '#6fcfd3',
  white: '#c9cdd8',
  brightBlack: '#707789',
  brightRed: '#ff9a9c',
  brightGreen: '#b0e6ac',
  brightYellow: '#f7dc97',
  brightBlue: '#b1c3ff',
  brightMagenta: '#e2bffa',
  brightCyan: '#9be6e9',
  brightWhite: '#f5f6fa',
} satisfies ITheme;

/** The colours of a terminal, each as `#rrggbb`. */
export type Colours = Record<keyof typeof dark, string>;

export const light: Colours = {
  background: '#fbfbfd',
  foreground: '#252833',
  cursor: '#3d55c8',
  cursorAccent: '#fbfbfd',
  selectionBackground: '#c5d0fb',
  selectionInactiveBackground: '#dfe3f0',
  black: '#252833',
  red: '#c0282d',
  green: '#2c7a33',
  yellow: '#8a6100',
  blue: '#3250c8',
  magenta: '#8b3bb0',
  cyan: '#0f7680',
  white: '#6c7180',
  brightBlack: '#5b6070',
  brightRed: '#d8393e',
  brightGreen: '#388f40',
  brightYellow: '#a17400',
  brightBlue: '#4a68e0',
  brightMagenta: '#a24fca',
  brightCyan: '#178c97',
  brightWhite: '#3a3e4b',
};

/**
 * The least contrast of a character on a light ground. Programs choose colours for a black one; on
 * white, some of them would be invisible.
 */
export const ON_LIGHT = 4.5;

/** A theme in the form sent to the server, because programs may query the colours. */
export function wireTheme(theme: Colours): Theme {
  const { foreground, background, cursor } = theme;
  return {
    foreground,
    background,
    cursor,
    palette: [
      theme.black,
      theme.red,
      theme.green,
      theme.yellow,
      theme.blue,
      theme.magenta,
      theme.cyan,
      theme.white,
      theme.brightBlack,
      theme.brightRed,
      theme.brightGreen,
      theme.brightYellow,
      theme.brightBlue,
      theme.brightMagenta,
      theme.brightCyan,
      theme.brightWhite,
    ],
  };
}
