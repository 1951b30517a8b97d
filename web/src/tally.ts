// How much somebody typed that reached no shell, or may not have. It is never kept to be sent later, when
// the screen may be another one; so the person is told how much is missing.

import { amount, counted } from './words.ts';

/** An input of more bytes than a key has is a paste. */
const KEY_BYTES_MAX = 8;

export class Tally {
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

  /** As people say it, or nothing where nothing was typed. Keys are counted, pastes measured. */
  get words(): string {
    if (this.#inputs === 0) return '';
    return this.#bytes > this.#inputs * KEY_BYTES_MAX ? amount(this.#bytes) : counted(this.#inputs, 'keystroke');
  }
}
