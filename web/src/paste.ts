// What a paste may contain. Copied text can carry control characters that the user never saw: an
// escape sequence that ends the bracketed paste would make the shell run what follows it.

/** The number of lines of a text. A line end at the end of the text does not start another line. */
export function lines(text: string): number {
  return text.replace(/\r?\n$|\r$/, '').split(/\r\n|\r|\n/).length;
}

/**
 * Bytes that the kernel keeps of a line for a program that reads whole lines (`N_TTY_BUF_SIZE`,
 * less the line end).
 */
const LINE_MAX = 4095;

/**
 * The length in bytes of the longest line, if the kernel would truncate it for a program that reads
 * whole lines; otherwise 0.
 */
export function longLine(text: string): number {
  const encoder = new TextEncoder();
  const longest = Math.max(...text.split(/\r\n|\r|\n/).map((line) => encoder.encode(line).length));
  return longest > LINE_MAX ? longest : 0;
}

/** The text without control characters other than tab and line ends. */
export function pasteable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');
}
