// Timers that fire when a test says so. (Node's own mock timers differ between its versions.)

interface Timer {
  at: number;
  every: number | undefined;
  run: () => void;
}

export class Clock {
  #now = 0;
  #lastId = 0;
  #timers = new Map<number, Timer>();

  /** Replaces the global timers and `Date.now`. */
  install(): void {
    const set = (every: boolean) => (run: () => void, after: number) => {
      this.#timers.set(++this.#lastId, { at: this.#now + after, every: every ? after : undefined, run });
      return this.#lastId;
    };
    const clear = (id: number | undefined) => void this.#timers.delete(id ?? 0);
    Object.assign(globalThis, {
      setTimeout: set(false),
      setInterval: set(true),
      clearTimeout: clear,
      clearInterval: clear,
    });
    Date.now = () => this.#now;
  }

  /** Advances the time by `ms` and runs the due timers in order. */
  tick(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.#now = timer.at;
      if (timer.every === undefined) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.run();
    }
    this.#now = end;
  }
}
