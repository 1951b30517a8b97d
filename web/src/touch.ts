// The question before a shell that takes a touch of the passkey, or a reason: the user is told what
// is to come, says why if the policy asks for it, and presses the button.

import { element } from './elements.ts';
import type { Reason, SessionId, Target, Terms } from './protocol.ts';
import { isOnHost } from './terms.ts';
import { inTime, targetName } from './words.ts';

/** Longest reason, in bytes: see `Reason` in src/names/reason.rs. */
const REASON_MAX = 300;

export interface TouchCallbacks {
  /** The user goes on, with the reason if there is one. */
  go(reason: Reason | null): void;
  /** The user leaves it. */
  leave(): void;
}

/** Asks whether to open a shell, or to view the session again. */
export function askTouch(target: Target, session: SessionId | undefined, terms: Terms, callbacks: TouchCallbacks): void {
  const dialog = element<HTMLDialogElement>('touch');
  const reason = element<HTMLInputElement>('touch-reason');
  const isNew = session === undefined;
  dialog.classList.toggle('for-host', isOnHost(target));
  element('touch-title').textContent = touchTitle(target, isNew);
  element('touch-text').textContent = touchText(target, isNew, terms);
  element('touch-go').textContent = terms.touch ? 'Use my passkey' : 'Open';
  element('touch-why').hidden = !isNew;
  reason.required = terms.reason;
  reason.value = '';
  reason.placeholder = terms.reason ? 'Required' : 'If you like';
  reason.setCustomValidity('');
  reason.oninput = () => reason.setCustomValidity(reasonTrouble(reason.value, terms.reason));
  const done = () => {
    dialog.onclose = null;
    dialog.close();
  };
  element<HTMLFormElement>('touch-form').onsubmit = (event) => {
    event.preventDefault();
    reason.setCustomValidity(isNew ? reasonTrouble(reason.value, terms.reason) : '');
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

/** What the user is asked. */
export function touchTitle(target: Target, isNew: boolean): string {
  if (!isNew) return `Go back to ${targetName(target)}?`;
  return isOnHost(target) ? `Open a shell on the host, as ${target.user}?` : `Open a shell as ${targetName(target)}?`;
}

/** What there is to know before that. */
export function touchText(target: Target, isNew: boolean, { touch, reason, limit }: Terms): string {
  if (!isNew) {
    return isOnHost(target)
      ? 'This session is on the host itself: your passkey is needed for each view of it.'
      : 'The policy of this host demands your passkey for each view of this session.';
  }
  const ends = limit === null ? '' : `, and the session ends after ${inTime(limit)}`;
  if (isOnHost(target)) {
    return `This is the host itself, not a machine on it. Your passkey is needed once more${ends}. The journal records it.`;
  }
  const demands = [...(touch ? ['your passkey once more'] : []), ...(reason ? ['a reason in words'] : [])].join(' and ');
  return `The policy of this host demands ${demands} for each shell there${ends}. The journal records it.`;
}

/** The reason as it is sent, or null if there is none. */
export function reasonOf(text: string): Reason | null {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').trim() || null;
}

/** What is wrong with a reason, or an empty string. */
export function reasonTrouble(text: string, isRequired: boolean): string {
  const reason = reasonOf(text);
  if (reason === null) return isRequired ? 'Say in a few words why you need this shell.' : '';
  return new TextEncoder().encode(reason).length > REASON_MAX ? 'Say it in fewer words.' : '';
}
