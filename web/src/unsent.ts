// What somebody typed that reached no shell. It is never kept to be sent later, when the screen may be
// another one; so the person is told how much is missing.

import { amount, counted } from './words.ts';

/** An input of more bytes than a key has is a paste. */
const KEY_BYTES_MAX = 8;

export class Unsent {
  #inputs = 0;
  #bytes = 0;

  add(bytes: Uint8Array): void {
    this.#inputs += 1;
    this.#bytes += bytes.length;
  }

  clear(): void {
    this.#inputs = 0;
    this.#bytes = 0;
  }

  /** A sentence, or nothing where nothing is missing. Keys are counted, pastes measured. */
  get words(): string {
    if (this.#inputs === 0) return '';
    const pasted = this.#bytes > this.#inputs * KEY_BYTES_MAX;
    return `Not sent: ${pasted ? amount(this.#bytes) : counted(this.#inputs, 'keystroke')}.`;
  }
}
