// The page as a whole: the sign-in form, the lobby, a shell, and what happens when the connection
// is lost.

import { actionsChanged, makeActions } from './actions.ts';
import { askCode, bindingHeard, withdrawCode } from './bindkey.ts';
import { backoff, pause } from './backoff.ts';
import type { Connection } from './connection.ts';
import { inBrowser, showResuming, signInWaits, showSignIn } from './signin.ts';
import { element } from './elements.ts';
import { showLobby, type Lobby } from './lobby.ts';
import { isTransient, logIn, LoginRefused, loginTrouble, resume, type SignedIn } from './login.ts';
import { forgetChanges, machineChanged } from './machines.ts';
import { Reconnection } from './reconnection.ts';
import { endNotices, notice } from './notice.ts';
import { targetOf, type Place } from './place.ts';
import type { AccountName, Refusal, SessionSummary, Target, ToPage } from './protocol.ts';
import { needsReload, refusalSentence } from './refusal.ts';
import { resumeKey } from './resume.ts';
import { Shell } from './shell.ts';
import { showSignedIn, signedInHeard, signOut, withdrawSignedIn } from './signedin.ts';
import { targetName } from './words.ts';

/** After one of these refusals, the enrolment link is of no further use. */
const LINK_IS_SPENT: readonly Refusal[] = ['link-invalid', 'passkey-registered'];

/** Whether nobody views this session of the account's own. */
function isLeft(session: SessionSummary): boolean {
  return session.role === 'owner' && session.viewing.length === 0 && !session.exec;
}

