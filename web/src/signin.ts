// The sign-in form: one button, shown before anybody is signed in.

import { element, showSection } from './elements.ts';
import { setTitle } from './windowtitle.ts';

const button = element<HTMLButtonElement>('sign-in-button');

export interface SignInText {
  text: string;
  label: string;
  hint: string;
  /** What went wrong at the last attempt. */
  message?: string;
}

/** Where the choice is remembered whether the browser may come back without a touch. */
const STAY = 'tere.stay';

/** Whether all tabs of this browser may come back without a touch, and not this tab alone. */
export function inBrowser(): boolean {
  return localStorage.getItem(STAY) !== 'tab';
}

export function showSignIn(text: SignInText, signIn: () => void): void {
  element('sign-in-where').textContent = `shells on ${location.host}`;
  element('sign-in-text').textContent = text.text;
  element('sign-in-message').textContent = text.message ?? '';
  element('sign-in-hint').textContent = text.hint;
  button.textContent = text.label;
  button.disabled = false;
  button.onclick = signIn;
  const stay = element<HTMLInputElement>('sign-in-stay');
  stay.checked = inBrowser();
  stay.onchange = () => localStorage.setItem(STAY, stay.checked ? 'browser' : 'tab');
  element('sign-in-choice').hidden = false;
  setTitle('tere');
  showSection('sign-in');
  button.focus();
}

/** The button was pressed, and the browser asks for the passkey. */
export function signInWaits(): void {
  button.disabled = true;
  button.textContent = 'Waiting for your passkey…';
  element('sign-in-message').textContent = '';
}

/** The page signs in by itself. The user may press the button all the same, after a failure. */
export function showResuming(account: string, message: string): void {
  element('sign-in-text').textContent = `Signing in again as ${account}…`;
  element('sign-in-message').textContent = message;
}
