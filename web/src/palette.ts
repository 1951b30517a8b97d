// The palette: a list of what can be done now, filtered by what the user types. A combobox with a
// list box in a dialog: the focus stays in the field, and the arrow keys move through the list. See
// https://www.w3.org/WAI/ARIA/apg/patterns/combobox/.

import { element, span } from './elements.ts';
import { matching, type Named } from './matching.ts';

export interface Entry extends Named {
  /** Distinguishes it from the others, whatever else changes. */
  id: string;
  /** The heading below which it stands. */
  group: string;
  /** The key that does the same, in words. */
  key?: string | undefined;
  /** Whether it leads to the host itself. */
  onHost?: boolean;
  run(): void;
}

/** The most entries that are listed. The rest is found by typing. */
const LISTED_MAX = 150;

/** How far Page Up and Page Down go. */
const PAGE = 8;

const dialog = element<HTMLDialogElement>('palette');
const field = element<HTMLInputElement>('palette-text');
const list = element('palette-list');

let entries: () => Entry[] = () => [];
let listed: Entry[] = [];
/** The id of the entry that Enter runs. */
let selected: string | undefined;

export function paletteStands(): boolean {
  return dialog.open;
}

/** Opens the palette. `now` returns what can be done; `closed` runs when it is closed. */
export function openPalette(now: () => Entry[], closed: () => void): void {
  entries = now;
  field.value = '';
  field.oninput = () => draw('first');
  field.onkeydown = pressed;
  dialog.onclose = () => {
    list.replaceChildren();
    closed();
  };
  // A click beside the dialog reaches it as one on its edge.
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  if (!dialog.open) dialog.showModal();
  draw('first');
  field.focus();
}

export function closePalette(): void {
  dialog.close();
}

/** What can be done has changed: the list is drawn anew, and the selection stays where it is. */
export function redrawPalette(): void {
  if (dialog.open) draw('same');
}

function pressed(event: KeyboardEvent): void {
  // During composition, these keys belong to the input method.
  if (event.isComposing) return;
  const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };
  const by = moves[event.key];
  if (by !== undefined) {
    event.preventDefault();
    move(by);
  } else if (event.key === 'Enter') {
    event.preventDefault();
    const entry = listed.find(({ id }) => id === selected);
    if (entry && !event.repeat) run(entry);
  }
}

/** Moves the selection. Single steps go on at the other end; larger ones stop there. */
function move(by: number): void {
  const { length } = listed;
  const at = listed.findIndex(({ id }) => id === selected);
  const to = Math.abs(by) === 1 ? (at < 0 && by < 0 ? length - 1 : (at + by + length) % length) : Math.min(length - 1, Math.max(0, at + by));
  select(listed[to]?.id);
}

/** What the entry does may take the focus, so the dialog gives it back first. */
function run(entry: Entry): void {
  dialog.close();
  entry.run();
}

function draw(choose: 'first' | 'same'): void {
  const groups = new Map<string, Entry[]>();
  const all = matching(field.value, entries()).slice(0, LISTED_MAX);
  for (const entry of all) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
  listed = [...groups.values()].flat();
  list.replaceChildren(...[...groups].map(([name, ones], at) => groupOf(name, ones, at)));
  list.hidden = listed.length === 0;
  field.setAttribute('aria-expanded', String(!list.hidden));
  element('palette-none').textContent = list.hidden ? 'Nothing of that name.' : '';
  // If the selected entry is gone, Enter must not run another one in its place.
  select(choose === 'first' ? listed[0]?.id : listed.find(({ id }) => id === selected)?.id);
}

function groupOf(name: string, ones: Entry[], at: number): HTMLElement {
  const group = document.createElement('ul');
  group.setAttribute('role', 'group');
  const title = document.createElement('li');
  title.id = `palette-group-${at}`;
  title.className = 'group';
  title.setAttribute('role', 'presentation');
  title.textContent = name;
  group.setAttribute('aria-labelledby', title.id);
  group.append(title, ...ones.map(optionOf));
  return group;
}

function optionOf(entry: Entry): HTMLElement {
  const option = document.createElement('li');
  option.setAttribute('role', 'option');
  option.id = `palette-option-${listed.indexOf(entry)}`;
  if (entry.onHost) option.className = 'on-host';
  option.append(span(entry.name, 'name'));
  if (entry.detail !== '') option.append(' ', span(entry.detail, 'quiet'));
  if (entry.key !== undefined) {
    const key = document.createElement('kbd');
    key.textContent = entry.key;
    option.append(' ', key);
  }
  option.onclick = () => run(entry);
  return option;
}

function select(id: string | undefined): void {
  selected = id;
  const at = listed.findIndex((entry) => entry.id === id);
  for (const option of list.querySelectorAll('[role=option]')) {
    const isSelected = option.id === `palette-option-${at}`;
    option.setAttribute('aria-selected', String(isSelected));
    if (isSelected) option.scrollIntoView({ block: 'nearest' });
  }
  if (at < 0) field.removeAttribute('aria-activedescendant');
  else field.setAttribute('aria-activedescendant', `palette-option-${at}`);
}
