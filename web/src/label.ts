// The name of a session as the server takes it, by the rule of `Label::cut` in src/names/label.rs: a text
// that breaks the rule would end the connection.

/** Longest label, bytes of UTF-8. */
const LABEL_MAX = 120;

/** Control characters, those that turn or hide what stands beside them, and halves of characters. */
const ODD = /[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** What of a text can be a label, cut to its length; nothing where nothing is left. */
export function labelOf(text: string): string | undefined {
  const encoder = new TextEncoder();
  let label = '';
  let bytes = 0;
  for (const character of text.replace(ODD, '').trim()) {
    bytes += encoder.encode(character).length;
    if (bytes > LABEL_MAX) break;
    label += character;
  }
  return label.trim() || undefined;
}
