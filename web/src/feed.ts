// What a session sends, on its way into the terminal: snapshots are collected and shown whole, and the
// session hears how much has been shown, so that it never sends more than this page can take.

import type { Extent, TermSize } from './protocol.ts';

/** A session that sends little hears of it this late, one that sends much at once. */
const SOON_MS = 20;
const AT_ONCE_BYTES = 4096;

export interface Screen {
  write(bytes: Uint8Array): void;
  /** Takes a snapshot; one of the whole comes with the scrollback. */
  show(size: TermSize, snapshot: Uint8Array, extent: Extent): void;
}

export class Feed {
  #screen: Screen;
  #shown: (bytes: number) => void;
  #snapshot: { size: TermSize; extent: Extent; bytes: Uint8Array; filled: number } | undefined;
  #untold = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(screen: Screen, shown: (bytes: number) => void) {
    this.#screen = screen;
    this.#shown = shown;
  }

  /** The next bytes are a snapshot. */
  begin(size: TermSize, length: number, extent: Extent): void {
    this.#snapshot = { size, extent, bytes: new Uint8Array(length), filled: 0 };
    this.#showWhole();
  }

  take(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#snapshot) {
      const { bytes: whole, filled } = this.#snapshot;
      const part = rest.subarray(0, whole.length - filled);
      whole.set(part, filled);
      this.#snapshot.filled += part.length;
      rest = rest.subarray(part.length);
      this.#showWhole();
    }
    if (rest.length > 0) this.#screen.write(rest);
    this.#tell(bytes.length);
  }

  /** The view is over: nobody is told any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#shown = () => undefined;
  }

  #showWhole(): void {
    if (!this.#snapshot || this.#snapshot.filled < this.#snapshot.bytes.length) return;
    const { size, bytes, extent } = this.#snapshot;
    this.#snapshot = undefined;
    this.#screen.show(size, bytes, extent);
  }

  #tell(bytes: number): void {
    this.#untold += bytes;
    if (this.#untold >= AT_ONCE_BYTES) this.#tellNow();
    else this.#timer ??= setTimeout(() => this.#tellNow(), SOON_MS);
  }

  #tellNow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shown(this.#untold);
    this.#untold = 0;
  }
}
