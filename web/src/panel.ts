// What the page has to say about the terminal, below it: the terminal gives way and stays readable. Enter
// answers a panel also from within the terminal, but not the Enter of somebody who is still typing to the shell.

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
  /** What Escape does in a question. A question takes the keyboard at once: what it is about goes on meanwhile. */
  leave?: () => void;
  /** `lost` dims the terminal. */
  tone?: 'calm' | 'lost';
}

/** So long after the last key, and after its coming, a panel takes Enter: whoever typed on has seen it by then. */
const QUIET_MS = 700;

const panel = element('panel');
const actions = element('panel-actions');
let first: Action | undefined;
let leave: (() => void) | undefined;
let untilQuiet: ReturnType<typeof setTimeout> | undefined;
/** A key that is down and does not answer. */
let ignored: string | undefined;

/** Shows a panel, in place of one that stands. The keyboard stays where it is, unless that was a panel or nowhere. */
export function showPanel(text: PanelText): void {
  const focused = document.activeElement;
  leave = text.leave;
  const free = leave !== undefined || focused === null || focused === document.body || panel.contains(focused);
  element('panel-title').textContent = text.title;
  element('panel-detail').textContent = text.detail ?? '';
  panelNote(text.note ?? '');
  first = text.actions?.[0];
  actions.replaceChildren(...(text.actions ?? []).map((action) => button(action.label, action.run)));
  actions.firstElementChild?.classList.add('primary');
  document.body.dataset['tone'] = text.tone ?? 'calm';
  panel.hidden = false;
  awaitQuiet();
  if (free) actions.querySelector('button')?.focus();
}

/** Another note in a panel that stands. */
export function panelNote(text: string): void {
  element('panel-note').textContent = text;
}

export function hidePanel(): void {
  panel.hidden = true;
  first = undefined;
  leave = undefined;
  delete document.body.dataset['tone'];
}

export function panelStands(): boolean {
  return !panel.hidden;
}

/** Keys meant for the panel though the terminal has the focus. True if the key was one. */
export function panelKey(event: KeyboardEvent): boolean {
  // What an input method is being told is not said to us.
  if (panel.hidden || event.isComposing) return false;
  // The way out of the terminal for those who have no pointer.
  if (event.key === 'Tab') return true;
  if (event.key !== 'Enter' || !first) return false;
  event.preventDefault();
  if (event.type === 'keydown' && ignored === undefined && !event.repeat) first.run();
  return true;
}

function awaitQuiet(): void {
  delete panel.dataset['ready'];
  clearTimeout(untilQuiet);
  untilQuiet = setTimeout(() => (panel.dataset['ready'] = ''), QUIET_MS);
}

function answers(event: KeyboardEvent): boolean {
  return event.key === 'Enter' || event.key === ' ';
}

// Before anybody else has the key: a button under the focus presses itself.
window.addEventListener(
  'keydown',
  (event) => {
    if (panel.hidden) return;
    ignored = undefined;
    if (answers(event) && panel.dataset['ready'] !== undefined) return;
    awaitQuiet();
    if (!answers(event)) return;
    ignored = event.code;
    if (panel.contains(document.activeElement)) event.preventDefault();
  },
  { capture: true },
);
panel.onkeydown = (event) => {
  if (event.key === 'Escape') leave?.();
};
// Some browsers press a button when the key comes up.
window.addEventListener(
  'keyup',
  (event) => {
    if (event.code === ignored && panel.contains(document.activeElement)) event.preventDefault();
  },
  { capture: true },
);
