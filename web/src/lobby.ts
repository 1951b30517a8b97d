// The room between shells: what runs, and what may be opened. What is heard while somebody is busy in it changes
// nothing under their hands.

import { button, element, enterRoom, span } from './elements.ts';
import { labelOf } from './label.ts';
import { announce } from './notice.ts';
import type { SessionId, SessionSummary, Target } from './protocol.ts';
import { ago, counted, targetName } from './words.ts';

/** From one look at what runs to the next; while a shell is ending, sooner. */
const AGAIN_MS = 10_000;
const ENDING_AGAIN_MS = 1_000;

/** So long a button asks whether it is meant. */
const SURE_MS = 6_000;

export interface Lobby {
  targets: Target[];
  sessions: SessionSummary[];
}

export interface LobbyChoices {
  open(target: Target): void;
  attach(session: SessionSummary): void;
  end(session: SessionSummary): void;
  /** Gives a session a name, or takes it away. */
  name(session: SessionSummary, name: string | null): void;
  again(): void;
  /** Back to the shell that is in view, if one is. */
  back?: (() => void) | undefined;
}

/** What is shown, and the latest of what has been heard. */
interface Shown {
  account: string;
  lobby: Lobby;
  viewed: SessionId | undefined;
  choices: LobbyChoices;
}

let shown: Shown | undefined;
/** Somebody is giving a name, or has a button under their finger: the rows stay as they are until that is done. */
let isNaming = false;
let isPressed = false;
let isStale = false;
let isDrawing = false;
/** Which session a button asks about. */
let asked: SessionId | undefined;
let askedTimer: ReturnType<typeof setTimeout> | undefined;
/** Those that were told to end and are still listed. */
const ending = new Set<SessionId>();
let againTimer: ReturnType<typeof setTimeout> | undefined;

export function showLobby(account: string, lobby: Lobby, viewed: SessionId | undefined, choices: LobbyChoices): void {
  shown = { account, lobby, viewed, choices };
  for (const id of ending) if (!lobby.sessions.some((session) => session.id === id)) ending.delete(id);
  const entering = element('lobby').hidden;
  if (entering) isNaming = false;
  redraw();
  document.title = 'Shells · tere';
  enterRoom('lobby');
  const first = element('lobby').querySelector<HTMLElement>('li button');
  if (entering || !element('lobby').contains(document.activeElement)) (first ?? element('lobby-title')).focus();
  lookAgain();
}

/** What runs changes without a word to this room, so it asks from time to time, while somebody looks. */
function lookAgain(): void {
  clearTimeout(againTimer);
  const look = () => {
    if (element('lobby').hidden) return;
    if (document.hidden) lookAgain();
    else shown?.choices.again();
  };
  againTimer = setTimeout(look, ending.size > 0 ? ENDING_AGAIN_MS : AGAIN_MS);
}

