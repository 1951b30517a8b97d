// What a program prints to copy text to the clipboard (OSC 52), as tmux and vim do. A program that
// asks what is in the clipboard gets no answer.

/** The longest text that is copied, bytes. A longer one is not copied, and the user is told. */
export const COPY_MAX = 1_000_000;

/** What a program printed: a text to copy, one that is too long, or nothing that copies. */
export type Copy = { text: string } | 'too long' | undefined;

/** Reads what follows `52;`: selections, a semicolon, and the text in base64. */
export function copyOf(data: string): Copy {
  const [selections, encoded] = data.split(';', 2);
  if (selections === undefined || encoded === undefined || !/^[cpqs0-7]*$/.test(selections)) return undefined;
  // No text empties the clipboard, and a question mark asks for it: neither happens here.
  if (encoded === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  if (encoded.length > Math.ceil(COPY_MAX / 3) * 4) return 'too long';
  try {
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    return { text: new TextDecoder().decode(bytes) };
  } catch {
    return undefined;
  }
}
