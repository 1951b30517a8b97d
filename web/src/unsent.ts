// Input that was not sent since a shell was last in view. The user is told when it happens, and
// once more when a shell is there.

import { InputCount } from './inputcount.ts';

export class UnsentInput {
  #tally = new InputCount();
  #unsure = '';

  add(typed: { length: number }): void {
    this.#tally.add(typed);
  }

  /** The connection is lost. `unanswered` was sent since the server was last heard. */
  mayBe(unanswered: InputCount): void {
    this.#unsure = unanswered.words;
  }

  clear(): void {
    this.#tally.clear();
    this.#unsure = '';
  }

  /** One or two sentences, or an empty string. */
  get words(): string {
    const { words } = this.#tally;
    const sentences = [words && `Not sent: ${words}.`, this.#unsure && `Sent, but perhaps not arrived: ${this.#unsure}.`];
    return sentences.filter((sentence) => sentence !== '').join(' ');
  }
}
