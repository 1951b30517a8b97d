// The sign-in form: one button, shown before anybody is signed in.

import { element, showSection } from './elements.ts';

const button = element<HTMLButtonElement>('sign-in-button');

export interface SignInText {
  text: string;
  label: string;
  hint: string;
  /** What went wrong at the last attempt. */
  message?: string;
}

export function showSignIn(text: SignInText, signIn: () => void): void {
  element('sign-in-where').textContent = `shells on ${location.host}`;
  element('sign-in-text').textContent = text.text;
  element('sign-in-message').textContent = text.message ?? '';
  element('sign-in-hint').textContent = text.hint;
  button.textContent = text.label;
  button.disabled = false;
  button.onclick = signIn;
  document.title = 'tere';
  showSection('sign-in');
  button.focus();
}

/** The button was pressed, and the browser asks for the passkey. */
export function signInWaits(): void {
  button.disabled = true;
  button.textContent = 'Waiting for your passkey…';
  element('sign-in-message').textContent = '';
}
