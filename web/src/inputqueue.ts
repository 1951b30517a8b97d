// Typed input is sent at once. A long paste is sent at a pace that the session can pass on, and no
// faster than the network takes it. A session holds a quarter of a megabyte for a program that is
// slow to read, and drops the rest.

/** Bytes per step, and milliseconds from one step to the next: 800 kB/s. */
const STEP_BYTES = 16 * 1024;
const STEP_MS = 20;

/** The largest number of bytes that wait here. An input that would exceed it is not sent at all. */
const WAITING_MAX = 4 * 1024 * 1024;

const INTERRUPT = 0x03;
/** Markers around a paste, where the program uses bracketed paste. */
const BEGINS = [...'\x1b[200~'].map((character) => character.charCodeAt(0));
const ENDS = Uint8Array.from('\x1b[201~', (character) => character.charCodeAt(0));

export interface InputSink {
  send(bytes: Uint8Array): void;
  /** Whether the network is behind. */
  isBehind(): boolean;
  /** This many typed bytes are not sent. */
  dropped(bytes: number): void;
}

export class InputQueue {
  #sink: InputSink;
  #waiting: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the start marker of a paste was sent and its end marker was not. */
  #isOpen = false;

  constructor(sink: InputSink) {
    this.#sink = sink;
  }

  type(bytes: Uint8Array): void {
    // Ctrl-C does not wait behind a paste: it cancels the rest of it.
    if (bytes.length === 1 && bytes[0] === INTERRUPT) {
      // A program that waits for the end of a paste would take Ctrl-C for a part of it.
      const isOpen = this.#isOpen;
      this.drop();
      if (isOpen) this.#sink.send(ENDS);
      this.#sink.send(bytes);
      return;
    }
    if (bytes.length <= STEP_BYTES && this.#timer === undefined && !this.#sink.isBehind()) {
      this.#sink.send(bytes);
      return;
    }
    if (this.#length() + bytes.length > WAITING_MAX) {
      this.#sink.dropped(bytes.length);
      return;
    }
    // The end marker is sent on its own: a session without room for the last part of a paste still
    // has room for six bytes.
    if (begins(bytes)) this.#waiting.push(bytes.subarray(0, -ENDS.length), ENDS);
    else this.#waiting.push(bytes);
    if (this.#timer === undefined) this.#step();
  }

  /** Discards everything that was not sent yet. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = this.#length();
    this.#waiting = [];
    this.#isOpen = false;
    if (bytes > 0) this.#sink.dropped(bytes);
  }

  #length(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  #step(): void {
    this.#timer = undefined;
    let room = STEP_BYTES;
    while (room > 0 && !this.#sink.isBehind()) {
      const first = this.#waiting.shift();
      if (!first) return;
      if (first === ENDS) this.#isOpen = false;
      else if (begins(first)) this.#isOpen = true;
      const most = first === ENDS ? ENDS.length : room;
      this.#sink.send(first.subarray(0, most));
      if (first.length > most) this.#waiting.unshift(first.subarray(most));
      room -= first.length;
    }
    this.#timer = setTimeout(() => this.#step(), STEP_MS);
  }
}

function begins(bytes: Uint8Array): boolean {
  return bytes.length > BEGINS.length && BEGINS.every((byte, at) => bytes[at] === byte);
}
