// The lobby: the sessions that run and the targets that may be opened. An update does not change
// the rows while the user is busy with them.

import { button, element, showSection, span } from './elements.ts';
import { labelOf } from './label.ts';
import { announce } from './notice.ts';
import type { HostTerms, SessionId, SessionSummary, Target } from './protocol.ts';
import { isOnHost } from './touch.ts';
import { ago, counted, inTime, targetName } from './words.ts';

/**
 * Interval between two requests for the list; the shorter one applies while a session is ending.
 */
const AGAIN_MS = 10_000;
const ENDING_AGAIN_MS = 1_000;

/** How long a button asks for confirmation. */
const SURE_MS = 6_000;

export interface Lobby {
  targets: Target[];
  /** The terms of the targets on the host itself. */
  host: HostTerms[];
  sessions: SessionSummary[];
}

export interface LobbyCallbacks {
  open(target: Target): void;
  attach(session: SessionSummary): void;
  end(session: SessionSummary): void;
  /** Gives a session a name; null removes it. */
  name(session: SessionSummary, name: string | null): void;
  again(): void;
  /** Returns to the shell of this tab; undefined if there is none. */
  back?: (() => void) | undefined;
}

/** The latest data. The rows may show older data while `isStale` is set. */
interface Shown {
  account: string;
  lobby: Lobby;
  viewed: SessionId | undefined;
  callbacks: LobbyCallbacks;
}

let shown: Shown | undefined;
/** While the user edits a name or holds a button down, the rows are not redrawn. */
let isNaming = false;
let isPressed = false;
let isStale = false;
let isDrawing = false;
/** The session whose End button asks for confirmation. */
let asked: SessionId | undefined;
let askedTimer: ReturnType<typeof setTimeout> | undefined;
/** Sessions that were told to end and are still listed. */
const ending = new Set<SessionId>();
let againTimer: ReturnType<typeof setTimeout> | undefined;

export function showLobby(account: string, lobby: Lobby, viewed: SessionId | undefined, callbacks: LobbyCallbacks): void {
  shown = { account, lobby, viewed, callbacks };
  for (const id of ending) if (!lobby.sessions.some((session) => session.id === id)) ending.delete(id);
  const entering = element('lobby').hidden;
  if (entering) isNaming = false;
  redraw();
  document.title = 'Shells · tere';
  showSection('lobby');
  const first = element('lobby').querySelector<HTMLElement>('li button');
  if (entering || !element('lobby').contains(document.activeElement)) (first ?? element('lobby-title')).focus();
  lookAgain();
}

/**
 * Schedules the next request for the list: the front does not report changes, so the lobby polls
 * while it is visible.
 */
function lookAgain(): void {
  clearTimeout(againTimer);
  const look = () => {
    if (element('lobby').hidden) return;
    if (document.hidden) lookAgain();
    else shown?.callbacks.again();
  };
  againTimer = setTimeout(look, ending.size > 0 ? ENDING_AGAIN_MS : AGAIN_MS);
}

window.addEventListener('pointerdown', () => (isPressed = true), { capture: true });
for (const released of ['pointerup', 'pointercancel']) {
  window.addEventListener(
    released,
    () =>
      // Runs after the click event.
      setTimeout(() => {
        isPressed = false;
        if (isStale) redraw();
      }),
    { capture: true },
  );
}

function redraw(): void {
  isStale = isNaming || isPressed;
  if (!isStale) draw();
}

function draw(): void {
  if (!shown) return;
  const { account, lobby, viewed, callbacks } = shown;
  element('lobby-text').textContent =
    lobby.targets.length + lobby.sessions.length > 0
      ? `Signed in as ${account}.`
      : `Nothing is granted to ${account} yet. Ask whoever runs this host for a grant.`;
  element('lobby-live').hidden = lobby.sessions.length === 0;
  element('lobby-open').hidden = lobby.targets.length === 0;
  element<HTMLButtonElement>('lobby-again').onclick = callbacks.again;
  const back = element<HTMLButtonElement>('lobby-back');
  back.hidden = callbacks.back === undefined;
  back.onclick = callbacks.back ?? null;
  element('lobby').onkeydown = (event) => {
    if (event.key === 'Escape' && !event.isComposing) callbacks.back?.();
  };

  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  isDrawing = true;
  element('lobby-sessions').replaceChildren(...lobby.sessions.map((one) => sessionRow(one, viewed, callbacks)));
  element('lobby-targets').replaceChildren(...lobby.targets.map((one) => targetRow(one, callbacks)));
  if (focused !== undefined) focusKey(focused);
  isDrawing = false;
}

