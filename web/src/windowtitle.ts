// The title of the window and its icon: what is shown, and whether there is an alert.

let title = 'tere';
let hasAlert = false;

/** The icon of the page (favicon.svg) with a dot. */
const ALERT_ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path fill="#4a63d8" d="M10 60V27a22 22 0 0 1 44 0v33z"/><path fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round" stroke-linejoin="round" d="m22 28 9 9-9 9M35 47h9"/><circle cx="50" cy="14" r="13" fill="#f2b56b"/></svg>';

let plainIcon: string | undefined;

export function setTitle(text: string): void {
  title = text;
  show();
}

/** Shows that there is an alert, or no longer. */
export function setAlert(alert: boolean): void {
  if (alert === hasAlert) return;
  hasAlert = alert;
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  if (icon) {
    plainIcon ??= icon.href;
    icon.href = alert ? `data:image/svg+xml,${encodeURIComponent(ALERT_ICON)}` : plainIcon;
  }
  show();
}

function show(): void {
  document.title = hasAlert ? `● ${title}` : title;
}
