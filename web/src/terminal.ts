// The terminal in the window: xterm.js, kept silent, in the page's colours. Its size is the session's: the
// page tells what its window has room for, and where that is too little, the letters become smaller.

import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal as Xterm } from '@xterm/xterm';

import { bound } from './bounds.ts';
import { latin1Bytes, textBytes } from './frames.ts';
import { controlSign, endsComposition, ownKey, pastInputMethod } from './keys.ts';
import { openLink, webAddress } from './links.ts';
import { lines, longLine, pasteable } from './paste.ts';
import type { Extent, TermSize, Theme } from './protocol.ts';
import { silence } from './silence.ts';
import { dark, light, wireTheme } from './themes.ts';
import { makeTouchScroll } from './touchscroll.ts';
import { Wheel } from './wheel.ts';
import { VERSION, widths } from './widths.ts';

/** The bounds of `TermSize`; a window smaller than two columns is being dragged, not used. */
const SIZE_MIN = 2;
const SIZE_MAX = 1000;

/** Most cells of a terminal: a bound of `TermSize`. */
const CELLS_MAX = 250_000;

/** Pixels around the terminal in either direction: see `.xterm` in the stylesheet. */
const PADDING = 10;

/** The smallest letters, pixels. What is larger than the window even so can be scrolled. */
const FONT_MIN = 5;

/** A program that has printed nothing for so long is quiet. */
const QUIET_MS = 1000;

/**
 * xterm.js parses what it is given "later", in slices, so a flood piles up in the page and Ctrl-C
 * waits behind it. Parsed at once, the flood waits in the network instead, where the server sees
 * it. This call is not in the published types.
 */
interface WritesNow {
  _core: { writeSync(data: string | Uint8Array): void };
}

export interface TerminalEvents {
  input(bytes: Uint8Array): void;
  /** The window has room for this size now. */
  room(size: TermSize): void;
  /** Somebody looks at a scrollback in which lines are missing. */
  incomplete(): void;
  title(title: string): void;
  /** It is shown in other colours. */
  theme(theme: Theme): void;
  /** The address that the link under the pointer opens, or nothing. */
  link(address: string | undefined): void;
  /** Every key before the terminal takes it; true keeps it from the terminal. */
  key(event: KeyboardEvent): boolean;
  /**
   * A paste goes to a program that takes each line at once, and may have to be asked about: it has several lines, or
   * one that is too long (its bytes, or 0). `paste` goes on with it.
   */
  takesLines(lines: number, tooLong: number, paste: () => void): void;
  /** Whether something else stands in its place for a while. It keeps its size then. */
  givesWay(): boolean;
}

export class Terminal {
  readonly search = new SearchAddon();
  #xterm: Xterm;
  #fit = new FitAddon();
  #place: HTMLElement;
  #font: number;
  #room: TermSize = { cols: 80, rows: 24 };
  #roomTold: (size: TermSize) => void;
  #incomplete: () => void;
  #givesWay: () => boolean;
  #takesLines: (lines: number, tooLong: number, paste: () => void) => void;
  #wheel = new Wheel();
  #theme = dark;
  /** The size of the place that the room was reckoned for. */
  #fitted = '';
  /** Lines are missing in the scrollback. */
  #torn = false;
  /** The whole was asked for since somebody began to look. */
  #asked = false;
  #untilQuiet: ReturnType<typeof setTimeout> | undefined;
  #wroteAt = 0;
  #writing = false;
  #frame = 0;

