// What the owner of a session may give its guests, and the words for it.

import type { GuestRole, Role } from './protocol.ts';

/** What the panel says above the list of guests. */
export function shareText(shareable: GuestRole | null, isShared: boolean): string {
  if (!isShared) {
    const may = shareable === 'watcher' ? ' to watch: nobody but you may type in it' : '';
    return `Nobody else sees it. Name an account of this host, and it finds your shell in its list${may}.`;
  }
  const types = shareable === 'watcher' ? 'Nobody but you may type here.' : 'Who has the keyboard types as you do.';
  return `They see what you see, from the first line on. ${types}`;
}

/** The role to which the button of a guest leads, or null if there is no other that may be given. */
export function otherRole(role: Role, shareable: GuestRole | null): GuestRole | null {
  if (role === 'writer') return 'watcher';
  return shareable === 'writer' ? 'writer' : null;
}