window.addEventListener('pointerdown', () => (isPressed = true), { capture: true });
for (const released of ['pointerup', 'pointercancel']) {
  window.addEventListener(
    released,
    () =>
      // After the click.
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
  const { account, lobby, viewed, choices } = shown;
  element('lobby-text').textContent =
    lobby.targets.length + lobby.sessions.length > 0
      ? `Signed in as ${account}.`
      : `Nothing is granted to ${account} yet. Ask whoever runs this host for a grant.`;
  element('lobby-live').hidden = lobby.sessions.length === 0;
  element('lobby-open').hidden = lobby.targets.length === 0;
  element<HTMLButtonElement>('lobby-again').onclick = choices.again;
  const back = element<HTMLButtonElement>('lobby-back');
  back.hidden = choices.back === undefined;
  back.onclick = choices.back ?? null;
  element('lobby').onkeydown = (event) => {
    if (event.key === 'Escape' && !event.isComposing) choices.back?.();
  };

  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  isDrawing = true;
  element('lobby-sessions').replaceChildren(...lobby.sessions.map((one) => sessionRow(one, viewed, choices)));
  element('lobby-targets').replaceChildren(...lobby.targets.map((one) => targetRow(one, choices)));
  if (focused !== undefined) focusKey(focused);
  isDrawing = false;
}

function focusKey(key: string): void {
  element('lobby').querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function targetRow(target: Target, choices: LobbyChoices): HTMLLIElement {
  const row = document.createElement('li');
  const open = button('', () => choices.open(target));
  open.className = 'choice';
  open.dataset['key'] = `open ${targetName(target)}`;
  open.append(span(targetName(target), 'name'));
  row.append(open);
  return row;
}

function sessionRow(session: SessionSummary, viewed: SessionId | undefined, choices: LobbyChoices): HTMLLIElement {
  const row = document.createElement('li');
  const where = targetName(session.target);
  const label = session.name ?? session.about?.title ?? undefined;
  const isEnding = ending.has(session.id);
  const open = button('', () => choices.attach(session));
  open.className = 'choice';
  open.dataset['key'] = `view ${session.id}`;
  open.disabled = isEnding;
  open.append(span(label ?? where, 'name'));
  if (label !== undefined) open.append(span(where, 'quiet'));
  if (session.role !== 'owner') {
    open.append(span(`of ${session.owner}, ${session.role === 'writer' ? 'you may type' : 'to watch'}`, 'quiet'));
  }
  const state = isEnding ? 'ending…' : session.id === viewed ? 'in view here' : news(session);
  open.append(span(state, 'quiet'), span(session.id, 'quiet id'));
  row.append(open);
  if (session.role === 'owner' && !isEnding) row.append(nameButton(session, choices), endButton(session, choices));
  return row;
}

/** What has happened to a session, as far as its worker could say. */
function news({ opened, viewing, about }: SessionSummary): string {
  const now = Date.now();
  const age = `opened ${ago(opened, now)}`;
  if (!about) return age;
  const seen = viewing.length > 0 ? [`viewed by ${viewing.join(', ')}`] : about.viewers === 0 ? [] : [counted(about.viewers, 'viewer')];
  return [age, `active ${ago(now / 1000 - about.idle, now)}`, ...seen].join(', ');
}

/** Which shell it is, for those who hear a button without its row. */
function whole({ id, target, name, about }: SessionSummary): string {
  return `the shell of ${targetName(target)}: ${name ?? about?.title ?? id}`;
}

/** Asks for a name in the row itself. Enter takes it, Escape leaves it as it was. */
function nameButton(session: SessionSummary, choices: LobbyChoices): HTMLButtonElement {
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
      if (verdict === 'take' && (name ?? '') !== before) choices.name(session, name ?? null);
      redraw();
      if (hadFocus) focusKey(key);
    };
    input.onkeydown = (event) => {
      // An input method takes the first Enter and the first Escape for itself.
      if (event.isComposing || !['Enter', 'Escape'].includes(event.key)) return;
      event.stopPropagation();
      // Or the same Enter would press the button that has the focus then.
      event.preventDefault();
      done(event.key === 'Enter' ? 'take' : 'leave');
    };
    // Whoever goes elsewhere in the page is done; another window is not elsewhere in the page.
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

/** Ending a shell cannot be undone: the button asks once more in its own place. */
function endButton(session: SessionSummary, choices: LobbyChoices): HTMLButtonElement {
  const { id } = session;
  const isSure = asked === id;
  const made = button(isSure ? 'Really end it?' : 'End', () => {
    clearTimeout(askedTimer);
    if (isSure && asked === id) {
      asked = undefined;
      ending.add(id);
      choices.end(session);
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
    // A button that is drawn anew gets the focus back at once; one that is left does not.
    if (!isDrawing) setTimeout(() => document.activeElement?.getAttribute('data-key') !== `end ${id}` && forget());
  };
  return made;
}
