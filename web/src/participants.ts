// Who is in the shells that are viewed, what this account may do in the one that is in view, and what is said when that
// changes.

import { announce, notice } from './notice.ts';
import type { AccountName, Role, SessionId } from './protocol.ts';
import { showSharing, type ShareChoices, type Sharing } from './share.ts';

export class Participants {
  /** Of each shell that this connection has viewed, as it was heard last: before the view began or after it. */
  #known = new Map<SessionId, Sharing>();
  #inView: SessionId | undefined;
  /** In the shell that is in view. */
  #sharing: Sharing | undefined;
  #choices: ShareChoices;
  #account: AccountName | undefined;

  constructor(choices: ShareChoices) {
    this.#choices = choices;
  }

  /** What this account may do; nothing while that is not known. */
  get role(): Role | undefined {
    return this.#sharing?.role;
  }

  heard(session: SessionId, sharing: Sharing): void {
    this.#known.set(session, sharing);
    if (session === this.#inView) this.#show(sharing);
  }

  /** A shell is in view. */
  enter(session: SessionId, account: AccountName | undefined): void {
    this.#inView = session;
    this.#account = account;
    const sharing = this.#known.get(session);
    if (sharing) this.#show(sharing);
  }

  /** None is. */
  leave(): void {
    this.#inView = undefined;
    this.#sharing = undefined;
    showSharing(undefined, this.#choices);
  }

  /** The connection that told of them is gone. */
  forget(): void {
    this.#known.clear();
    this.leave();
  }

  #show({ people, role, shareable }: Sharing): void {
    const before = this.#sharing;
    this.#sharing = { people, role, shareable };
    showSharing(this.#sharing, this.#choices);
    if (!before) return;
    if (before.role === 'watcher' && role === 'writer') notice('role', 'The keyboard is yours too: what you type goes to the shell.');
    if (before.role === 'writer' && role === 'watcher') notice('role', 'You are watching from now on: what you type goes nowhere.');
    const here = (sharing: Sharing) => sharing.people.filter((person) => person.views > 0 && person.account !== this.#account);
    const came = here(this.#sharing).filter((person) => !here(before).some((one) => one.account === person.account));
    if (came.length > 0) announce(`Here now: ${came.map((person) => person.account).join(', ')}`);
  }
}
