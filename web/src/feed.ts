// Passes a session's output on to the terminal. A snapshot is collected and shown as a whole. The
// page reports how much it has shown, so that the session never sends more than the page can take.

import type { Extent, TermSize } from './protocol.ts';

/** The page reports what it has shown after AT_ONCE_BYTES, and less than that after SOON_MS. */
const SOON_MS = 20;
const AT_ONCE_BYTES = 4096;

export interface Screen {
  write(bytes: Uint8Array): void;
  /** Shows a snapshot. One with the extent `whole` includes the scrollback. */
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

  /** The next `length` bytes are a snapshot. */
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

  /** The view is over: nothing is reported any more. */
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
