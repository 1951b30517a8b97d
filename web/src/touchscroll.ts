// Scrolling by touch, which xterm.js does not offer. Where the program takes the wheel, or the
// screen has no scrollback, each row that the finger passes becomes a turn of the wheel.

/**
 * The time constant of coasting after a flick (milliseconds), and the speed at which it stops
 * (pixels per millisecond).
 */
const COAST_MS = 325;
const STANDS_AT = 0.05;

/** A finger that rested for this many milliseconds before it was lifted starts no coasting. */
const RESTED_MS = 80;

export interface Scrolled {
  /** Height of a row, pixels. */
  rowHeight(): number;
  /** Whether a turn of the wheel does more than scroll. */
  takesWheel(): boolean;
  scrollLines(lines: number): void;
}

export function makeTouchScroll(place: HTMLElement, terminal: Scrolled): void {
  const still = window.matchMedia('(prefers-reduced-motion: reduce)');
  let last: { x: number; y: number; at: number } | undefined;
  /** Pixels that do not make a whole row yet, and pixels per millisecond; down is positive. */
  let rest = 0;
  let speed = 0;
  let frame = 0;

  const move = (x: number, y: number, across: number, down: number) => {
    // A terminal that is larger than its place is scrolled within it first.
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
      // A program receives only what the finger does, so nothing coasts there.
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
      // Two fingers zoom.
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
      // Prevents a click, which would open the phone's keyboard.
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
