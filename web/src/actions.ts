// What can be done in the page: one table of actions, from which the palette, the help of keys, the
// keys themselves and what the buttons say of them are made.

import { askToNotify } from './attention.ts';
import { copyText } from './copying.ts';
import { destinations, type Navigation } from './destinations.ts';
import { element } from './elements.ts';
import { openFind } from './find.ts';
import { ownKey } from './keys.ts';
import { type KeyRow, showKeys } from './keyshelp.ts';
import { settings } from './later.ts';
import { type Lobby, pressInLobby } from './lobby.ts';
import { notice } from './notice.ts';
import { closePalette, type Entry, openPalette, paletteStands, redrawPalette } from './palette.ts';
import { changePreferences, onPreferences, preferences } from './preferencestore.ts';
import type { SessionId } from './protocol.ts';
import { openShare } from './share.ts';
import type { Terminal } from './terminal.ts';
import { pasteClipboard } from './touchkeys.ts';

/** What the actions are done to. */
export interface PageContext extends Pick<Navigation, 'open' | 'attach'> {
  /** Undefined until a shell was in view. */
  terminal(): Terminal | undefined;
  /** What can be opened and viewed, as last received; undefined while the connection is lost. */
  lobby(): Lobby | undefined;
  /** The session in view. */
  viewed(): SessionId | undefined;
  /** Asks for a new list. */
  again(): void;
}

/** What the page must show: a shell, with the focus in its terminal, the lobby, one of them. */
type Place = 'shell' | 'terminal' | 'lobby' | 'both';

interface Action {
  /** Stands for it where keys are turned off. */
  id: string;
  name: string;
  /** Where it can be done. */
  place: Place;
  /** A capital letter is pressed with Ctrl and Shift, a sign without them. */
  key?: string;
  /** Where the key is the page's, if that is not everywhere in `place`. */
  keyPlace?: Place;
  /** The button that does the same. Without `run`, the action presses it. */
  button?: string;
  run?: (page: PageContext) => void;
  /** Whether it would do something now. By default, that is whether its button is there. */
  may?: (page: PageContext) => boolean;
}

const ACTIONS: readonly Action[] = [
  { id: 'actions', name: 'Actions and shells', place: 'both', key: 'P', button: 'bar-actions', run: openActions, may: () => false },
  { id: 'shells', name: 'Your shells', place: 'shell', key: 'L', button: 'bar-shells' },
  { id: 'back', name: 'Back to the shell', place: 'lobby', button: 'lobby-back' },
  { id: 'refresh', name: 'Refresh the list', place: 'lobby', button: 'lobby-again' },
  { id: 'copy', name: 'Copy', place: 'shell', key: 'C', keyPlace: 'terminal', run: copy, may: ({ terminal }) => (terminal()?.selection ?? '') !== '' },
  { id: 'paste', name: 'Paste', place: 'shell', key: 'V', keyPlace: 'terminal', run: paste },
  { id: 'find', name: 'Find in the terminal', place: 'shell', key: 'F', run: openFind },
  { id: 'share', name: 'Share this shell', place: 'shell', key: 'S', button: 'bar-share', run: share },
  { id: 'allow-copy', name: 'Let the program copy to your clipboard', place: 'shell', button: 'bar-clipboard' },
  { id: 'reset', name: 'Reset the terminal', place: 'shell', button: 'bar-reset' },
  { id: 'full', name: 'Full screen', place: 'both', button: 'bar-full' },
  { id: 'reader', name: 'Screen reader', place: 'shell', button: 'bar-reader' },
  { id: 'settings', name: 'Settings', place: 'both', run: openSettings },
  { id: 'keys', name: 'Keys', place: 'both', key: '?', keyPlace: 'lobby', run: openKeys },
  { id: 'key', name: 'Sign in a command line', place: 'both', button: 'lobby-key', may: (page) => page.lobby() !== undefined },
  { id: 'signed-in', name: 'Where you are signed in', place: 'both', button: 'lobby-signed-in', may: (page) => page.lobby() !== undefined },
  { id: 'sign-out', name: 'Sign out', place: 'lobby', button: 'lobby-sign-out' },
];

/** The key in words. */
function keyName(key: string): string {
  return key === '?' ? key : `Ctrl+Shift+${key}`;
}

let page: PageContext | undefined;

/** Sets up the keys; called once. */
export function makeActions(context: PageContext): void {
  page = context;
  element('lobby-actions').onclick = openActions;
  element('bar-actions').onclick = openActions;
  // Wherever the focus is, and before the terminal handles the key.
  window.addEventListener('keydown', pressed, { capture: true });
  window.addEventListener('keyup', released, { capture: true });
  tellButtons();
  onPreferences(tellButtons);
}

