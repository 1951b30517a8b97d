// How many lines a turn of the wheel is, for a program that fills the screen and does not take the mouse: it is sent
// arrow keys. One notch is about three lines, as at the prompt; a trackpad scrolls as far as the fingers move.

/** Lines that one notch scrolls. */
const NOTCH_LINES = 3;

/** What browsers say of one notch, in the unit of `wheelDelta`. */
const NOTCH = 120;

/** The part of a WheelEvent that says how far it turned. */
export interface Turned {
  deltaY: number;
  deltaMode: number;
  /** Not in every browser. Up is positive. */
  wheelDeltaY?: number;
}

const DELTA_PIXEL = 0;
const DELTA_LINE = 1;

export class Wheel {
  /** A part of a line that was not scrolled yet. */
  #rest = 0;

  /** The whole lines to scroll, down positive, at most `rows` either way. */
  lines(event: Turned, rowHeight: number, rows: number): number {
    const turned = this.#turned(event, rowHeight, rows);
    // Whoever turns back does not have to make up for what was left.
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
