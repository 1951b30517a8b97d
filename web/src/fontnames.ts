// The names of fonts. A name becomes a part of a stylesheet, so it is parsed first.

/** The most families, and the longest name of one. */
const FAMILIES_MAX = 6;
const NAME_MAX = 60;

/** Letters, digits and what else is in the names of fonts; nothing that ends a name in a stylesheet. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._+&-]*$/u;

/** Names that stand for a kind of font, and must not be quoted. */
const KINDS = ['monospace', 'ui-monospace', 'serif', 'sans-serif', 'system-ui', 'cursive', 'fantasy'];

/** Whether the page uses a name. */
export function isFontName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= NAME_MAX && NAME.test(name);
}

/** The families of a list as in a stylesheet; undefined if one of them is no name. An empty list has none. */
export function fontNames(text: string): string[] | undefined {
  if (text.trim() === '') return [];
  const names = text.split(',').map((name) => name.trim().replace(/^(["'])(.*)\1$/, '$2').trim());
  return names.length <= FAMILIES_MAX && names.every(isFontName) ? names : undefined;
}

/** A list for a stylesheet, which ends with the page's own fonts. */
export function fontStack(names: readonly string[], own: string): string {
  return [...names.map((name) => (KINDS.includes(name) ? name : `"${name}"`)), own].join(', ');
}
