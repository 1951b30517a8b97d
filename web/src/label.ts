// Session names in the form that the server accepts, by the rule of `Label::cut` in
// src/names/label.rs. A name that breaks the rule would end the connection.

/** Longest label, bytes of UTF-8. */
const LABEL_MAX = 120;

/** Control characters, characters that reorder or hide their neighbours, and lone surrogates. */
const ODD = /[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** The part of a text that can be a label, cut to LABEL_MAX; undefined if nothing is left. */
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
