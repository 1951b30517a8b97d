// Which session this tab had, so that it has it again after a reload. It is a name, and opens nothing by itself.

import type { SessionId } from './protocol.ts';

const KEY = 'tere.session';

export function rememberedSession(): SessionId | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

/** Remembers a session, or that there is none to come back to. */
export function rememberSession(session: SessionId | undefined): void {
  if (session === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, session);
}