  constructor(place: HTMLElement, events: TerminalEvents) {
    this.#place = place;
    this.#roomTold = events.room;
    this.#incomplete = events.incomplete;
    this.#givesWay = events.givesWay;
    this.#takesLines = events.takesLines;
    this.#font = place.clientWidth < 500 ? 12 : 14;
    const darkness = window.matchMedia('(prefers-color-scheme: dark)');
    this.#xterm = new Xterm({
      allowProposedApi: true,
      cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
      fontSize: this.#font,
      lineHeight: 1.15,
      linkHandler: {
        activate: (event, address) => openLink(event, address, this.#xterm.hasSelection()),
        hover: (_event, address) => events.link(webAddress(address)),
        leave: () => events.link(undefined),
      },
      logLevel: 'off',
      macOptionClickForcesSelection: true,
      rightClickSelectsWord: false,
      scrollback: 10_000,
      // Programs put the title aside and take it back; nothing of this tells them anything.
      windowOptions: { pushTitle: true, popTitle: true },
    });
    this.#paint(darkness.matches);
    darkness.addEventListener('change', () => {
      this.#paint(darkness.matches);
      events.theme(this.theme);
    });

    const xterm = this.#xterm;
    silence(xterm.parser);
    bound(xterm.parser, () => this.#incomplete());
    xterm.loadAddon(this.#fit);
    xterm.loadAddon(this.search);
    xterm.unicode.register(widths);
    xterm.unicode.activeVersion = VERSION;
    xterm.loadAddon(
      new WebLinksAddon((event, address) => openLink(event, address, xterm.hasSelection()), {
        hover: (_event, address) => events.link(webAddress(address)),
        leave: () => events.link(undefined),
      }),
    );
    xterm.open(place);
    this.#drawFast();

    // What comes while a program's output is parsed is an answer of the terminal, not a person's.
    xterm.onData((text) => this.#writing || events.input(textBytes(text)));
    xterm.onBinary((text) => this.#writing || events.input(latin1Bytes(text)));
    // Scrolling by hand is no event of its own, but it is drawn.
    xterm.onRender(() => this.#lookAtScrollback());
    xterm.onTitleChange((title) => events.title(title));
    xterm.attachCustomKeyEventHandler((event) => !this.#ownKey(event) && !events.key(event));
    place.addEventListener('paste', (event) => this.#paste(event), { capture: true });
    const takesWheel = () => xterm.buffer.active.type === 'alternate' || xterm.modes.mouseTrackingMode !== 'none';
    // A screen that gives way is scrolled in its place, also one of a program that would have the wheel for itself.
    place.addEventListener(
      'wheel',
      (event) => {
        if (takesWheel() && events.givesWay()) event.stopPropagation();
        else if (xterm.modes.mouseTrackingMode === 'none' && xterm.buffer.active.type === 'alternate') this.#sendArrows(event);
      },
      { capture: true },
    );
    makeTouchScroll(place, {
      rowHeight: () => this.#screen().offsetHeight / xterm.rows,
      takesWheel,
      scrollLines: (lines) => xterm.scrollLines(lines),
    });
    // A terminal that gives way does so before the browser draws.
    new ResizeObserver(() => (events.givesWay() ? this.#showEnd() : this.fit())).observe(place);
    this.fitNow();
  }

  /** The colours in which it is shown. */
  get theme(): Theme {
    return wireTheme(this.#theme);
  }

  /** What the window has room for. */
  get room(): TermSize {
    return this.#room;
  }

  write(bytes: Uint8Array): void {
    this.#wroteAt = Date.now();
    this.#writing = true;
    try {
      (this.#xterm as unknown as WritesNow)._core.writeSync(bytes);
    } finally {
      this.#writing = false;
    }
  }

  /** Shows a snapshot. One without the whole scrollback leaves a gap in it, until somebody looks. */
  show(size: TermSize, snapshot: Uint8Array, extent: Extent): void {
    const { baseY, viewportY } = this.#xterm.buffer.active;
    const above = baseY - viewportY;
    if (extent !== 'screen') this.#xterm.reset();
    this.#torn = extent !== 'whole';
    this.resize(size);
    this.write(snapshot);
    if (above > 0) this.#xterm.scrollToLine(Math.max(0, this.#xterm.buffer.active.baseY - above));
  }

  /** Takes the size of the session. */
  resize(size: TermSize): void {
    this.#xterm.resize(size.cols, size.rows);
    this.#fitLetters();
  }

  reset(): void {
    this.#xterm.reset();
  }

  focus(): void {
    this.#xterm.focus();
  }

  /** Types for the person, as the keys of the touch bar do. */
  type(text: string): void {
    this.#xterm.input(text, true);
  }

  paste(text: string): void {
    const plain = pasteable(text);
    const count = lines(plain);
    // A program that knows a paste from typing reads it byte by byte; one that fills the screen does as well.
    const readsLines = !this.#xterm.modes.bracketedPasteMode;
    const tooLong = readsLines && this.#xterm.buffer.active.type === 'normal' ? longLine(plain) : 0;
    if (!readsLines || (count === 1 && tooLong === 0)) this.#xterm.paste(plain);
    else this.#takesLines(count, tooLong, () => this.#xterm.paste(plain));
  }

  /** Whether a screen reader is to read it. */
  readAloud(isOn: boolean): void {
    this.#xterm.options.screenReaderMode = isOn;
  }

  get applicationCursorKeys(): boolean {
    return this.#xterm.modes.applicationCursorKeysMode;
  }

  /** Fits the terminal to its place with the next picture that the browser draws. */
  fit(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.fitNow());
  }

  fitNow(): void {
    // With the scroll bars, which may come and go: they are no other window either.
    const { offsetWidth, offsetHeight } = this.#place;
    if (this.#givesWay()) return;
    // Without a place on the screen there is nothing to fit to. Smaller letters are no other window.
    if (offsetWidth === 0 || this.#fitted === `${offsetWidth} ${offsetHeight}`) return;
    this.#xterm.options.fontSize = this.#font;
    const fitting = this.#fit.proposeDimensions();
    if (!fitting || !Number.isFinite(fitting.cols) || !Number.isFinite(fitting.rows)) return;
    this.#fitted = `${offsetWidth} ${offsetHeight}`;
    const bounded = (cells: number) => Math.min(SIZE_MAX, Math.max(SIZE_MIN, cells));
    const cols = bounded(fitting.cols);
    this.#room = { cols, rows: Math.min(bounded(fitting.rows), Math.floor(CELLS_MAX / cols)) };
    this.#roomTold(this.#room);
    this.#fitLetters();
  }

  /**
   * Somebody may be looking at a scrollback in which lines are missing. The whole is asked for once; while the program prints on,
   * more would only be missing again, and each whole scrollback costs everybody's line. So the next time is when it is quiet,
   * or when somebody was at the end and looks back anew.
   */
  #lookAtScrollback(): void {
    const { viewportY, baseY } = this.#xterm.buffer.active;
    if (viewportY >= baseY) {
      this.#asked = false;
    } else if (this.#torn && !this.#asked) {
      this.#asked = true;
      this.#torn = false;
      this.#incomplete();
    } else if (this.#torn && this.#untilQuiet === undefined) {
      const left = this.#wroteAt + QUIET_MS - Date.now();
      this.#untilQuiet = setTimeout(() => {
        this.#untilQuiet = undefined;
        this.#asked = Date.now() - this.#wroteAt < QUIET_MS;
        this.#lookAtScrollback();
      }, left);
    }
  }

  /** A turn of the wheel in a program that fills the screen: xterm.js would send one arrow key for a notch. */
  #sendArrows(event: WheelEvent): void {
    // With Ctrl the browser zooms.
    if (event.ctrlKey || event.shiftKey || event.deltaY === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const rowHeight = this.#screen().offsetHeight / this.#xterm.rows;
    const lines = this.#wheel.lines(event as WheelEvent & { wheelDeltaY?: number }, rowHeight, this.#xterm.rows);
    const arrow = `\x1b${this.applicationCursorKeys ? 'O' : '['}${lines < 0 ? 'A' : 'B'}`;
    if (lines !== 0) this.type(arrow.repeat(Math.abs(lines)));
  }

  /** Scrolls the terminal in its place so far that its last line with anything in it is seen. */
  #showEnd(): void {
    const screen = this.#screen();
    const { viewportY, baseY, cursorY } = this.#xterm.buffer.active;
    const { rows } = this.#xterm;
    const cursor = baseY + cursorY - viewportY;
    let last = rows - 1;
    const isBlank = (row: number) => this.#xterm.buffer.active.getLine(viewportY + row)?.translateToString(true) === '';
    while (last > 0 && last !== cursor && isBlank(last)) last -= 1;
    const end = screen.offsetTop + ((last + 1) * screen.offsetHeight) / rows + PADDING;
    this.#place.scrollTop = end - this.#place.clientHeight;
  }

  /** Makes the letters as large as they should be, or as small as the session's size needs. */
  #fitLetters(): void {
    const { cols, rows } = this.#xterm;
    const fitting = Math.min(this.#room.cols / cols, this.#room.rows / rows, 1);
    let font = Math.max(FONT_MIN, Math.floor(this.#font * fitting * 2) / 2);
    this.#setFont(font);
    // Cells are whole pixels high, so what should fit by reckoning may not.
    while (fitting < 1 && font > FONT_MIN && this.#isCut()) this.#setFont((font -= 0.5));
    this.#place.toggleAttribute('data-cut', fitting < 1 && this.#isCut());
  }

  #setFont(size: number): void {
    if (this.#xterm.options.fontSize !== size) this.#xterm.options.fontSize = size;
  }

  /** What holds the rows, in their very size. */
  #screen(): HTMLElement {
    return this.#place.querySelector<HTMLElement>('.xterm-screen') ?? this.#place;
  }

  /** Whether the terminal is larger than the place that it was fitted to. */
  #isCut(): boolean {
    const screen = this.#screen();
    const [width = 0, height = 0] = this.#fitted.split(' ').map(Number);
    return screen.offsetWidth > width - PADDING || screen.offsetHeight > height - PADDING;
  }

  /** The graphics card draws, until it is lost; then the DOM renderer takes over. */
  #drawFast(): void {
    if (!hasGraphicsCard()) return;
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.#xterm.loadAddon(webgl);
    } catch {
      // No WebGL here.
    }
  }

  #paint(isDark: boolean): void {
    this.#theme = isDark ? dark : light;
    this.#xterm.options.theme = this.#theme;
    // Programs choose colours for black; on white some of them would vanish.
    this.#xterm.options.minimumContrastRatio = isDark ? 1 : 4.5;
  }

  #paste(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    this.paste(event.clipboardData?.getData('text/plain') ?? '');
  }

  /**
   * xterm.js sends what is being composed as soon as it has this key, and once more when the browser says that the
   * composition has ended. Without a text that end has nothing to send.
   */
  #endComposition(): void {
    queueMicrotask(() => {
      if (this.#xterm.textarea) this.#xterm.textarea.value = '';
    });
  }

  /** Ctrl-Shift-C copies; Ctrl-Shift-V and the menus paste by the browser's own hand. */
  #ownKey(event: KeyboardEvent): boolean {
    const { key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing } = event;
    const pressed = { key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing };
    const altGraph = event.getModifierState('AltGraph');
    if (event.type === 'keydown' && endsComposition(pressed)) this.#endComposition();
    const kept = event.type === 'keydown' ? (pastInputMethod(pressed) ?? controlSign({ ...pressed, altGraph })) : undefined;
    if (kept !== undefined) {
      event.preventDefault();
      this.type(kept);
      return true;
    }
    const own = ownKey(event);
    if (own === 'copy') {
      event.preventDefault();
      if (event.type === 'keydown' && this.#xterm.hasSelection()) document.execCommand('copy');
    }
    return own === 'copy' || own === 'paste';
  }
}

/** Where WebGL is only imitated by the processor, the DOM renderer is the faster one by far. */
function hasGraphicsCard(): boolean {
  const trial = document.createElement('canvas').getContext('webgl2');
  const names = trial?.getExtension('WEBGL_debug_renderer_info');
  const renderer: unknown = names && trial?.getParameter(names.UNMASKED_RENDERER_WEBGL);
  trial?.getExtension('WEBGL_lose_context')?.loseContext();
  return trial !== null && !/swiftshader|llvmpipe|softpipe|software/i.test(String(renderer));
}
