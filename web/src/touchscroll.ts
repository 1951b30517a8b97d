// A finger on the terminal scrolls it, which xterm.js leaves to the mouse wheel. Where a program has the wheel
// for itself, or the screen has no scrollback, each row that the finger passes is a turn of the wheel.

/** Milliseconds in which what was pushed loses most of its speed, and the speed (pixels a millisecond) at which it stands. */
const COAST_MS = 325;
const STANDS_AT = 0.05;

/** A finger that rested this long before it left pushes nothing. */
const RESTED_MS = 80;

export interface Scrolled {
  /** Height of a row, pixels. */
  rowHeight(): number;
  /** Whether a turn of the wheel is more than scrolling. */
  takesWheel(): boolean;
  scrollLines(lines: number): void;
}

export function makeTouchScroll(place: HTMLElement, terminal: Scrolled): void {
  const still = window.matchMedia('(prefers-reduced-motion: reduce)');
  let last: { x: number; y: number; at: number } | undefined;
  /** Pixels that did not make a whole row yet, and pixels a millisecond; down is positive. */
  let rest = 0;
  let speed = 0;
  let frame = 0;

  const move = (x: number, y: number, across: number, down: number) => {
    // What is larger than its place is moved in it first.
    const before = place.scrollTop;
    place.scrollBy(-across, -down);
    rest += down - (before - place.scrollTop);
    const rows = Math.trunc(rest / terminal.rowHeight());
    rest -= rows * terminal.rowHeight();
    if (rows === 0) return;
    if (!terminal.takesWheel()) {
      terminal.scrollLines(-rows);
      return;
    }
    const wheel = { deltaMode: WheelEvent.DOM_DELTA_LINE, deltaY: -Math.sign(rows), clientX: x, clientY: y };
    const under = place.querySelector('.xterm-screen');
    for (let row = 0; row < Math.abs(rows); row += 1) {
      under?.dispatchEvent(new WheelEvent('wheel', { ...wheel, bubbles: true, cancelable: true }));
    }
  };

  const coast = (x: number, y: number, before: number) => {
    frame = requestAnimationFrame((now) => {
      // A program is not sent what no finger does.
      if (terminal.takesWheel()) return;
      const passed = Math.max(0, now - before);
      move(x, y, 0, speed * passed);
      speed *= Math.exp(-passed / COAST_MS);
      if (Math.abs(speed) > STANDS_AT) coast(x, y, now);
    });
  };

  place.addEventListener(
    'touchstart',
    ({ touches, timeStamp }) => {
      cancelAnimationFrame(frame);
      const [finger] = touches;
      // Two fingers look closer.
      last = finger && touches.length === 1 ? { x: finger.clientX, y: finger.clientY, at: timeStamp } : undefined;
      rest = 0;
      speed = 0;
    },
    { passive: true },
  );
  place.addEventListener(
    'touchmove',
    (event) => {
      const [finger] = event.touches;
      if (!last || !finger || event.touches.length > 1) return;
      // No click comes of it, and so no keyboard.
      event.preventDefault();
      const { clientX: x, clientY: y } = finger;
      const passed = Math.max(1, event.timeStamp - last.at);
      speed = 0.4 * speed + (0.6 * (y - last.y)) / passed;
      move(x, y, x - last.x, y - last.y);
      last = { x, y, at: event.timeStamp };
    },
    { passive: false },
  );
  place.addEventListener(
    'touchend',
    ({ timeStamp }) => {
      if (last && timeStamp - last.at < RESTED_MS && Math.abs(speed) > STANDS_AT && !still.matches) {
        coast(last.x, last.y, performance.now());
      }
      last = undefined;
    },
    { passive: true },
  );
}
