// What is typed goes out at once; a long paste goes out at a pace that the far end can pass on. It
// holds a quarter of a megabyte for a program that is slow to read, and throws away what is more.

/** Bytes a step, and milliseconds from one to the next: 800 kB/s. */
const STEP_BYTES = 16 * 1024;
const STEP_MS = 20;

const INTERRUPT = 0x03;

export class Typing {
  #send: (bytes: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  type(bytes: Uint8Array): void {
    // Ctrl-C does not wait behind a paste: it ends it.
    if (bytes.length === 1 && bytes[0] === INTERRUPT) this.drop();
    if (bytes.length <= STEP_BYTES && this.#timer === undefined) {
      this.#send(bytes);
      return;
    }
    this.#waiting.push(bytes);
    if (this.#timer === undefined) this.#step();
  }

  /** Forgets what has not gone out. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #step(): void {
    this.#timer = undefined;
    let room = STEP_BYTES;
    while (room > 0) {
      const first = this.#waiting.shift();
      if (!first) return;
      this.#send(first.subarray(0, room));
      if (first.length > room) this.#waiting.unshift(first.subarray(room));
      room -= first.length;
    }
    this.#timer = setTimeout(() => this.#step(), STEP_MS);
  }
}
