// The number of lines that a turn of the wheel scrolls in a full-screen program that does not take
// the mouse: the program receives arrow keys. One notch is about three lines, as at the prompt; a
// trackpad scrolls as far as the fingers move.

/** Lines that one notch scrolls. */
const NOTCH_LINES = 3;

/** What browsers report for one notch, in the unit of `wheelDelta`. */
const NOTCH = 120;

/** The properties of a WheelEvent that tell how far the wheel turned. */
export interface Turned {
  deltaY: number;
  deltaMode: number;
  /** Not in every browser. Up is positive. */
  wheelDeltaY?: number;
}

const DELTA_PIXEL = 0;
const DELTA_LINE = 1;

export class Wheel {
  /** The fraction of a line that was not scrolled yet. */
  #rest = 0;

  /** The number of whole lines to scroll, down positive, at most `rows` in either direction. */
  lines(event: Turned, rowHeight: number, rows: number): number {
    const turned = this.#turned(event, rowHeight, rows);
    // A change of direction discards the remaining fraction.
    if (Math.sign(turned) !== Math.sign(this.#rest)) this.#rest = 0;
    this.#rest += turned;
    const whole = Math.trunc(this.#rest);
    this.#rest -= whole;
    return Math.max(-rows, Math.min(rows, whole));
  }

  #turned({ deltaY, deltaMode, wheelDeltaY }: Turned, rowHeight: number, rows: number): number {
    if (deltaMode === DELTA_LINE) return deltaY;
    if (deltaMode !== DELTA_PIXEL) return deltaY * rows;
    const isNotch = wheelDeltaY !== undefined && wheelDeltaY !== 0 && wheelDeltaY % NOTCH === 0;
    if (isNotch) return (-wheelDeltaY / NOTCH) * NOTCH_LINES;
    return deltaY / rowHeight;
  }
}