/** What can be done has changed: there is a new list of shells, or the connection is lost. */
export function actionsChanged(): void {
  if (isAt('both')) redrawPalette();
  else closePalette();
}

function isOn(action: Action): action is Action & { key: string } {
  return action.key !== undefined && !preferences().keysOff.includes(action.id);
}

/** Says on the buttons which keys do the same. */
function tellButtons(): void {
  for (const action of ACTIONS) {
    if (action.button === undefined || action.key === undefined) continue;
    const button = element(action.button);
    button.title = isOn(action) ? `${action.name} (${keyName(action.key)})` : action.name;
    if (isOn(action)) button.setAttribute('aria-keyshortcuts', keyName(action.key).replace('Ctrl', 'Control'));
    else button.removeAttribute('aria-keyshortcuts');
  }
}

function isAt(place: Place): boolean {
  const inShell = !element('shell').hidden;
  const inLobby = !element('lobby').hidden;
  return place === 'both' ? inShell || inLobby : place === 'lobby' ? inLobby : inShell;
}

/** Whether the page shows the place of an action and nothing before it. */
function takesKey({ id, place, keyPlace = place }: Action): boolean {
  if (!isAt(keyPlace)) return false;
  if (document.querySelector('dialog[open]')) return id === 'actions' && paletteStands();
  return keyPlace !== 'terminal' || element('screen').contains(document.activeElement);
}

function pressed(event: KeyboardEvent): void {
  const key = ownKey(event);
  const action = ACTIONS.find((one) => one.key === key && isOn(one) && takesKey(one));
  if (!action || (key === '?' && isWritten(event.target))) return;
  event.stopPropagation();
  held = event.code;
  // The browser pastes by itself, without asking whether it may.
  if (action.id === 'paste') return;
  event.preventDefault();
  if (!event.repeat) run(action);
}

/** The key that is down and was not for the program. */
let held: string | undefined;

/** A program that is told when keys are released must not be told of one that it did not get. */
function released(event: KeyboardEvent): void {
  if (event.code !== held) return;
  held = undefined;
  event.stopPropagation();
}

/** Whether a sign is text there. */
function isWritten(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches('input, textarea, select');
}

function run(action: Action): void {
  if (!page) return;
  if (action.run) action.run(page);
  else if (action.button !== undefined) element(action.button).click();
}

function openActions(): void {
  if (paletteStands()) {
    closePalette();
    return;
  }
  page?.again();
  openPalette(entries, () => {
    // The focus is back where it was. A row of the lobby may have been drawn anew meanwhile.
    const isNowhere = document.activeElement === document.body;
    if (isAt('lobby') && isNowhere) element('lobby-title').focus();
    else if (isNowhere || document.activeElement === element('bar-actions')) page?.terminal()?.focus();
  });
}

function entries(): Entry[] {
  const here = page;
  if (!here) return [];
  const may = (action: Action) => isAt(action.place) && (action.may?.(here) ?? (action.button === undefined || !element(action.button).hidden));
  const lobby = here.lobby();
  return [
    ...(lobby ? destinations(lobby, here.viewed(), { ...here, press: pressRow }, Date.now()) : []),
    ...ACTIONS.filter(may).map(
      (action): Entry => ({
        id: `do ${action.id}`,
        group: 'Actions',
        name: action.name,
        detail: '',
        key: isOn(action) ? keyName(action.key) : undefined,
        run: () => run(action),
      }),
    ),
  ];
}

/** Machines are made and changed in the lobby. */
function pressRow(key: string): void {
  if (element('lobby').hidden) element('bar-shells').click();
  pressInLobby(key);
}

function copy({ terminal }: PageContext): void {
  copyText(terminal()?.selection ?? '');
}

function paste({ terminal }: PageContext): void {
  const into = terminal();
  if (into) void pasteClipboard(into);
}

function share(): void {
  if (!openShare()) notice('share', 'Only its owner shares a shell, where the policy lets it be shared.');
}

function keyRows(): KeyRow[] {
  return ACTIONS.filter(({ key }) => key !== undefined).map((action) => {
    const { id, name, key = '', keyPlace } = action;
    return { id, name, key: keyName(key), place: keyPlace === 'lobby' ? 'in the list of shells' : '', isOff: !isOn(action) };
  });
}

function openKeys(): void {
  showKeys(keyRows(), openSettings);
}

function openSettings(): void {
  settings().then(
    ({ showSettings }) => showSettings({ preferences, change: changePreferences, askToNotify, keys: keyRows }),
    () => notice('settings', 'The settings could not be loaded. Try again, or reload the page.'),
  );
}
