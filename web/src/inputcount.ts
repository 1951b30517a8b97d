// Counts input that reached no shell, or may not have. Such input is never kept to be sent later,
// because the screen may be a different one by then. The user is told how much is missing.

import { amount, counted } from './words.ts';

/** The largest number of bytes that one key sends. Longer inputs are pastes. */
const KEY_BYTES_MAX = 8;

export class InputCount {
  #inputs = 0;
  #bytes = 0;

  add({ length }: { length: number }): void {
    this.#inputs += 1;
    this.#bytes += length;
  }

  clear(): void {
    this.#inputs = 0;
    this.#bytes = 0;
  }

  /**
   * The amount in words, or an empty string if there was no input. Keys are counted; pastes are
   * measured in bytes.
   */
  get words(): string {
    if (this.#inputs === 0) return '';
    return this.#bytes > this.#inputs * KEY_BYTES_MAX ? amount(this.#bytes) : counted(this.#inputs, 'keystroke');
  }
}
