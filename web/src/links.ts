// Links that a program prints. The program chooses both the text and the address. The user sees the
// address before the click, and the opened page learns nothing about this one.

const SCHEMES = ['http:', 'https:'];

/** The address as it would be opened; undefined if it is neither http nor https. */
export function webAddress(address: string): string | undefined {
  try {
    const url = new URL(address);
    return SCHEMES.includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Opens a clicked link: only with the main button, only once for a double click, and not while text
 * is selected.
 */
export function openLink({ button, detail }: MouseEvent, address: string, isSelecting: boolean): void {
  const url = webAddress(address);
  if (url !== undefined && button === 0 && detail === 1 && !isSelecting) window.open(url, '_blank', 'noopener,noreferrer');
}
