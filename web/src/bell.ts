// The bell of the terminal, as a frame around it for a moment.

import { preferences } from './preferencestore.ts';

const SHOWN_MS = 200;

/** The pause between two bells: fewer than three flashes in a second, see WCAG 2.2, 2.3.1. */
const PAUSE_MS = 1000;

let next = 0;

export function ring(place: HTMLElement): void {
  if (preferences().bell !== 'visible' || Date.now() < next) return;
  next = Date.now() + PAUSE_MS;
  place.dataset['bell'] = '';
  setTimeout(() => delete place.dataset['bell'], SHOWN_MS);
}
