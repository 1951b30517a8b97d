// The preferences of this device, as they are now.

import { parsePreferences, type Preferences } from './preferences.ts';

const KEY = 'tere.preferences';

let current: Preferences | undefined;
const listeners = new Set<() => void>();

export function preferences(): Preferences {
  current ??= parsePreferences(read());
  return current;
}

/** Changes some of the preferences, in this page at once, and in the other tabs of this browser. */
export function changePreferences(part: Partial<Preferences>): void {
  current = { ...preferences(), ...part };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // The preferences then last only as long as this page.
  }
  for (const listener of listeners) listener();
}

/** Has `listener` called after each change. */
export function onPreferences(listener: () => void): void {
  listeners.add(listener);
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

// Another tab has changed them, or the user has cleared the storage.
window.addEventListener('storage', ({ key }) => {
  if (key !== KEY && key !== null) return;
  current = undefined;
  for (const listener of listeners) listener();
});
