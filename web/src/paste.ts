// What a paste may hold. A copied text can carry control characters that nobody saw: an escape
// sequence that ends the bracketed paste would make the shell run what follows it.

/** How many lines a text has. The end of the last one makes no other. */
export function lines(text: string): number {
  return text.replace(/\r?\n$|\r$/, '').split(/\r\n|\r|\n/).length;
}

/** The text without control characters, but for tab and the ends of lines. */
export function pasteable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');
}
