// The page's own keys, for users who ask for them.

import { element } from './elements.ts';

export interface KeyRow {
  /** The id of the action. */
  id: string;
  name: string;
  key: string;
  /** Where it is a key of the page, if that is not everywhere. */
  place: string;
  isOff: boolean;
}

const dialog = element<HTMLDialogElement>('keys');

/** Shows the keys. `settings` opens the settings, where each can be turned off. */
export function showKeys(rows: KeyRow[], settings: () => void): void {
  element('keys-list').replaceChildren(...rows.flatMap(rowOf));
  element<HTMLButtonElement>('keys-settings').onclick = () => {
    dialog.close();
    settings();
  };
  if (!dialog.open) dialog.showModal();
}

function rowOf({ name, key, place, isOff }: KeyRow): HTMLElement[] {
  const [dt, dd, kbd] = ['dt', 'dd', 'kbd'].map((tag) => document.createElement(tag)) as [HTMLElement, HTMLElement, HTMLElement];
  dt.textContent = name;
  kbd.textContent = key;
  dd.append(kbd, ` ${place}${isOff ? ' (turned off)' : ''}`);
  return [dt, dd];
}
