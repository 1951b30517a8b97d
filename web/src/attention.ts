// What happens when a program alerts a user who looks elsewhere: the window's title and icon are
// marked and, if the user wants that, the browser shows a notification. A user who looks at the
// shell sees what it prints, and is told nothing more.

import type { Alert } from './alerts.ts';
import { element } from './elements.ts';
import { notice } from './notice.ts';
import { preferences } from './preferencestore.ts';
import { setAlert } from './windowtitle.ts';

/** The pause between two notifications. What comes meanwhile only marks the window. */
const PAUSE_MS = 5_000;

let next = 0;
let standing: Notification | undefined;

/** Whether the user looks at the shell. */
function isLookedAt(): boolean {
  return !document.hidden && document.hasFocus() && !element('shell').hidden;
}

/** Tells a user who looks elsewhere of an alert in the shell named `where`. `show` shows that shell. */
export function tellOf(alert: Alert, where: string, show: () => void): void {
  if (isLookedAt()) return;
  setAlert(true);
  // In the lobby, the user is told where the user looks.
  if (!document.hidden && document.hasFocus()) notice('alert', `${where}: ${sentence(alert)}`);
  else if (preferences().notify && Date.now() >= next) notify(alert, where, show);
}

/** The user looks, or the shell is left: there is no alert any more. */
export function clearAlert(): void {
  setAlert(false);
  standing?.close();
  standing = undefined;
}

function notify(alert: Alert, where: string, show: () => void): void {
  if (!('Notification' in window) || Notification.permission !== 'granted') return;
  next = Date.now() + PAUSE_MS;
  standing?.close();
  try {
    standing = new Notification(where, { body: sentence(alert), tag: 'tere' });
  } catch {
    // Some phones show none from a page.
    return;
  }
  standing.onclick = () => {
    window.focus();
    show();
  };
}

function sentence({ kind, text }: Alert): string {
  return kind === 'bell' ? 'The bell rang.' : text;
}

function look(): void {
  if (isLookedAt()) clearAlert();
}

window.addEventListener('focus', look);
document.addEventListener('visibilitychange', look);

/** The shell is in view again. */
export const shellShown = look;

/** Asks the browser for leave to show notifications. Returns why there is none, or undefined. */
export async function askToNotify(): Promise<string | undefined> {
  if (!('Notification' in window)) return 'This browser shows no notifications.';
  const permission = Notification.permission === 'default' ? await Notification.requestPermission() : Notification.permission;
  return permission === 'granted' ? undefined : 'The browser does not let this page show notifications. Allow it in the settings of the site.';
}
