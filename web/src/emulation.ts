// What makes xterm.js show what the worker's terminal shows: the widths of characters, and
// corrections where xterm.js does not do what ECMA-48, DEC's manuals or xterm say.

import { type Correctable, correct } from './corrections.ts';
import { VERSION, widths } from './widths.ts';

/**
 * Decodes output like the worker's terminal, which shows U+FFFD for bytes that are no text;
 * xterm.js drops them.
 */
export class Decoder {
  #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  text(bytes: Uint8Array): string {
    return this.#utf8.decode(bytes, { stream: true });
  }
}

/** Prepares a terminal that nothing was written to. */
export function emulate(xterm: Correctable): void {
  xterm.unicode.register(widths);
  xterm.unicode.activeVersion = VERSION;
  correct(xterm);
}
