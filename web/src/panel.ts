// What the page has to say about the terminal, over its lower edge: the terminal stays readable.

import { button, element } from './elements.ts';

export interface Action {
  label: string;
  run: () => void;
}

export interface PanelText {
  title: string;
  detail?: string;
  /** One more line, for what changes while it stands: see `panelNote`. */
  note?: string;
  /** The first is the one that Enter takes. */
  actions?: Action[];
  /** `lost` dims the terminal. */
  tone?: 'calm' | 'lost';
  /** Whether the first action gets the keyboard. Not while somebody may be typing blind. */
  focus?: 'first' | 'stay';
}

const panel = element('panel');
const actions = element('panel-actions');
let first: Action | undefined;

export function showPanel(text: PanelText): void {
  element('panel-title').textContent = text.title;
  element('panel-detail').textContent = text.detail ?? '';
  panelNote(text.note ?? '');
  first = text.actions?.[0];
  actions.replaceChildren(...(text.actions ?? []).map((action) => button(action.label, action.run)));
  actions.firstElementChild?.classList.add('primary');
  document.body.dataset['tone'] = text.tone ?? 'calm';
  panel.hidden = false;
  if (text.focus !== 'stay') actions.querySelector('button')?.focus();
}

/** Another note in a panel that stands. */
export function panelNote(text: string): void {
  element('panel-note').textContent = text;
}

export function hidePanel(): void {
  panel.hidden = true;
  first = undefined;
  delete document.body.dataset['tone'];
}

/** Keys meant for the panel though the terminal has the focus. True if the key was one. */
export function panelKey(event: KeyboardEvent): boolean {
  if (panel.hidden) return false;
  // The way out of the terminal for those who have no pointer.
  if (event.key === 'Tab') return true;
  if (event.key !== 'Enter' || !first) return false;
  event.preventDefault();
  if (event.type === 'keydown' && !event.repeat) first.run();
  return true;
}
