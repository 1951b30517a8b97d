// Short words at the edge of the page that go away by themselves. Read aloud by screen readers.

import { element, span } from './elements.ts';

const SHOWN_MS = 9000;

const standing = new Map<string, { shown: HTMLElement; timer: ReturnType<typeof setTimeout> }>();

/** Shows a text. One of the same kind replaces the one before it. */
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

/** Takes away what is no longer news: the person went to see, or views another shell. */
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
