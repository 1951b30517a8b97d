// What was typed in vain since a shell was in view last. It is said while it happens, and once more when the shell is there.

import { Tally } from './tally.ts';

export class Unsent {
  #tally = new Tally();
  #unsure = '';

  add(typed: { length: number }): void {
    this.#tally.add(typed);
  }

  /** The way is lost, and so much was sent since the server was heard last. */
  mayBe(unanswered: Tally): void {
    this.#unsure = unanswered.words;
  }

  clear(): void {
    this.#tally.clear();
    this.#unsure = '';
  }

  /** A sentence or two, or nothing. */
  get words(): string {
    const { words } = this.#tally;
    const sentences = [words && `Not sent: ${words}.`, this.#unsure && `Sent, but perhaps not arrived: ${this.#unsure}.`];
    return sentences.filter((sentence) => sentence !== '').join(' ');
  }
}
