// Sharing of the session in view: what the bar shows about it, and the panel in which its owner
// invites accounts, hands the keyboard over and takes it back.

import { button, element, span } from './elements.ts';
import { otherRole, shareText } from './mayshare.ts';
import type { AccountName, GuestRole, Participant, Role } from './protocol.ts';

export interface Sharing {
  participants: Participant[];
  /** The role of this account. */
  role: Role;
  /** The most that the policy lets the owner give a guest; null if it lets nothing be shared. */
  shareable: GuestRole | null;
}

export interface ShareCallbacks {
  /** Gives an account this role from now on; null removes the account. */
  share(account: AccountName, role: GuestRole | null): void;
  /** Returns the focus to the terminal. */
  closed(): void;
}

const panel = element('share');
const opener = element<HTMLButtonElement>('bar-share');
const name = element<HTMLInputElement>('share-account');
/** The owner of the session in view. */
let owner: AccountName | undefined;

/** Sets up the panel; called once. */
export function makeShare(callbacks: ShareCallbacks): void {
  opener.onclick = () => (panel.hidden ? openShare() : close(callbacks));
  element('share-close').onclick = () => close(callbacks);
  panel.onkeydown = (event) => {
    if (event.key === 'Escape' && !event.isComposing) close(callbacks);
  };
  element<HTMLFormElement>('share-form').onsubmit = (event) => {
    event.preventDefault();
    const account = name.value.trim();
    const isOwn = account === owner;
    element('share-trouble').textContent = isOwn ? 'That is you: this shell is yours already.' : '';
    if (isOwn) return;
    callbacks.share(account, 'watcher');
    name.value = '';
  };
  name.oninput = () => (element('share-trouble').textContent = '');
}

/** Shows the participants, or that nobody else is or can be there. */
export function showSharing(sharing: Sharing | undefined, callbacks: ShareCallbacks): void {
  const whose = sharing?.participants.find((participant) => participant.role === 'owner');
  owner = whose?.account;
  const guests = sharing?.participants.filter((participant) => participant.role !== 'owner') ?? [];
  element('bar-participants').textContent = sharing && whose ? participantsSentence(sharing, whose, guests) : '';
  element('bar').dataset['role'] = sharing?.role ?? '';
  // A shared session can be taken back even if the policy no longer allows sharing.
  opener.hidden = sharing?.role !== 'owner' || (sharing.shareable === null && guests.length === 0);
  if (opener.hidden) hide();
  element('share-form').hidden = (sharing?.shareable ?? null) === null;
  element('share-text').textContent = shareText(sharing?.shareable ?? null, guests.length > 0);
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  element('share-participants').replaceChildren(...guests.map((guest) => guestRow(guest, sharing?.shareable ?? null, callbacks)));
  if (focused === undefined) return;
  // The button of a removed guest no longer exists.
  const again = panel.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`);
  if (!panel.hidden) (again ?? element('share-close')).focus();
}

/**
 * The text in the bar: for the owner, the guests who are present; for a guest, the owner and what
 * the guest may do.
 */
function participantsSentence({ role }: Sharing, owner: Participant, guests: Participant[]): string {
  if (role === 'owner') {
    const here = guests.filter((guest) => guest.views > 0).map((guest) => guest.account);
    return here.length > 0 ? `with ${here.join(', ')}` : '';
  }
  const whose = `shell of ${owner.account}`;
  return role === 'writer' ? `${whose}, and you may type` : `${whose}, and you are watching`;
}

function guestRow(guest: Participant, shareable: GuestRole | null, callbacks: ShareCallbacks): HTMLLIElement {
  const row = document.createElement('li');
  const writes = guest.role === 'writer';
  const state = `${writes ? 'may type' : 'may watch'}, ${guest.views > 0 ? 'is here' : 'is not here'}`;
  const who = span('');
  who.append(span(guest.account, 'name'), span(state, 'quiet small'));
  row.append(who);
  const other = otherRole(guest.role, shareable);
  if (other) {
    const hand = button(writes ? 'Take keyboard back' : 'Hand keyboard over', () => callbacks.share(guest.account, other));
    hand.dataset['key'] = `hand ${guest.account}`;
    row.append(hand);
  }
  const remove = button('Remove', () => callbacks.share(guest.account, null));
  remove.className = 'danger';
  remove.dataset['key'] = `remove ${guest.account}`;
  remove.setAttribute('aria-label', `Remove ${guest.account}`);
  row.append(remove);
  return row;
}

/** Opens the panel, by its button or by a key. Returns false if there is nothing to share. */
export function openShare(): boolean {
  if (opener.hidden) return false;
  panel.hidden = false;
  opener.setAttribute('aria-expanded', 'true');
  (element('share-form').hidden ? element('share-close') : name).focus();
  return true;
}

function hide(): void {
  panel.hidden = true;
  opener.setAttribute('aria-expanded', 'false');
}

function close(callbacks: ShareCallbacks): void {
  hide();
  callbacks.closed();
}
