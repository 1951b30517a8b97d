// The lobby: the sessions that run and the targets that may be opened. An update does not change
// the rows while the user is busy with them.

import { button, element, showSection, span } from './elements.ts';
import { labelOf } from './label.ts';
import { machineControls, machineNews, newMachineRow, unfoldButton, type MachineCallbacks } from './machines.ts';
import { announce } from './notice.ts';
import { showPlace } from './place.ts';
import type { Alert, GrantedTarget, MachineSummary, SessionId, SessionSummary, TaskMachines } from './protocol.ts';
import { RowControls } from './rowcontrols.ts';
import { isOnHost } from './terms.ts';
import { setTitle } from './windowtitle.ts';
import { ago, counted, inTime, targetName } from './words.ts';

/**
 * Interval between two requests for the list; the shorter one applies while a session is ending.
 */
const AGAIN_MS = 10_000;
const ENDING_AGAIN_MS = 1_000;

export interface Lobby {
  targets: GrantedTarget[];
  sessions: SessionSummary[];
  /** The account's own machines that tere has made. */
  machines: MachineSummary[];
  /** The machines for tasks that may be made. */
  tasks: TaskMachines[];
}

export interface LobbyCallbacks extends MachineCallbacks {
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
/** While the user edits a text or holds a button down, the rows are not redrawn. */
const controls = new RowControls(redraw, focusKey);
let isPressed = false;
let isStale = false;
/** Sessions that were told to end and are still listed. */
const ending = new Set<SessionId>();
let againTimer: ReturnType<typeof setTimeout> | undefined;

export function showLobby(account: string, lobby: Lobby, viewed: SessionId | undefined, callbacks: LobbyCallbacks): void {
  shown = { account, lobby, viewed, callbacks };
  for (const id of ending) if (!lobby.sessions.some((session) => session.id === id)) ending.delete(id);
  const entering = element('lobby').hidden;
  if (entering) controls.isEditing = false;
  redraw();
  setTitle('Shells · tere');
  showPlace(undefined);
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
  isStale = controls.isEditing || isPressed;
  if (!isStale) draw();
}

function draw(): void {
  if (!shown) return;
  const { account, lobby, viewed, callbacks } = shown;
  element('lobby-text').textContent =
    lobby.targets.length + lobby.tasks.length + lobby.sessions.length > 0
      ? `Signed in as ${account}.`
      : `Nothing is granted to ${account} yet. Ask whoever runs this host for a grant.`;
  element('lobby-live').hidden = lobby.sessions.length === 0;
  element('lobby-open').hidden = lobby.targets.length + lobby.tasks.length === 0;
  element<HTMLButtonElement>('lobby-again').onclick = callbacks.again;
  const back = element<HTMLButtonElement>('lobby-back');
  back.hidden = callbacks.back === undefined;
  back.onclick = callbacks.back ?? null;
  element('lobby').onkeydown = (event) => {
    if (event.key === 'Escape' && !event.isComposing) callbacks.back?.();
  };

  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['key'] : undefined;
  controls.drawing(() => {
    element('lobby-sessions').replaceChildren(...lobby.sessions.map((one) => sessionRow(one, viewed, callbacks)));
    element('lobby-targets').replaceChildren(
      ...lobby.targets.map((one, at) => targetRow(one, at, lobby, callbacks)),
      ...lobby.tasks.map((one) => newMachineRow(one, controls, callbacks)),
    );
    if (focused !== undefined) focusKey(focused);
  });
}

function focusKey(key: string): void {
  element('lobby').querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** Presses the button of a row that has this key, unless it has unfolded its row already. */
export function pressInLobby(key: string): void {
  focusKey(key);
  const made = document.activeElement;
  if (made instanceof HTMLButtonElement && made.dataset['key'] === key && made.ariaExpanded !== 'true') made.click();
}

function targetRow({ target, terms }: GrantedTarget, at: number, lobby: Lobby, callbacks: LobbyCallbacks): HTMLLIElement {
  const row = document.createElement('li');
  const open = button('', () => callbacks.open(target));
  open.className = 'choice';
  open.dataset['key'] = `open ${targetName(target)}`;
  open.append(span(targetName(target), 'name'));
  row.append(open);
  if (isOnHost(target)) {
    open.classList.add('on-host');
    open.append(span('the host itself, with your passkey once more', 'quiet'));
  } else if (terms.touch) {
    open.append(span('with your passkey once more', 'quiet'));
  }
  // If there are several targets in a machine, its controls are beside the first one.
  const isFirst = lobby.targets.findIndex((one) => one.target.machine === target.machine) === at;
  const machine = lobby.machines.find((one) => one.machine === target.machine);
  if (machine && isFirst) {
    const news = machineNews(machine);
    if (news) open.append(span(news, 'quiet'));
    const parts = [unfoldButton(machine, redraw), machineControls(machine, lobby.tasks, controls, callbacks)];
    row.append(...parts.filter((part) => part !== undefined));
  }
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
  open.disabled = isEnding || session.exec;
  if (isOnHost(session.target)) open.classList.add('on-host');
  open.append(span(label ?? where, 'name'));
  if (label !== undefined) open.append(span(where, 'quiet'));
  if (session.role !== 'owner') {
    open.append(span(`of ${session.owner}, ${session.role === 'writer' ? 'you may type' : 'to watch'}`, 'quiet'));
  }
  if (session.exec) open.append(span('a command without a terminal', 'quiet'));
  const state = isEnding ? 'ending…' : session.id === viewed ? 'in view here' : news(session);
  open.append(span(state, 'quiet'), span(session.id, 'quiet id'));
  const alert = isEnding ? undefined : session.about?.alert;
  if (alert) open.append(span(alertOf(alert), 'alert'));
  row.append(open);
  if (session.role === 'owner' && !isEnding) row.append(nameButton(session, callbacks), endButton(session, callbacks));
  return row;
}

/** The last alert since which nobody has typed. */
function alertOf({ text, ago: seconds }: Alert): string {
  const now = Date.now();
  return `${ago(now / 1000 - seconds, now)}: ${text ?? 'the bell rang'}`;
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

function nameButton(session: SessionSummary, callbacks: LobbyCallbacks): HTMLButtonElement {
  const before = session.name ?? '';
  return controls.field({
    key: `name ${session.id}`,
    label: 'Name',
    whole: `Name ${whole(session)}`,
    fieldName: `Name of ${whole(session)}`,
    value: before,
    takenOnLeaving: true,
    take: (text) => {
      const name = labelOf(text);
      if ((name ?? '') !== before) callbacks.name(session, name ?? null);
      return undefined;
    },
  });
}

function endButton(session: SessionSummary, callbacks: LobbyCallbacks): HTMLButtonElement {
  return controls.sure({
    key: `end ${session.id}`,
    label: 'End',
    question: 'Really end it?',
    whole: `End ${whole(session)}`,
    wholeQuestion: `Really end ${whole(session)}?`,
    loses: true,
    run: () => {
      ending.add(session.id);
      callbacks.end(session);
      announce(`Ending ${whole(session)}`);
      lookAgain();
    },
  });
}
