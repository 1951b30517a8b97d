// Looks up and creates elements of the page.

/** The element with this id. Throws if index.html does not have it. */
export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.querySelector<T>(`#${id}`);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A new button. The text is inserted as plain text, never as HTML. */
export function button(text: string, click: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = text;
  made.addEventListener('click', click);
  return made;
}

/** A new span. The text is inserted as plain text, never as HTML. */
export function span(text: string, name?: string): HTMLSpanElement {
  const made = document.createElement('span');
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

export type Section = 'sign-in' | 'lobby' | 'shell';

/** Shows one section of the page and hides the others. */
export function showSection(section: Section): void {
  document.body.dataset['section'] = section;
  for (const id of ['sign-in', 'lobby', 'shell'] satisfies Section[]) element(id).hidden = id !== section;
}
