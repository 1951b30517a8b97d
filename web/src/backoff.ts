// How long to wait before the next try to reach the server.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/**
 * Milliseconds before try number `tries` (0 is the first). Doubles up to 30 s; `chance` (0 to 1)
 * takes away up to half, so that the pages of a restarted server do not all come at once.
 */
export function backoff(tries: number, chance: number): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 16));
  return Math.round(whole * (1 - chance / 2));
}
