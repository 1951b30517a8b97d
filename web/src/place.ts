// Where a link into the page leads: to a target or a session, never to a command. So that a person
// can bookmark a shell, the address bar shows its target while it is in view.

import type { GrantedTarget, SessionId, Target } from './protocol.ts';
import { isOnHost } from './terms.ts';
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
 * The target of a place, if the account may open it. No link leads to the host itself, nor to
 * another target that takes a touch: whoever makes a link must not choose what a person touches a
 * passkey for.
 */
export function targetOf(place: Place, targets: GrantedTarget[]): Target | undefined {
  if (!('target' in place)) return undefined;
  return targets.find(({ target, terms }) => !terms.touch && !isOnHost(target) && targetName(target) === place.target)?.target;
}

/** Shows the target in view in the address bar; undefined for none, or for one to which no link leads. */
export function showPlace(target: Target | undefined): void {
  const fragment = target === undefined ? '' : OPEN + targetName(target);
  history.replaceState(null, '', location.pathname + fragment);
}
