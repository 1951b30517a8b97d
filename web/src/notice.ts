// Short messages at the edge of the page. They disappear by themselves, and screen readers read
// them.

import { element, span } from './elements.ts';

const SHOWN_MS = 9000;

const standing = new Map<string, { shown: HTMLElement; timer: ReturnType<typeof setTimeout> }>();

/** Shows a text. It replaces the previous text of the same kind. */
export function notice(kind: string, text: string): void {
  clearTimeout(standing.get(kind)?.timer);
  const shown = standing.get(kind)?.shown ?? span('', 'notice');
  shown.textContent = text;
  shown.dataset['kind'] = kind;
  element('notices').append(shown);
  const timer = setTimeout(() => {
    shown.remove();
    standing.delete(kind);
  }, SHOWN_MS);
  standing.set(kind, { shown, timer });
}

/**
 * Removes all notices, which are out of date: the user went to the lobby, or views another shell.
 */
export function endNotices(): void {
  for (const { shown, timer } of standing.values()) {
    clearTimeout(timer);
    shown.remove();
  }
  standing.clear();
}

/** Says something to a screen reader at once. */
export function announce(text: string): void {
  element('announcement').textContent = text;
}
