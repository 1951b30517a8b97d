// The question before a shell on the host: the user is told what is to come, says why if the policy
// asks for it, and presses the button for the passkey.

import { element } from './elements.ts';
import type { HostTerms, SessionId, Target } from './protocol.ts';
import { inTime, targetName } from './words.ts';

/** The name of the host itself among the machines. */
const HOST = '.host';

/** Longest reason, in bytes: see `Reason` in src/names/reason.rs. */
const REASON_MAX = 300;

export interface TouchCallbacks {
  /** The user goes on, with the reason if there is one. */
  go(reason: string | null): void;
  /** The user leaves it. */
  leave(): void;
}

export function isOnHost(target: Target): boolean {
  return target.machine === HOST;
}

/** Asks whether to open a shell on the host, or to view the session again. */
export function askTouch(target: Target, session: SessionId | undefined, terms: HostTerms | undefined, callbacks: TouchCallbacks): void {
  const dialog = element<HTMLDialogElement>('touch');
  const reason = element<HTMLInputElement>('touch-reason');
  const isNew = session === undefined;
  element('touch-title').textContent = isNew ? `Open a shell on the host, as ${target.user}?` : `Go back to ${targetName(target)}?`;
  element('touch-text').textContent = isNew
    ? `This is the host itself, not a machine on it. Your passkey is needed once more${terms ? `, and the session ends after ${inTime(terms.limit)}` : ''}. The journal records it.`
    : 'This session is on the host itself: your passkey is needed for each view of it.';
  element('touch-why').hidden = !isNew;
  reason.required = isNew && terms?.reason === true;
  reason.value = '';
  reason.placeholder = reason.required ? 'Required' : 'If you like';
  reason.setCustomValidity('');
  reason.oninput = () => reason.setCustomValidity(reasonTrouble(reason.value, reason.required));
  const done = () => {
    dialog.onclose = null;
    dialog.close();
  };
  element<HTMLFormElement>('touch-form').onsubmit = (event) => {
    event.preventDefault();
    reason.setCustomValidity(isNew ? reasonTrouble(reason.value, reason.required) : '');
    if (!reason.reportValidity()) return;
    done();
    callbacks.go(isNew ? reasonOf(reason.value) : null);
  };
  const leave = () => {
    done();
    callbacks.leave();
  };
  element<HTMLButtonElement>('touch-leave').onclick = leave;
  // Escape closes the dialog.
  dialog.onclose = leave;
  if (!dialog.open) dialog.showModal();
  (isNew ? reason : element('touch-go')).focus();
}

/** Withdraws the question: the connection is lost, or something else is to be shown. */
export function withdrawTouch(): void {
  const dialog = element<HTMLDialogElement>('touch');
  dialog.onclose = null;
  if (dialog.open) dialog.close();
}

/** The reason as it is sent, or null if there is none. */
export function reasonOf(text: string): string | null {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').trim() || null;
}

/** What is wrong with a reason, or an empty string. */
export function reasonTrouble(text: string, isRequired: boolean): string {
  const reason = reasonOf(text);
  if (reason === null) return isRequired ? 'Say in a few words why you need this shell.' : '';
  return new TextEncoder().encode(reason).length > REASON_MAX ? 'Say it in fewer words.' : '';
}
