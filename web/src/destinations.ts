// The shells and machines of the palette.

import { labelOf } from './label.ts';
import type { Lobby } from './lobby.ts';
import type { Entry } from './palette.ts';
import type { SessionId, SessionSummary, Target } from './protocol.ts';
import { isOnHost } from './terms.ts';
import { ago, targetName } from './words.ts';

/** What leads there. */
export interface Navigation {
  open(target: Target): void;
  attach(session: SessionSummary): void;
  /** Shows a row of the lobby, and presses the button in it that has this key. */
  press(key: string): void;
}

/** The shells that run, those that can be opened, and the machines; the last used first. */
export function destinations({ targets, sessions, machines, tasks }: Lobby, viewed: SessionId | undefined, navigation: Navigation, now: number): Entry[] {
  const idle = ({ about }: SessionSummary) => about?.idle ?? Infinity;
  const others = sessions.filter(({ id, exec }) => id !== viewed && !exec);
  return [
    ...others.sort((one, other) => idle(one) - idle(other) || other.opened - one.opened).map((one) => running(one, navigation, now)),
    ...targets.map(
      ({ target, terms }): Entry => ({
        id: `open ${targetName(target)}`,
        group: 'New shell',
        name: targetName(target),
        detail: isOnHost(target) ? 'the host itself, with your passkey once more' : terms.touch ? 'with your passkey once more' : '',
        onHost: isOnHost(target),
        run: () => navigation.open(target),
      }),
    ),
    ...tasks.map(
      ({ user, before }): Entry => ({
        id: `new ${user} ${before}`,
        group: 'Machines',
        name: 'New machine for a task…',
        detail: `${user}@${before}`,
        run: () => navigation.press(`new ${user} ${before}`),
      }),
    ),
    ...machines
      .filter(({ allow }) => allow.length > 0)
      .map(
        ({ machine }): Entry => ({
          id: `machine ${machine}`,
          group: 'Machines',
          name: machine,
          detail: 'copy it, keep it as it is, or make it anew',
          run: () => navigation.press(`machine ${machine}`),
        }),
      ),
  ];
}

function running(session: SessionSummary, navigation: Navigation, now: number): Entry {
  const where = targetName(session.target);
  // A program chooses its title.
  const label = session.name ?? labelOf(session.about?.title ?? '');
  const about = [
    label === undefined ? '' : where,
    session.role === 'owner' ? '' : `of ${session.owner}`,
    session.about?.alert ? `alert: ${session.about.alert.text ?? 'the bell'}` : '',
    session.about ? `active ${ago(now / 1000 - session.about.idle, now)}` : `opened ${ago(session.opened, now)}`,
  ];
  return {
    id: `view ${session.id}`,
    group: 'Running',
    name: label ?? where,
    detail: about.filter((part) => part !== '').join(', '),
    onHost: isOnHost(session.target),
    run: () => navigation.attach(session),
  };
}
