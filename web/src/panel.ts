// The panel below the terminal, which shows what the page has to say about the shell. The terminal
// gives way and stays readable. Enter takes the panel's first action even if the terminal has the
// focus, but not while the user is still typing to the shell.

import { button, element } from './elements.ts';

export interface Action {
  label: string;
  run: () => void;
}

export interface PanelText {
  title: string;
  detail?: string;
  /** An additional line, which may change while the panel is shown: see `panelNote`. */
  note?: string;
  /** How much is done, from 0 to 1. */
  progress?: number;
  /** Enter takes the first one. */
  actions?: Action[];
  /**
   * The effect of Escape in a question. A question takes the focus at once, because the shell that
   * it is about goes on meanwhile.
   */
  leave?: () => void;
  /** `lost` dims the terminal. */
  tone?: 'calm' | 'lost';
}

/**
 * A panel accepts Enter this long after it appeared and after the last key. A user who typed on has
 * seen the panel by then.
 */
const QUIET_MS = 700;

const panel = element('panel');
const progress = element<HTMLProgressElement>('panel-progress');
const actions = element('panel-actions');
let first: Action | undefined;
let leave: (() => void) | undefined;
let untilQuiet: ReturnType<typeof setTimeout> | undefined;
/** The code of a key that is down and was not accepted. */
let ignored: string | undefined;

/**
 * Shows a panel in place of the current one. A question takes the focus. Otherwise the focus moves
 * only if it was in the panel or nowhere.
 */
export function showPanel(text: PanelText): void {
  const focused = document.activeElement;
  leave = text.leave;
  const free = leave !== undefined || focused === null || focused === document.body || panel.contains(focused);
  element('panel-title').textContent = text.title;
  element('panel-detail').textContent = text.detail ?? '';
  panelNote(text.note ?? '');
  progress.hidden = text.progress === undefined;
  progress.value = text.progress ?? 0;
  first = text.actions?.[0];
  actions.replaceChildren(...(text.actions ?? []).map((action) => button(action.label, action.run)));
  actions.firstElementChild?.classList.add('primary');
  document.body.dataset['tone'] = text.tone ?? 'calm';
  panel.hidden = false;
  awaitQuiet();
  if (free) actions.querySelector('button')?.focus();
}

/** Replaces the note of the panel that is shown. */
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

/**
 * Handles keys for the panel while the terminal has the focus. Returns true if the key was for the
 * panel.
 */
export function panelKey(event: KeyboardEvent): boolean {
  // During composition, keys belong to the input method.
  if (panel.hidden || event.isComposing) return false;
  // Tab is the way out of the terminal for users without a pointer.
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

// In the capture phase, before any other listener. The browser presses a focused button by itself
// unless the default action is prevented.
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
// Some browsers press a button on keyup.
window.addEventListener(
  'keyup',
  (event) => {
    if (event.code === ignored && panel.contains(document.activeElement)) event.preventDefault();
  },
  { capture: true },
);
