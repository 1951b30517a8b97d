// Why a view is over while the connection is not lost, and what the user can do then.

import type { Lobby } from './lobby.ts';
import { showPanel } from './panel.ts';
import type { EndReason, Refusal, SessionId, ShellExit, StopReason, Target } from './protocol.ts';
import { endSentence, machineGoneSentence, viewRefusalSentence } from './refusal.ts';
import { targetName } from './words.ts';

/** After one of these refusals, the session cannot be viewed again. */
const GONE: readonly Refusal[] = ['no-such-session', 'not-granted'];

/** What was viewed. A session that was to be opened has no id. */
interface Viewed {
  target: Target;
  session: SessionId | undefined;
}

export interface Over {
  title: string;
  target: Target;
  /** Set if the session still exists and can be viewed again. */
  session?: SessionId | undefined;
  label: 'New shell' | 'Start again' | 'Try again';
}

export interface OverCallbacks {
  view(target: Target, session: SessionId | undefined): void;
  visitLobby(): void;
}

/** What to report after a view was closed. */
export function afterClose({ target, session }: Viewed, reason: EndReason, exit: ShellExit | null): Over {
  if (reason === 'view-lost') return { title: endSentence(reason), target, session, label: 'Try again' };
  return { title: endSentence(reason, exit), target, label: 'New shell' };
}

/** What to report after a view ended because its machine went away. */
export function afterMachineGone(target: Target, why: StopReason | null): Over {
  return { title: machineGoneSentence(why), target, label: why === 'idle' ? 'Start again' : 'New shell' };
}

/** What to report after a view was refused. */
export function afterRefusal({ target, session }: Viewed, refusal: Refusal): Over {
  const title = viewRefusalSentence(refusal);
  const isGone = session !== undefined && GONE.includes(refusal);
  return isGone ? { title, target, label: 'New shell' } : { title, target, session, label: 'Try again' };
}

/**
 * Reports it in a panel below the last screen, which stays visible. `viewed` is the session of the
 * view.
 */
export function showOver(over: Over, viewed: SessionId | undefined, note: string, lobby: Lobby, callbacks: OverCallbacks): void {
  const { title, target, session, label } = over;
  const others = lobby.targets.length > 1 || lobby.sessions.some((one) => one.id !== viewed);
  // A guest may have no grant for the target of the shell that it viewed.
  const mayView = session !== undefined || lobby.targets.some((one) => targetName(one.target) === targetName(target));
  showPanel({
    title,
    detail: targetName(target),
    note,
    actions: [
      ...(mayView ? [{ label, run: () => callbacks.view(target, session) }] : []),
      ...(others || !mayView || session !== undefined ? [{ label: 'Shells', run: () => callbacks.visitLobby() }] : []),
    ],
  });
}
