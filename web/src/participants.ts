// The participants of the viewed sessions, the role of this account in the session in view, and
// what the user is told when they change.

import { announce, notice } from './notice.ts';
import type { AccountName, Role, SessionId } from './protocol.ts';
import { showSharing, type ShareCallbacks, type Sharing } from './share.ts';

export class Participants {
  /**
   * For each session that this connection has viewed, as last received. That may be before the view
   * begins.
   */
  #known = new Map<SessionId, Sharing>();
  #inView: SessionId | undefined;
  /** Of the session in view. */
  #sharing: Sharing | undefined;
  #callbacks: ShareCallbacks;
  #account: AccountName | undefined;

  constructor(callbacks: ShareCallbacks) {
    this.#callbacks = callbacks;
  }

  /** The role of this account; undefined while it is not known. */
  get role(): Role | undefined {
    return this.#sharing?.role;
  }

  heard(session: SessionId, sharing: Sharing): void {
    this.#known.set(session, sharing);
    if (session === this.#inView) this.#show(sharing);
  }

  /** A session is in view now. */
  enter(session: SessionId, account: AccountName | undefined): void {
    this.#inView = session;
    this.#account = account;
    const sharing = this.#known.get(session);
    if (sharing) this.#show(sharing);
  }

  /** No session is in view. */
  leave(): void {
    this.#inView = undefined;
    this.#sharing = undefined;
    showSharing(undefined, this.#callbacks);
  }

  /** The connection is lost, and what it reported is forgotten. */
  forget(): void {
    this.#known.clear();
    this.leave();
  }

  #show({ participants, role, shareable }: Sharing): void {
    const before = this.#sharing;
    this.#sharing = { participants, role, shareable };
    showSharing(this.#sharing, this.#callbacks);
    if (!before) return;
    if (before.role === 'watcher' && role === 'writer') notice('role', 'The keyboard is yours too: what you type goes to the shell.');
    if (before.role === 'writer' && role === 'watcher') notice('role', 'You are watching from now on: what you type goes nowhere.');
    const here = (sharing: Sharing) => sharing.participants.filter((participant) => participant.views > 0 && participant.account !== this.#account);
    const came = here(this.#sharing).filter((participant) => !here(before).some((one) => one.account === participant.account));
    if (came.length > 0) announce(`Here now: ${came.map((participant) => participant.account).join(', ')}`);
  }
}
