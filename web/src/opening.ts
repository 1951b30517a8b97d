// What the page shows while a view is being opened.

import type { PanelText } from './panel.ts';
import type { OpeningStep, SessionId, Target } from './protocol.ts';
import { targetName } from './words.ts';

/** Nothing is known of the opening, except that it takes a while. */
export function slowOpening(target: Target, session: SessionId | undefined): PanelText {
  return {
    title: `Opening ${targetName(target)}…`,
    detail: session === undefined ? 'The machine may have to start first.' : 'Its screen is on the way.',
  };
}

/** A step has begun. Opening the shell is the last one, and is short. */
export function openingStep({ machine }: Target, step: OpeningStep): PanelText {
  switch (step) {
    case 'making':
      return { title: `Making your machine ${machine}…`, detail: 'It is made once and kept for you.', progress: 0.1 };
    case 'booting':
      return { title: `Starting ${machine}…`, detail: 'Your shell opens as soon as it is up.', progress: 0.4 };
    default:
      step satisfies never;
      return { title: `Opening a shell in ${machine}…`, progress: 0.4 };
  }
}
