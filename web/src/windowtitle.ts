// The title of the window and its icon: what is shown, and whether a shell calls.

let title = 'tere';
let isCalling = false;

/** The icon of the page with a dot: see favicon.svg. */
const CALLING =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path fill="#4a63d8" d="M10 60V27a22 22 0 0 1 44 0v33z"/><path fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round" stroke-linejoin="round" d="m22 28 9 9-9 9M35 47h9"/><circle cx="50" cy="14" r="13" fill="#f2b56b"/></svg>';

let plainIcon: string | undefined;

export function setTitle(text: string): void {
  title = text;
  show();
}

/** Marks the window as one in which a shell calls, or takes the mark away. */
export function setCalling(calling: boolean): void {
  if (calling === isCalling) return;
  isCalling = calling;
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  if (icon) {
    plainIcon ??= icon.href;
    icon.href = calling ? `data:image/svg+xml,${encodeURIComponent(CALLING)}` : plainIcon;
  }
  show();
}

function show(): void {
  document.title = isCalling ? `● ${title}` : title;
}