function focusKey(key: string): void {
  element('lobby').querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function targetRow(target: Target, callbacks: LobbyCallbacks): HTMLLIElement {
  const row = document.createElement('li');
  const open = button('', () => callbacks.open(target));
  open.className = 'choice';
  open.dataset['key'] = `open ${targetName(target)}`;
  open.append(span(targetName(target), 'name'));
  if (isOnHost(target)) {
    open.classList.add('on-host');
    open.append(span('the host itself, with your passkey once more', 'quiet'));
  }
  row.append(open);
  return row;
}

function sessionRow(session: SessionSummary, viewed: SessionId | undefined, callbacks: LobbyCallbacks): HTMLLIElement {
  const row = document.createElement('li');
  const where = targetName(session.target);
  const label = session.name ?? session.about?.title ?? undefined;
  const isEnding = ending.has(session.id);
  const open = button('', () => callbacks.attach(session));
  open.className = 'choice';
  open.dataset['key'] = `view ${session.id}`;
  open.disabled = isEnding;
  if (isOnHost(session.target)) open.classList.add('on-host');
  open.append(span(label ?? where, 'name'));
  if (label !== undefined) open.append(span(where, 'quiet'));
  if (session.role !== 'owner') {
    open.append(span(`of ${session.owner}, ${session.role === 'writer' ? 'you may type' : 'to watch'}`, 'quiet'));
  }
  const state = isEnding ? 'ending…' : session.id === viewed ? 'in view here' : news(session);
  open.append(span(state, 'quiet'), span(session.id, 'quiet id'));
  row.append(open);
  if (session.role === 'owner' && !isEnding) row.append(nameButton(session, callbacks), endButton(session, callbacks));
  return row;
}

/**
 * The age, activity and viewers of a session. If its worker did not answer, only the age is known.
 */
function news({ opened, left, viewing, about }: SessionSummary): string {
  const now = Date.now();
  const age = `opened ${ago(opened, now)}${left === null ? '' : `, ends in ${inTime(left)}`}`;
  if (!about) return age;
  const seen = viewing.length > 0 ? [`viewed by ${viewing.join(', ')}`] : about.viewers === 0 ? [] : [counted(about.viewers, 'viewer')];
  return [age, `active ${ago(now / 1000 - about.idle, now)}`, ...seen].join(', ');
}

/** The full description of a session, for users who hear a button without seeing its row. */
function whole({ id, target, name, about }: SessionSummary): string {
  return `the shell of ${targetName(target)}: ${name ?? about?.title ?? id}`;
}

/**
 * A button that replaces itself with an input field for the name. Enter accepts the name, Escape
 * discards it.
 */
function nameButton(session: SessionSummary, callbacks: LobbyCallbacks): HTMLButtonElement {
  const key = `name ${session.id}`;
  const made = button('Name', () => {
    const input = document.createElement('input');
    const before = session.name ?? '';
    input.value = before;
    input.setAttribute('aria-label', `Name of ${whole(session)}`);
    const done = (verdict: 'take' | 'leave') => {
      if (!isNaming) return;
      isNaming = false;
      const hadFocus = document.activeElement === input;
      const name = labelOf(input.value);
      if (verdict === 'take' && (name ?? '') !== before) callbacks.name(session, name ?? null);
      redraw();
      if (hadFocus) focusKey(key);
    };
    input.onkeydown = (event) => {
      // During composition, Enter and Escape belong to the input method.
      if (event.isComposing || !['Enter', 'Escape'].includes(event.key)) return;
      event.stopPropagation();
      // Otherwise the same Enter would press the button that receives the focus.
      event.preventDefault();
      done(event.key === 'Enter' ? 'take' : 'leave');
    };
    // Moving the focus elsewhere in the page accepts the name; switching to another window does
    // not.
    input.onblur = () => {
      if (document.hasFocus()) done('take');
    };
    isNaming = true;
    made.replaceWith(input);
    input.focus();
    input.select();
  });
  made.className = 'quiet-button';
  made.dataset['key'] = key;
  made.setAttribute('aria-label', `Name ${whole(session)}`);
  return made;
}

/**
 * A button that ends a session. That cannot be undone, so the button asks for confirmation in its
 * own place.
 */
function endButton(session: SessionSummary, callbacks: LobbyCallbacks): HTMLButtonElement {
  const { id } = session;
  const isSure = asked === id;
  const made = button(isSure ? 'Really end it?' : 'End', () => {
    clearTimeout(askedTimer);
    if (isSure && asked === id) {
      asked = undefined;
      ending.add(id);
      callbacks.end(session);
      announce(`Ending ${whole(session)}`);
      lookAgain();
    } else {
      asked = id;
      askedTimer = setTimeout(forget, SURE_MS);
      announce('Really end it? Press once more.');
    }
    redraw();
  });
  const forget = () => {
    if (asked !== id || isDrawing) return;
    asked = undefined;
    clearTimeout(askedTimer);
    redraw();
  };
  made.className = isSure ? 'danger sure' : 'danger';
  made.dataset['key'] = `end ${id}`;
  made.setAttribute('aria-label', isSure ? `Really end ${whole(session)}? Press once more.` : `End ${whole(session)}`);
  made.onblur = () => {
    // A redrawn button gets the focus back at once. If the button has lost the focus, the question
    // is withdrawn.
    if (!isDrawing) setTimeout(() => document.activeElement?.getAttribute('data-key') !== `end ${id}` && forget());
  };
  return made;
}
