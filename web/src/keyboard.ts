// Passes the user's input to the shell in view, or tells the user that it is not delivered.

import type { Connection } from './connection.ts';
import { notice } from './notice.ts';
import { panelNote } from './panel.ts';
import type { Role } from './protocol.ts';
import { isReport } from './reports.ts';
import { withControl } from './touchkeys.ts';
import { UnsentInput } from './unsent.ts';
import type { Viewer } from './viewer.ts';
import { amount } from './words.ts';

export interface KeyboardCallbacks {
  /** The current view, or the last one. */
  viewer(): Viewer | undefined;
  /** The role of this account in the session, if it is known. */
  role(): Role | undefined;
  /** A user who may type does so in this window. */
  used(): void;
}

export class Keyboard {
  #callbacks: KeyboardCallbacks;
  #unsent = new UnsentInput();
  /** Number of bytes that did not reach the program since the view began. */
  #inputDropped = 0;

  constructor(callbacks: KeyboardCallbacks) {
    this.#callbacks = callbacks;
  }

  /**
   * Sentences about the input that was not sent since a shell was last in view, or an empty string.
   */
  get notSent(): string {
    return this.#unsent.words;
  }

  typed(bytes: Uint8Array): void {
    const viewer = this.#callbacks.viewer();
    if (viewer?.state !== 'live') {
      if (isReport(bytes)) return;
      this.#unsent.add(bytes);
      panelNote(this.notSent);
    } else if (this.#callbacks.role() === 'watcher') {
      if (!isReport(bytes)) notice('watching', 'You are watching: what you type goes nowhere.');
    } else {
      if (!isReport(bytes)) this.#callbacks.used();
      viewer.input(withControl(bytes));
    }
  }

  /** The page did not send this many bytes. */
  dropped(bytes: number): void {
    if (this.#callbacks.viewer()?.state === 'live') {
      notice('dropped', `Of what you pasted ${amount(bytes)} were not sent.`);
    } else {
      this.#unsent.add({ length: bytes });
      panelNote(this.notSent);
    }
  }

  /** The server did not deliver this many bytes. */
  inputDropped(bytes: number): void {
    this.#inputDropped += bytes;
    notice('input', `${amount(this.#inputDropped)} of what you typed did not reach the program: it is not reading, or the network was too slow.`);
  }

  /** A view begins. */
  begin(): void {
    this.#inputDropped = 0;
  }

  /** The view is live. Reports earlier unsent input once more, and then forgets it. */
  live(): void {
    if (this.notSent !== '') notice('keys', `The shell was not there to take what you typed. ${this.notSent}`);
    this.forget();
  }

  /** The connection is lost during a live view. */
  lost(connection: Connection): void {
    this.#unsent.mayBe(connection.unanswered);
  }

  /** Forgets the unsent input: it was reported, or it no longer concerns anybody. */
  forget(): void {
    this.#unsent.clear();
  }
}
