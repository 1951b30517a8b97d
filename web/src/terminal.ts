// The terminal of the page: xterm.js in the page's colours, kept from answering queries. It has the
// size of the session. The page reports the size that its window has room for, and where the
// session is larger, it uses a smaller font.

import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal as Xterm } from '@xterm/xterm';

import { appearance, onAppearance } from './appearance.ts';
import { ring } from './bell.ts';
import { type Alert, Alerts, type Progress } from './alerts.ts';
import { makeCopyOnSelect } from './copying.ts';
import { Decoder, emulate } from './emulation.ts';
import { fontStack } from './fontnames.ts';
import { latin1Bytes, textBytes } from './frames.ts';
import type { KeyPress } from './keyencode.ts';
import { keyPress, KeyProtocol } from './keyprotocol.ts';
import { composes, controlSign, endsComposition, pastInputMethod } from './keys.ts';
import { openLink, webAddress } from './links.ts';
import { lines, longLine, pasteable } from './paste.ts';
import { onPreferences, preferences } from './preferencestore.ts';
import type { Extent, TermSize, Theme } from './protocol.ts';
import { ignoreQueries } from './ignorequeries.ts';
import { type Copy, copyOf } from './osc52.ts';
import { wireTheme } from './themes.ts';
import { makeTouchScroll } from './touchscroll.ts';
import { Wheel } from './wheel.ts';

/**
 * Bounds of each side in `TermSize`. A window with room for fewer than two columns is in the middle
 * of being resized.
 */
const SIZE_MIN = 2;
const SIZE_MAX = 1000;

/** The largest number of cells of a terminal: a bound of `TermSize`. */
const CELLS_MAX = 250_000;

/**
 * Padding of the terminal in pixels, the sum of both sides, in either direction: see `.xterm` in
 * the stylesheet.
 */
const PADDING = 10;

/** There, Option makes characters. */
const IS_MAC = /^(Mac|iP)/.test(navigator.platform);

/** The smallest font size, pixels. A terminal that still exceeds the window can be scrolled. */
const FONT_MIN = 5;

/** A terminal without output for this long counts as quiet. */
const QUIET_MS = 1000;

/**
 * xterm.js normally parses output asynchronously, in slices, so a flood of output piles up in the
 * page and the effect of Ctrl-C waits behind it. If output is parsed synchronously, the flood waits
 * in the network instead, where the server sees it. `writeSync` is not in the published types.
 */
interface WritesNow {
  _core: { writeSync(data: string): void };
}

export interface TerminalCallbacks {
  input(bytes: Uint8Array): void;
  /** The window has room for this size now. */
  room(size: TermSize): void;
  /** The whole scrollback is needed: the user scrolled up where lines are missing. */
  incomplete(): void;
  title(title: string): void;
  /** The terminal's colours have changed. */
  theme(theme: Theme): void;
  /** The address of the link under the pointer; undefined if there is none. */
  link(address: string | undefined): void;
  /** A program copies something to the clipboard. */
  copied(copy: Copy): void;
  /** A program alerts the user. */
  alerted(alert: Alert): void;
  /** How far a program is; undefined if it does not say. */
  progress(progress: Progress): void;
  /** Called for every key before the terminal handles it; true keeps the key from the terminal. */
  key(event: KeyboardEvent): boolean;
  /**
   * A paste goes to a program that takes each line at once, and the user may have to confirm it: it
   * has several lines, or one that is too long (`tooLong` is that line's length in bytes, or 0).
   * `paste` carries it out.
   */
  takesLines(lines: number, tooLong: number, paste: () => void): void;
  /**
   * Whether a panel takes a part of the terminal's place. The terminal keeps its size meanwhile.
   */
  givesWay(): boolean;
}

export class Terminal {
  readonly search = new SearchAddon();
  #xterm: Xterm;
  #fit = new FitAddon();
  #place: HTMLElement;
  /** The font size if the session is not larger than the room. */
  #font = 0;
  #room: TermSize = { cols: 80, rows: 24 };
  #roomTold: (size: TermSize) => void;
  #incomplete: () => void;
  #givesWay: () => boolean;
  #takesLines: (lines: number, tooLong: number, paste: () => void) => void;
  #wheel = new Wheel();
  #decoder = new Decoder();
  #keyProtocol: KeyProtocol;
  #alerts: Alerts;
  #colours = appearance().colours;
  /** The size of the place for which the room was calculated. */
  #fitted = '';
  /** Whether the letters have changed since then. */
  #isRestyled = false;
  /** Whether lines are missing in the scrollback. */
  #torn = false;
  /** Whether the whole scrollback was requested since the user scrolled up. */
  #asked = false;
  #untilQuiet: ReturnType<typeof setTimeout> | undefined;
  #wroteAt = 0;
  #writing = false;
  #frame = 0;

