// The door: one button, shown before anybody is signed in.

import { element, enterRoom } from './elements.ts';

const button = element<HTMLButtonElement>('door-button');

export interface DoorText {
  text: string;
  label: string;
  hint: string;
  /** What went wrong at the last attempt. */
  message?: string;
}

export function showDoor(text: DoorText, knock: () => void): void {
  element('door-where').textContent = `shells on ${location.host}`;
  element('door-text').textContent = text.text;
  element('door-message').textContent = text.message ?? '';
  element('door-hint').textContent = text.hint;
  button.textContent = text.label;
  button.disabled = false;
  button.onclick = knock;
  document.title = 'tere';
  enterRoom('door');
  button.focus();
}

/** The button was pressed, and the browser asks for the passkey. */
export function doorWaits(): void {
  button.disabled = true;
  button.textContent = 'Waiting for your passkey…';
  element('door-message').textContent = '';
}
