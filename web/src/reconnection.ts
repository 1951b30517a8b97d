// The connection is lost while a shell is in view: what the user is told, the attempts to reach the
// server again, and the sign-in button once it is reached, if the page has no key to come back with.
// It ends when the user is signed in again.

import { backoff } from './backoff.ts';
import { Connection, ConnectionLost } from './connection.ts';
import { isTransient, logIn, LoginRefused, loginTrouble, resume, type SignedIn } from './login.ts';
import { announce } from './notice.ts';
import { showPanel } from './panel.ts';
import type { AccountName } from './protocol.ts';
import { resumeKey } from './resume.ts';
import { inBrowser } from './signin.ts';

/**
 * After this many failed attempts, the panel offers a reload: a server of another version does not
 * accept this page.
 */
const TRIES_IN_VAIN = 4;

export class Reconnection {
  /**
   * `reached`: the server answers, and the page waits for the user. `asking`: the browser asks for
   * a passkey.
   */
  #stage: 'reaching' | 'reached' | 'asking' | 'over' = 'reaching';
  #enter: (signedIn: SignedIn) => void;
  #meanwhile: string;
  /** An open connection on which nobody is signed in. */
  #idleConnection: Connection | undefined;
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Aborts the attempt that is under way. */
  #attempt: AbortController | undefined;
  #notSent: () => string;
  /** Who was signed in. A key of another account is not used. */
  #account: AccountName | undefined;

  /**
   * `notSent` returns sentences about unsent input; `meanwhile` is a sentence about the shell in
   * view.
   */
  constructor(enter: (signedIn: SignedIn) => void, account: AccountName | undefined, notSent: () => string, meanwhile: string) {
    this.#enter = enter;
    this.#account = account;
    this.#notSent = notSent;
    this.#meanwhile = meanwhile;
    announce('Connection lost. What you type now is not sent.');
    this.#reach();
  }

  /** The computer woke or is online again: try at once. */
  wake(): void {
    if (this.#retry !== undefined) void this.#try();
  }

  #reach(): void {
    this.#stage = 'reaching';
    this.#showReaching();
    this.#tryLater();
  }

  #showReaching(): void {
    showPanel({
      title: 'Connection lost. Trying to reach the server…',
      detail: `What you type now is not sent and not kept. ${this.#meanwhile}`,
      actions: [
        { label: 'Try now', run: () => void this.#try() },
        ...(this.#tries < TRIES_IN_VAIN ? [] : [{ label: 'Reload', run: () => location.reload() }]),
      ],
      note: this.#notSent(),
      tone: 'lost',
    });
  }

  #tryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#try(), backoff(this.#tries, Math.random()));
    this.#tries += 1;
    if (this.#tries === TRIES_IN_VAIN) this.#showReaching();
  }

  async #try(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    // An attempt that hangs must not delay the one that the user asks for.
    this.#attempt?.abort();
    const attempt = new AbortController();
    this.#attempt = attempt;
    try {
      const idleConnection = await Connection.open(attempt.signal);
      // Two overlapping attempts may both succeed.
      if (this.#stage !== 'reaching') {
        idleConnection.close();
        return;
      }
      const key = await resumeKey(this.#account);
      if (key) {
        const signedIn = await resume(key, idleConnection);
        // The same may have happened meanwhile.
        if (this.#isOver()) signedIn.connection.close();
        else this.#done(signedIn);
        return;
      }
      this.#idleConnection = idleConnection;
      // If the server closes this connection before the user signs in, signing in opens another
      // one.
      idleConnection.listener = { message: () => {}, responsiveness: () => {}, lost: () => (this.#idleConnection = undefined) };
      this.#reached('The server is back. Sign in again to go on.');
    } catch (error) {
      if (this.#stage !== 'reaching' || this.#attempt !== attempt) return;
      if (error instanceof LoginRefused && !isTransient(error)) this.#reached(loginTrouble(error));
      else this.#tryLater();
    }
  }

  #isOver(): boolean {
    return this.#stage === 'over';
  }

  #done(signedIn: SignedIn): void {
    this.#stage = 'over';
    this.#enter(signedIn);
  }

  #reached(title: string): void {
    this.#stage = 'reached';
    this.#tries = 0;
    announce(title);
    showPanel({
      title,
      detail: 'What you type before that is not sent and not kept.',
      actions: [{ label: 'Sign in again', run: () => void this.#signIn() }],
      note: this.#notSent(),
      tone: 'lost',
    });
  }

  async #signIn(): Promise<void> {
    this.#stage = 'asking';
    const idleConnection = this.#idleConnection;
    this.#idleConnection = undefined;
    showPanel({ title: 'Waiting for your passkey…', note: this.#notSent(), tone: 'lost' });
    try {
      this.#done(await logIn(idleConnection, inBrowser()));
    } catch (error) {
      if (error instanceof ConnectionLost) this.#reach();
      else this.#reached(loginTrouble(error));
    }
  }
}