  constructor(place: HTMLElement, callbacks: TerminalCallbacks) {
    this.#place = place;
    this.#roomTold = callbacks.room;
    this.#incomplete = callbacks.incomplete;
    this.#givesWay = callbacks.givesWay;
    this.#takesLines = callbacks.takesLines;
    this.#xterm = new Xterm({
      allowProposedApi: true,
      cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
      linkHandler: {
        activate: (event, address) => openLink(event, address, this.#xterm.hasSelection()),
        hover: (_event, address) => callbacks.link(webAddress(address)),
        leave: () => callbacks.link(undefined),
      },
      logLevel: 'off',
      macOptionClickForcesSelection: true,
      rightClickSelectsWord: false,
      scrollback: 10_000,
      // Programs save and restore the title this way. Neither operation sends them a reply.
      windowOptions: { pushTitle: true, popTitle: true },
    });
    this.#paint();
    onAppearance(() => {
      if (this.#paint()) callbacks.theme(this.theme);
    });
    this.#style();
    onPreferences(() => this.#style());

    const xterm = this.#xterm;
    emulate(xterm);
    this.#keyProtocol = new KeyProtocol(xterm);
    ignoreQueries(xterm.parser);
    xterm.parser.registerOscHandler(52, (data) => {
      callbacks.copied(copyOf(data));
      return true;
    });
    this.#alerts = new Alerts(callbacks.alerted, callbacks.progress);
    const osc = (number: number, take: (data: string) => void) =>
      xterm.parser.registerOscHandler(number, (data) => {
        take(data);
        return true;
      });
    osc(9, (data) => this.#alerts.osc9(data));
    osc(99, (data) => this.#alerts.osc99(data));
    osc(133, (data) => this.#alerts.osc133(data));
    osc(777, (data) => this.#alerts.osc777(data));
    xterm.loadAddon(this.#fit);
    xterm.loadAddon(this.search);
    xterm.loadAddon(
      new WebLinksAddon((event, address) => openLink(event, address, xterm.hasSelection()), {
        hover: (_event, address) => callbacks.link(webAddress(address)),
        leave: () => callbacks.link(undefined),
      }),
    );
    xterm.open(place);
    this.#drawFast();

    // Data that xterm.js emits while it parses output is a reply of the terminal, not user input.
    xterm.onData((text) => this.#writing || callbacks.input(textBytes(text)));
    xterm.onBinary((text) => this.#writing || callbacks.input(latin1Bytes(text)));
    // xterm.js has no event for scrolling by the user, but it renders after it.
    xterm.onRender(() => this.#lookAtScrollback());
    xterm.onBell(() => {
      ring(place);
      this.#alerts.bell();
    });
    makeCopyOnSelect(place, () => this.selection);
    xterm.onTitleChange((title) => callbacks.title(title));
    xterm.attachCustomKeyEventHandler((event) => !this.#shortcut(event) && !callbacks.key(event) && !this.#encode(event));
    place.addEventListener('paste', (event) => this.#paste(event), { capture: true });
    const takesWheel = () => xterm.buffer.active.type === 'alternate' || xterm.modes.mouseTrackingMode !== 'none';
    // Beside a panel, the wheel scrolls the terminal within its place, even if the program takes
    // the wheel.
    place.addEventListener(
      'wheel',
      (event) => {
        if (takesWheel() && callbacks.givesWay()) event.stopPropagation();
        else if (xterm.modes.mouseTrackingMode === 'none' && xterm.buffer.active.type === 'alternate') this.#sendArrows(event);
      },
      { capture: true },
    );
    makeTouchScroll(place, {
      rowHeight: () => this.#screen().offsetHeight / xterm.rows,
      takesWheel,
      scrollLines: (lines) => xterm.scrollLines(lines),
    });
    // Beside a panel, the end of the screen is shown before the browser paints, not a frame later.
    new ResizeObserver(() => (callbacks.givesWay() ? this.#showEnd() : this.fit())).observe(place);
    this.fitNow();
  }

  /** The terminal's colours, in the form sent to the server. */
  get theme(): Theme {
    return wireTheme(this.#colours);
  }

  /** The size that the window has room for. */
  get room(): TermSize {
    return this.#room;
  }

  write(bytes: Uint8Array): void {
    this.#wroteAt = Date.now();
    this.#writing = true;
    try {
      (this.#xterm as unknown as WritesNow)._core.writeSync(this.#decoder.text(bytes));
    } finally {
      this.#writing = false;
    }
  }

  /**
   * Shows a snapshot. Unless its extent is `whole`, lines are missing in the scrollback; they are
   * requested when the user scrolls up.
   */
  show(size: TermSize, snapshot: Uint8Array, extent: Extent): void {
    const { baseY, viewportY } = this.#xterm.buffer.active;
    const above = baseY - viewportY;
    if (extent !== 'screen') this.#xterm.reset();
    this.#torn = extent !== 'whole';
    this.resize(size);
    // What was incomplete before has been left.
    this.#decoder = new Decoder();
    this.write(snapshot);
    if (above > 0) this.#xterm.scrollToLine(Math.max(0, this.#xterm.buffer.active.baseY - above));
  }

  /** Resizes the terminal to the session's size. */
  resize(size: TermSize): void {
    this.#xterm.resize(size.cols, size.rows);
    this.#fitLetters();
  }

  reset(): void {
    this.#xterm.reset();
    this.#keyProtocol.reset();
    this.#alerts.reset();
  }

  /** The selected text, or an empty one. */
  get selection(): string {
    return this.#xterm.getSelection();
  }

  focus(): void {
    this.#xterm.focus();
  }

  /** Sends text as if the user had typed it, as the touch keys do. */
  type(text: string): void {
    this.#xterm.input(text, true);
  }

  /**
   * Presses a key that the keyboard lacks. `asEver` is sent unless the program wants to be told
   * keys otherwise.
   */
  press(key: string, ctrlKey: boolean, asEver: string): void {
    const held = { ctrlKey, shiftKey: false, altKey: false, metaKey: false, altGraph: false, capsLock: false, numLock: false };
    const press: KeyPress = { ...held, key, code: key, keyCode: 0, location: 0, type: 'press', isComposing: false, altMakesText: false };
    this.type(this.#keyProtocol.encode(press) ?? asEver);
  }

  paste(text: string): void {
    const plain = pasteable(text);
    const count = lines(plain);
    // A program that uses bracketed paste reads byte by byte. So does a full-screen program, and
    // the length of a line does not matter to it.
    const readsLines = !this.#xterm.modes.bracketedPasteMode;
    const tooLong = readsLines && this.#xterm.buffer.active.type === 'normal' ? longLine(plain) : 0;
    if (!readsLines || (count === 1 && tooLong === 0)) this.#xterm.paste(plain);
    else this.#takesLines(count, tooLong, () => this.#xterm.paste(plain));
  }

  /** Turns xterm.js's screen reader mode on or off. */
  readAloud(isOn: boolean): void {
    this.#xterm.options.screenReaderMode = isOn;
  }

  get applicationCursorKeys(): boolean {
    return this.#xterm.modes.applicationCursorKeysMode;
  }

  /** Fits the terminal to its place in the next animation frame. */
  fit(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.fitNow());
  }

  fitNow(): void {
    // These sizes include the scroll bars, which come and go without a change of the window.
    const { offsetWidth, offsetHeight } = this.#place;
    if (this.#givesWay()) return;
    // A hidden place has no size to fit to. If only the font has changed, the window has not.
    if (offsetWidth === 0 || (this.#fitted === `${offsetWidth} ${offsetHeight}` && !this.#isRestyled)) return;
    this.#xterm.options.fontSize = this.#font;
    const fitting = this.#fit.proposeDimensions();
    if (!fitting || !Number.isFinite(fitting.cols) || !Number.isFinite(fitting.rows)) return;
    this.#fitted = `${offsetWidth} ${offsetHeight}`;
    this.#isRestyled = false;
    const bounded = (cells: number) => Math.min(SIZE_MAX, Math.max(SIZE_MIN, cells));
    const cols = bounded(fitting.cols);
    this.#room = { cols, rows: Math.min(bounded(fitting.rows), Math.floor(CELLS_MAX / cols)) };
    this.#roomTold(this.#room);
    this.#fitLetters();
  }

  /**
   * Requests the whole scrollback if the user scrolls up where lines are missing. While the program
   * keeps printing, lines would soon be missing again, and every whole scrollback costs bandwidth.
   * So there is one request when the user scrolls up, and another one only once the terminal is
   * quiet, or after the user has returned to the end and scrolls up again.
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

  /**
   * Handles the wheel in a full-screen program that does not take the mouse. xterm.js would send a
   * single arrow key for each notch.
   */
  #sendArrows(event: WheelEvent): void {
    // With Ctrl, the browser zooms.
    if (event.ctrlKey || event.shiftKey || event.deltaY === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const rowHeight = this.#screen().offsetHeight / this.#xterm.rows;
    const lines = this.#wheel.lines(event as WheelEvent & { wheelDeltaY?: number }, rowHeight, this.#xterm.rows);
    const arrow = `\x1b${this.applicationCursorKeys ? 'O' : '['}${lines < 0 ? 'A' : 'B'}`;
    if (lines !== 0) this.type(arrow.repeat(Math.abs(lines)));
  }

  /**
   * Scrolls the terminal within its place until the last row with text is visible, or the cursor's
   * row if it is further down.
   */
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

  /** Sets the preferred font size, or a smaller one if the session is larger than the room. */
  #fitLetters(): void {
    const { cols, rows } = this.#xterm;
    const fitting = Math.min(this.#room.cols / cols, this.#room.rows / rows, 1);
    let font = Math.max(FONT_MIN, Math.floor(this.#font * fitting * 2) / 2);
    this.#setFont(font);
    // Cells are whole pixels high, so the calculated font size may still be too large.
    while (fitting < 1 && font > FONT_MIN && this.#isCut()) this.#setFont((font -= 0.5));
    this.#place.toggleAttribute('data-cut', fitting < 1 && this.#isCut());
  }

  #setFont(size: number): void {
    if (this.#xterm.options.fontSize !== size) this.#xterm.options.fontSize = size;
  }

  /** The element that holds the rows and has exactly their size. */
  #screen(): HTMLElement {
    return this.#place.querySelector<HTMLElement>('.xterm-screen') ?? this.#place;
  }

  /** Whether the terminal is larger than the place to which it was fitted. */
  #isCut(): boolean {
    const screen = this.#screen();
    const [width = 0, height = 0] = this.#fitted.split(' ').map(Number);
    return screen.offsetWidth > width - PADDING || screen.offsetHeight > height - PADDING;
  }

  /** Renders with WebGL until its context is lost; then the DOM renderer takes over. */
  #drawFast(): void {
    if (!hasGraphicsCard()) return;
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.#xterm.loadAddon(webgl);
    } catch {
      // WebGL is not available.
    }
  }

  /** Takes over the colours in use. Returns whether they are others than before. */
  #paint(): boolean {
    const { colours, contrast } = appearance();
    const before = this.#colours;
    this.#colours = colours;
    this.#xterm.options.theme = colours;
    this.#xterm.options.minimumContrastRatio = contrast;
    return JSON.stringify(colours) !== JSON.stringify(before);
  }

  /** Takes over the font and the cursor that the user has set. */
  #style(): void {
    const { font, size, lineHeight, cursor } = preferences();
    const fontFamily = fontStack(font, getComputedStyle(document.documentElement).getPropertyValue('--mono'));
    Object.assign(this.#xterm.options, { fontFamily, lineHeight, cursorStyle: cursor });
    this.#font = size ?? (this.#place.clientWidth < 500 ? 12 : 14);
    this.#isRestyled = true;
    this.fit();
  }

  #paste(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    this.paste(event.clipboardData?.getData('text/plain') ?? '');
  }

  /**
   * xterm.js sends the composed text as soon as it sees this key, and again when the browser
   * reports the end of the composition. If the text area is empty by then, nothing is sent the
   * second time.
   */
  #endComposition(): void {
    queueMicrotask(() => {
      if (this.#xterm.textarea) this.#xterm.textarea.value = '';
    });
  }

  /** Handles the keys that xterm.js must not handle. */
  #shortcut(event: KeyboardEvent): boolean {
    const { key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing } = event;
    const pressed = { key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing };
    const altGraph = event.getModifierState('AltGraph');
    if (event.type === 'keydown' && endsComposition(pressed)) this.#endComposition();
    const isEncoded = this.#encoded(event) !== undefined;
    const sign = () => (isEncoded ? undefined : controlSign({ ...pressed, altGraph }));
    const kept = event.type === 'keydown' ? (pastInputMethod(pressed) ?? sign()) : undefined;
    if (kept === undefined) return false;
    event.preventDefault();
    this.type(kept);
    return true;
  }

  /** What is sent for a key, if the program wants to be told it otherwise than xterm.js does. */
  #encoded(event: KeyboardEvent): string | undefined {
    const press = keyPress(event, IS_MAC);
    // What an input method composes comes as text.
    return press === undefined || composes(press) ? undefined : this.#keyProtocol.encode(press);
  }

  #encode(event: KeyboardEvent): boolean {
    const encoded = this.#encoded(event);
    if (encoded === undefined) return false;
    event.preventDefault();
    this.type(encoded);
    return true;
  }
}

/**
 * Whether WebGL runs on a graphics card. Where it is emulated in software, the DOM renderer is much
 * faster.
 */
function hasGraphicsCard(): boolean {
  const trial = document.createElement('canvas').getContext('webgl2');
  const names = trial?.getExtension('WEBGL_debug_renderer_info');
  const renderer: unknown = names && trial?.getParameter(names.UNMASKED_RENDERER_WEBGL);
  trial?.getExtension('WEBGL_lose_context')?.loseContext();
  return trial !== null && !/swiftshader|llvmpipe|softpipe|software/i.test(String(renderer));
}
