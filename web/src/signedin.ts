// Where the account is signed in: the browsers that come back without a touch, and the command lines
// that have a key. Each of them can be removed, this browser too: that signs it out.

import type { Connection } from './connection.ts';
import { button, element, span } from './elements.ts';
import type { ClientKeyId, KeySummary, ToPage } from './protocol.ts';
import { refusalSentence } from './refusal.ts';
import { forgetKey, ownKey } from './resume.ts';
import { rememberSession } from './remembered.ts';
import { ago } from './words.ts';

/** How long signing out waits for the server. The page forgets its key in any case. */
const SIGN_OUT_MS = 3_000;

let connection: Connection | undefined;
/** Whether the server has been asked and has not answered. */
let asked = false;
/** Runs when the server has removed this browser's key. */
let signedOut: (() => void) | undefined;

/** Shows the list. */
export function showSignedIn(over: Connection): void {
  connection = over;
  element('signed-in-message').textContent = '';
  element('signed-in-keys').replaceChildren();
  ask({ type: 'keys' });
  const dialog = element<HTMLDialogElement>('signed-in');
  if (!dialog.open) dialog.showModal();
}

/** The connection is lost, and the list with it. */
export function withdrawSignedIn(): void {
  connection = undefined;
  asked = false;
  signedOut?.();
  element<HTMLDialogElement>('signed-in').close();
}

/** Signs this browser out: it needs a touch of the passkey again, in every tab. */
export async function signOut(over: Connection): Promise<void> {
  connection = over;
  const own = ownKey();
  if (own !== undefined) {
    await forgetKey(own);
    const told = new Promise<void>((resolve) => {
      signedOut = resolve;
      setTimeout(resolve, SIGN_OUT_MS);
    });
    ask({ type: 'drop-key', key: own });
    await told;
  }
  rememberSession(undefined);
  // Nothing of the account stays in the page.
  location.reload();
}

/** Takes a message if it answers this list. */
export function signedInHeard(message: ToPage): boolean {
  if (!asked || (message.type !== 'keys' && message.type !== 'refused')) return false;
  asked = false;
  signedOut?.();
  if (message.type === 'keys') show(message.keys);
  else element('signed-in-message').textContent = refusalSentence(message.refusal);
  return true;
}

function ask(message: { type: 'keys' } | { type: 'drop-key'; key: ClientKeyId }): void {
  asked = true;
  connection?.send(message);
}

function show(keys: KeySummary[]): void {
  element('signed-in-message').textContent = '';
  const rows = keys.map(row);
  element('signed-in-keys').replaceChildren(...rows);
  if (rows.length === 0) element('signed-in-message').textContent = 'Nowhere: each sign-in takes your passkey.';
}

function row(key: KeySummary): HTMLLIElement {
  const isOwn = key.key === ownKey();
  const text = span('');
  text.append(span(key.name), span(facts(key, isOwn), 'quiet'));
  const remove = button(isOwn ? 'Sign out' : 'Remove', () => {
    remove.disabled = true;
    if (isOwn && connection) void signOut(connection);
    else ask({ type: 'drop-key', key: key.key });
  });
  remove.setAttribute('aria-label', isOwn ? 'Sign this browser out' : `Remove ${key.name}`);
  const item = document.createElement('li');
  item.append(text, remove);
  return item;
}

function facts(key: KeySummary, isOwn: boolean): string {
  const last = key['last-sign-in'];
  return [
    ...(isOwn ? ['this browser'] : []),
    `${key.kind === 'page' ? 'passkey used' : 'a command line, allowed'} ${ago(key.bound, Date.now())}`,
    ...(last === null ? [] : [`back ${ago(last, Date.now())}`]),
    `from ${key.source ?? 'the host itself'}`,
  ].join(', ');
}
