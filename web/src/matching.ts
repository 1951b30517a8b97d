// Which entries of a list are meant by what the user has typed.

/** What is compared of an entry. */
export interface Named {
  name: string;
  detail: string;
}

/** The longest text that is compared, in characters. */
const TYPED_MAX = 100;

const plain = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/**
 * The entries with all words of the text, in any order, in their name or their detail. Those whose
 * name begins with the text come first, then those with a word that begins with it; otherwise the
 * order stays.
 */
export function matching<T extends Named>(text: string, entries: readonly T[]): T[] {
  const typed = plain(text.slice(0, TYPED_MAX)).trim();
  if (typed === '') return [...entries];
  const words = typed.split(/\s+/);
  const rank = ({ name, detail }: T): number => {
    const own = plain(name);
    const all = `${own} ${plain(detail)}`;
    if (!words.every((word) => all.includes(word))) return Infinity;
    if (own.startsWith(typed)) return 0;
    if (own.split(/[\s@./:_-]+/).some((word) => word.startsWith(typed))) return 1;
    return words.every((word) => own.includes(word)) ? 2 : 3;
  };
  const ranked = entries.map((entry) => ({ entry, rank: rank(entry) }));
  return ranked.filter(({ rank }) => rank < Infinity).sort((one, other) => one.rank - other.rank).map(({ entry }) => entry);
}
