// Where a link into the page leads: to a target or a session, never to a command. So that a person
// can bookmark a shell, the address bar shows its target while it is in view.

import type { SessionId, Target } from './protocol.ts';
import { isOnHost } from './touch.ts';
import { targetName } from './words.ts';

const OPEN = '#open=';
const SESSION = '#session=';

/** A link leads to one of these. */
export type Place = { target: string } | { session: SessionId };

/** The place that the fragment of an address names, if it names one. */
export function placeOf(hash: string): Place | undefined {
  if (hash.startsWith(OPEN)) return { target: hash.slice(OPEN.length) };
  if (hash.startsWith(SESSION)) return { session: hash.slice(SESSION.length) };
  return undefined;
}

/**
 * The target of a place, if the account may open it. No link leads to the host itself: whoever
 * makes a link must not choose what a person touches a passkey for.
 */
export function targetOf(place: Place, targets: Target[]): Target | undefined {
  if (!('target' in place)) return undefined;
  return targets.find((target) => !isOnHost(target) && targetName(target) === place.target);
}

/** Shows the target in view in the address bar; undefined for none. */
export function showPlace(target: Target | undefined): void {
  const fragment = target === undefined || isOnHost(target) ? '' : OPEN + targetName(target);
  history.replaceState(null, '', location.pathname + fragment);
}
