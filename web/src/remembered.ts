// The session of this tab, remembered for a reload. It is only an id and grants no access.

import type { SessionId } from './protocol.ts';

const KEY = 'tere.session';

export function rememberedSession(): SessionId | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

/** Remembers a session; undefined means that there is none to return to. */
export function rememberSession(session: SessionId | undefined): void {
  if (session === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, session);
}