export class Page {
  #enrolToken: string | undefined;
  /** Where the user is to be led after signing in. */
  #place: Place | undefined;
  /** Whether the user came to sign in a command line. */
  #bindsKey: boolean;
  /** The signed-in connection; undefined before sign-in and after a loss. */
  #connection: Connection | undefined;
  /** Ends the attempts to sign in without a touch. */
  #resuming: AbortController | undefined;
  /** Set while the connection is lost and the page tries to restore it. */
  #loss: Reconnection | undefined;
  #account: AccountName | undefined;
  #lobby: Lobby = { targets: [], sessions: [], machines: [], tasks: [] };
  #entering = false;
  #shell = new Shell({
    lobby: () => this.#lobby,
    visitLobby: () => this.#visitLobby(),
  });

  /** How the lobby and the palette lead to shells. */
  #navigation = {
    open: (target: Target) => this.#shell.view(target, undefined),
    attach: (session: SessionSummary) => {
      if (this.#shell.inView === session.id) this.#shell.back();
      else this.#shell.view(session.target, session.id);
    },
    again: () => this.#connection?.send({ type: 'list' }),
  };

  /** `place` is where the link leads by which the user came; `bindsKey`, that it is that of tere login. */
  constructor(enrolToken: string | undefined, place: Place | undefined, bindsKey: boolean) {
    this.#enrolToken = enrolToken;
    this.#place = place;
    this.#bindsKey = bindsKey;
    element<HTMLButtonElement>('lobby-key').onclick = () => this.#askCode();
    element<HTMLButtonElement>('lobby-signed-in').onclick = () => this.#connection && showSignedIn(this.#connection);
    element<HTMLButtonElement>('lobby-sign-out').onclick = () => this.#connection && void signOut(this.#connection);
    makeActions({
      ...this.#navigation,
      terminal: () => this.#shell.terminal,
      lobby: () => (this.#connection ? this.#lobby : undefined),
      viewed: () => this.#shell.inView,
    });
    window.addEventListener('online', () => this.#wake());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#wake();
    });
    this.#showSignIn();
    if (enrolToken === undefined) void this.#resume();
  }

  // Signing in.

  #showSignIn(message?: string): void {
    const trouble = message === undefined ? {} : { message };
    showSignIn(
      this.#enrolToken === undefined
        ? {
            text: 'Open a shell with your passkey.',
            label: 'Sign in with a passkey',
            hint: 'New here? Ask whoever runs this host for an enrolment link.',
            ...trouble,
          }
        : {
            text: 'Welcome. Your enrolment link is good for one passkey: it will be your key to this host.',
            label: 'Register a passkey',
            hint: 'Your device asks for its PIN, your finger or your face. The server never sees those.',
            ...trouble,
          },
      () => void this.#signIn(),
    );
  }

  async #signIn(): Promise<void> {
    this.#resuming?.abort();
    signInWaits();
    try {
      this.#enter(await logIn(undefined, inBrowser(), this.#enrolToken));
    } catch (error) {
      // A used or invalid link stays so. Somebody who has a passkey can still sign in.
      if (error instanceof LoginRefused && LINK_IS_SPENT.includes(error.refusal)) this.#enrolToken = undefined;
      this.#showSignIn(loginTrouble(error));
    }
  }

  /**
   * Signs in without a touch, if the browser has a key for that. While the server is away it tries
   * again, unless the user does something else.
   */
  async #resume(account?: AccountName): Promise<void> {
    this.#resuming?.abort();
    const resuming = new AbortController();
    this.#resuming = resuming;
    let message = '';
    for (let tries = 0; ; tries += 1) {
      const key = await resumeKey(account);
      if (!key || resuming.signal.aborted) return;
      showResuming(key.account, message);
      try {
        const signedIn = await resume(key);
        if (resuming.signal.aborted) signedIn.connection.close();
        else this.#enter(signedIn);
        return;
      } catch (error) {
        if (resuming.signal.aborted) return;
        if (!isTransient(error)) {
          this.#showSignIn(loginTrouble(error));
          return;
        }
        message = 'The server does not answer. Trying again…';
        showResuming(key.account, message);
      }
      await pause(backoff(tries, Math.random()), resuming.signal);
    }
  }

  #enter({ connection, account }: SignedIn): void {
    this.#resuming?.abort();
    this.#enrolToken = undefined;
    this.#shell.signedIn(connection, account);
    this.#loss = undefined;
    this.#account = account;
    this.#connection = connection;
    this.#entering = true;
    forgetChanges();
    connection.listener = {
      message: (message) => this.#heard(message),
      responsiveness: (responsiveness) => this.#shell.responsiveness(responsiveness),
      lost: () => this.#lost(),
    };
    connection.watch();
  }

  // Messages from the front.

  #heard(message: ToPage): void {
    if (bindingHeard(message) || signedInHeard(message)) return;
    if (message.type === 'lobby') {
      const { targets, sessions, machines, tasks } = message;
      this.#lobby = { targets, sessions, machines, tasks };
      if (this.#entering) this.#arrive();
      else if (!element('lobby').hidden) this.#inLobby();
      actionsChanged();
    } else if (message.type === 'machine-changed') {
      // A new list of machines follows.
      machineChanged(message.change, message.refusal);
    } else if (message.type === 'refused' && needsReload(message.refusal)) {
      this.#mustReload(message.refusal);
    } else if (message.type === 'refused') {
      notice('refused', refusalSentence(message.refusal));
      this.#connection?.send({ type: 'list' });
    } else {
      this.#shell.heard(message);
    }
  }

  /** Chooses what to show, once the first lobby message after sign-in has arrived. */
  #arrive(): void {
    this.#entering = false;
    const { targets, sessions } = this.#lobby;
    if (this.#bindsKey) {
      this.#bindsKey = false;
      this.#inLobby();
      this.#askCode();
      return;
    }
    if (this.#shell.sayOverAgain() || this.#follow()) return;
    const there = sessions.find((session) => session.id === this.#shell.wanted);
    if (there) {
      this.#shell.view(there.target, there.id);
      return;
    }
    if (this.#shell.endedMeanwhile()) return;
    // A session without viewers was left behind, in a closed tab or on another device. A session
    // with viewers belongs to another tab.
    const left = sessions.filter(isLeft);
    if (left.length === 1 && left[0]) this.#shell.view(left[0].target, left[0].id);
    else if (left.length === 0 && targets.length === 1 && targets[0]) this.#shell.view(targets[0].target, undefined);
    else this.#inLobby();
  }

  /** Leads the user where the link leads by which they came. Returns false if it leads nowhere. */
  #follow(): boolean {
    const place = this.#place;
    this.#place = undefined;
    if (!place) return false;
    const { targets, sessions } = this.#lobby;
    const target = targetOf(place, targets);
    const own = sessions.filter((one) => one.role === 'owner' && target && targetName(one.target) === targetName(target));
    const session =
      'session' in place
        ? sessions.find((one) => one.id === place.session)
        : (own.find((one) => one.id === this.#shell.wanted) ?? own.find(isLeft));
    const known = session?.target ?? target;
    if (known) {
      this.#shell.view(known, session?.id);
    } else {
      this.#inLobby();
      notice('link', 'This link leads to nothing that you may open now. This is what there is.');
    }
    return true;
  }

  #mustReload(refusal: Refusal): void {
    this.#connection?.close();
    this.#connection = undefined;
    if (element('shell').hidden) this.#showSignIn(refusalSentence(refusal));
    else this.#shell.mustReload(refusal);
  }

  // The lobby.

  #askCode(): void {
    if (this.#connection) askCode(this.#connection);
  }

  #visitLobby(): void {
    endNotices();
    this.#connection?.send({ type: 'list' });
    if (this.#connection) this.#inLobby();
  }

  #inLobby(): void {
    const shell = this.#shell;
    showLobby(this.#account ?? '', this.#lobby, shell.inView, {
      ...this.#navigation,
      end: (session) => this.#connection?.send({ type: 'end-session', session: session.id }),
      name: (session, name) => this.#connection?.send({ type: 'name', session: session.id, name }),
      change: (change) => this.#connection?.send({ type: 'change-machine', change }),
      back: shell.used ? () => shell.back() : undefined,
    });
  }

  // Loss of the connection.

  #lost(): void {
    withdrawCode();
    withdrawSignedIn();
    this.#connection = undefined;
    this.#entering = false;
    const shell = this.#shell;
    shell.lost();
    if (shell.used) {
      this.#loss = new Reconnection((signedIn) => this.#enter(signedIn), this.#account, () => shell.notSent, shell.meanwhile);
    } else {
      this.#showSignIn('The connection to the server was lost. Sign in again.');
      void this.#resume(this.#account);
    }
    actionsChanged();
  }

  /** The computer woke or is online again: try at once. */
  #wake(): void {
    this.#connection?.ping();
    this.#loss?.wake();
  }
}
