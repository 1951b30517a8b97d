// Why a view is over, while the way to the server is there, and where one can go from it.

import type { Lobby } from './lobby.ts';
import { showPanel } from './panel.ts';
import type { EndReason, Refusal, SessionId, ShellExit, Target } from './protocol.ts';
import { endSentence, viewRefusalSentence } from './refusal.ts';
import { targetName } from './words.ts';

/** After these there is nothing to come back to. */
const GONE: readonly Refusal[] = ['no-such-session', 'not-granted'];

/** What was viewed; a session that was to be opened has no id. */
interface Viewed {
  target: Target;
  session: SessionId | undefined;
}

export interface Over {
  title: string;
  target: Target;
  /** The session is there, and may be viewed another time. */
  session?: SessionId | undefined;
  label: 'New shell' | 'Try again';
}

export interface OverChoices {
  view(target: Target, session: SessionId | undefined): void;
  visitLobby(): void;
}

/** A view was closed. */
export function afterClose({ target, session }: Viewed, reason: EndReason, exit: ShellExit | null): Over {
  if (reason === 'view-lost') return { title: endSentence(reason), target, session, label: 'Try again' };
  return { title: endSentence(reason, exit), target, label: 'New shell' };
}

/** A view was refused. */
export function afterRefusal({ target, session }: Viewed, refusal: Refusal): Over {
  const title = viewRefusalSentence(refusal);
  const isGone = session !== undefined && GONE.includes(refusal);
  return isGone ? { title, target, label: 'New shell' } : { title, target, session, label: 'Try again' };
}

/** Says it below the last screen, which stays in view. `viewed` is the session that it was about. */
export function showOver(over: Over, viewed: SessionId | undefined, note: string, lobby: Lobby, choices: OverChoices): void {
  const { title, target, session, label } = over;
  const others = lobby.targets.length > 1 || lobby.sessions.some((one) => one.id !== viewed);
  // A guest saw a shell where it may have none of its own.
  const mayView = session !== undefined || lobby.targets.some((one) => targetName(one) === targetName(target));
  showPanel({
    title,
    detail: targetName(target),
    note,
    actions: [
      ...(mayView ? [{ label, run: () => choices.view(target, session) }] : []),
      ...(others || !mayView || session !== undefined ? [{ label: 'Shells', run: () => choices.visitLobby() }] : []),
    ],
  });
}
