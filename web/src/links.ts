// Links that a program prints. It chose the text and the address; the person sees the address
// before the click, and the new page learns nothing of this one.

const SCHEMES = ['http:', 'https:'];

/** The address as it would be opened, or nothing if it leads anywhere but to the web. */
export function webAddress(address: string): string | undefined {
  try {
    const url = new URL(address);
    return SCHEMES.includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** Opens a link that was clicked: once, with the main button, and not while text is being selected. */
export function openLink({ button, detail }: MouseEvent, address: string, isSelecting: boolean): void {
  const url = webAddress(address);
  if (url !== undefined && button === 0 && detail === 1 && !isSelecting) window.open(url, '_blank', 'noopener,noreferrer');
}
