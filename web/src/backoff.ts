// The delay before the next attempt to reach the server.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/**
 * Milliseconds before attempt number `tries` (0 is the first). The delay doubles up to 30 s.
 * `chance` (0 to 1) reduces it by up to half, so that the pages of a restarted server do not all
 * reconnect at once.
 */
export function backoff(tries: number, chance: number): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 16));
  return Math.round(whole * (1 - chance / 2));
}

/** Waits, until it is aborted or the browser says that the network is back. */
export function pause(time: number, given: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      given.removeEventListener('abort', over);
      window.removeEventListener('online', over);
      resolve();
    };
    const timer = setTimeout(over, time);
    given.addEventListener('abort', over);
    window.addEventListener('online', over);
  });
}
