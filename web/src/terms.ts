// What opening or viewing a session takes: a touch of the passkey, a reason in words.

import type { GrantedTarget, SessionId, SessionSummary, Target, TaskMachines, Terms } from './protocol.ts';
import { targetName } from './words.ts';

/** The name of the host itself among the machines. */
const HOST = '.host';

export function isOnHost(target: Target): boolean {
  return target.machine === HOST;
}

/** What the account was told that it may open and view. */
export interface Known {
  targets: GrantedTarget[];
  sessions: SessionSummary[];
  tasks: TaskMachines[];
}

/**
 * What a view takes, of a new session if there is none yet. It was told some time ago; the server
 * decides, and refuses what has changed since.
 */
export function termsOf({ targets, sessions, tasks }: Known, target: Target, session: SessionId | undefined): Terms {
  const isFor = ({ user, before, after }: TaskMachines) =>
    user === target.user && target.machine.startsWith(before) && target.machine.endsWith(after);
  const granted = targets.find((one) => targetName(one.target) === targetName(target))?.terms ?? tasks.find(isFor)?.terms;
  const listed = sessions.find((one) => one.id === session);
  return {
    touch: isOnHost(target) || (listed?.touch ?? granted?.touch ?? false),
    reason: session === undefined && granted?.reason === true,
    limit: session === undefined ? (granted?.limit ?? null) : null,
  };
}
