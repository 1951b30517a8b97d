// What a paste may hold. A copied text can carry control characters that nobody saw: an escape
// sequence that ends the bracketed paste would make the shell run what follows it.

/** How many lines a text has. The end of the last one makes no other. */
export function lines(text: string): number {
  return text.replace(/\r?\n$|\r$/, '').split(/\r\n|\r|\n/).length;
}

/** What the kernel keeps of a line for a program that reads whole lines (`N_TTY_BUF_SIZE`, less its end). */
const LINE_MAX = 4095;

/** The bytes of the longest line, if the kernel would cut it short for a program that reads whole lines; else 0. */
export function longLine(text: string): number {
  const encoder = new TextEncoder();
  const longest = Math.max(...text.split(/\r\n|\r|\n/).map((line) => encoder.encode(line).length));
  return longest > LINE_MAX ? longest : 0;
}

/** The text without control characters, but for tab and the ends of lines. */
export function pasteable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');
}
