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

export function openLink(address: string): void {
  const url = webAddress(address);
  if (url !== undefined) window.open(url, '_blank', 'noopener,noreferrer');
}
