// Who else is in the shell that is in view: what the bar says of it, and where its owner invites, hands
// the keyboard over and takes it back.

import { button, element, span } from './elements.ts';
import type { AccountName, GuestRole, Person, Role } from './protocol.ts';

export interface Sharing {
  people: Person[];
  /** What this account may do. */
  role: Role;
  shareable: boolean;
}

export interface ShareChoices {
  /** Lets an account do this from now on, or nothing any more. */
  share(account: AccountName, role: GuestRole | null): void;
  /** Back to the terminal. */
  closed(): void;
}

const panel = element('share');
const opener = element<HTMLButtonElement>('bar-share');
const name = element<HTMLInputElement>('share-account');
/** Whose shell it is. */
let owner: AccountName | undefined;

/** Makes the panel, once. */
export function makeShare(choices: ShareChoices): void {
  opener.onclick = () => (panel.hidden ? openShare() : close(choices));
  element('share-close').onclick = () => close(choices);
  panel.onkeydown = (event) => {
    if (event.key === 'Escape' && !event.isComposing) close(choices);
  };
  element<HTMLFormElement>('share-form').onsubmit = (event) => {
    event.preventDefault();
    const account = name.value.trim();
    const isOwn = account === owner;
    element('share-trouble').textContent = isOwn ? 'That is you: this shell is yours already.' : '';
    if (isOwn) return;
    choices.share(account, 'watcher');
    name.value = '';
  };
  name.oninput = () => (element('share-trouble').textContent = '');
}

/** Shows who is there, or that nobody else is or can be. */
export function showSharing(sharing: Sharing | undefined, choices: ShareChoices): void {
  const whose = sharing?.people.find((person) => person.role === 'owner');
  owner = whose?.account;
  const guests = sharing?.people.filter((person) => person.role !== 'owner') ?? [];
  element('bar-people').textContent = sharing && whose ? company(sharing, whose, guests) : '';
  element('bar').dataset['role'] = sharing?.role ?? '';
  // What is shared can be taken back, whatever the policy says by now.
  opener.hidden = sharing?.role !== 'owner' || !(sharing.shareable || guests.length > 0);
  if (opener.hidden) hide();
  element('share-form').hidden = !sharing?.shareable;
  element('share-text').textContent =
    guests.length > 0
      ? 'They see what you see, from the first line on. Who has the keyboard types as you do.'
      : 'Nobody else sees it. Name an account of this host, and it finds your shell in its list.';
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  element('share-people').replaceChildren(...guests.map((guest) => guestRow(guest, choices)));
  if (focused === undefined) return;
  // Whoever was removed has no button any more.
  const again = panel.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`);
  if (!panel.hidden) (again ?? element('share-close')).focus();
}

/** What the bar says: to the owner who looks on, to a guest whose shell it is and what they may do. */
function company({ role }: Sharing, owner: Person, guests: Person[]): string {
  if (role === 'owner') {
    const here = guests.filter((guest) => guest.views > 0).map((guest) => guest.account);
    return here.length > 0 ? `with ${here.join(', ')}` : '';
  }
  const whose = `shell of ${owner.account}`;
  return role === 'writer' ? `${whose}, and you may type` : `${whose}, and you are watching`;
}

function guestRow(guest: Person, choices: ShareChoices): HTMLLIElement {
  const row = document.createElement('li');
  const writes = guest.role === 'writer';
  const state = `${writes ? 'may type' : 'may watch'}, ${guest.views > 0 ? 'is here' : 'is not here'}`;
  const who = span('');
  who.append(span(guest.account, 'name'), span(state, 'quiet small'));
  const hand = button(writes ? 'Take keyboard back' : 'Hand keyboard over', () =>
    choices.share(guest.account, writes ? 'watcher' : 'writer'),
  );
  hand.dataset['key'] = `hand ${guest.account}`;
  const remove = button('Remove', () => choices.share(guest.account, null));
  remove.className = 'danger';
  remove.dataset['key'] = `remove ${guest.account}`;
  remove.setAttribute('aria-label', `Remove ${guest.account}`);
  row.append(who, hand, remove);
  return row;
}

/** Opens it, by a key too. False where there is nothing to share. */
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

function close(choices: ShareChoices): void {
  hide();
  choices.closed();
}
