// Corrections of xterm.js 6.0 where it does not do what ECMA-48, DEC's manuals or xterm say, and
// the worker's terminal does. They replace methods of its input handler, which its types do not
// publish: each says what xterm.js does without it. tests/corpus.rs compares the two terminals with
// random streams, so a version of xterm.js that needs other corrections fails there.

import type { Terminal } from '@xterm/xterm';

import { type Parameters, style } from './style.ts';
import { widths } from './widths.ts';

interface Line {
  isWrapped: boolean;
  getWidth(x: number): number;
  getString(x: number): string;
  hasContent(x: number): number;
  getFg(x: number): number;
  getBg(x: number): number;
  setCellFromCodepoint(x: number, code: number, width: number, look: Look): void;
}

interface Underline {
  underlineColor: number;
  clone(): Underline;
}

interface Look {
  fg: number;
  bg: number;
  extended: Underline;
  updateExtended(): void;
  clone(): Look;
}

interface Buffer {
  x: number;
  y: number;
  ybase: number;
  scrollTop: number;
  scrollBottom: number;
  tabs: Record<number, boolean>;
  lines: { get(y: number): Line | undefined; splice(at: number, gone: number, ...lines: Line[]): void };
  getBlankLine(look: Look): Line;
  prevStop(): number;
}

type Charset = Record<string, string> | undefined;
type Method = (parameters: Parameters) => boolean;
type Erase = (parameters: Parameters, unprotected?: boolean) => boolean;

interface InputHandler {
  _activeBuffer: Buffer;
  _curAttrData: Look;
  _bufferService: {
    cols: number;
    rows: number;
    buffers: { onBufferActivate(listener: (event: { activeBuffer: Buffer; inactiveBuffer: Buffer }) => void): void; alt: Buffer };
    scroll(look: Look, isWrapped?: boolean): void;
  };
  _coreService: { isCursorHidden: boolean; decPrivateModes: { origin: boolean; wraparound: boolean; reverseWraparound: boolean } };
  _charsetService: { glevel: number; charset: Charset; _charsets: Charset[]; setgLevel(level: number): void };
  _optionsService: { options: { convertEol: boolean } };
  _parser: {
    precedingJoinState: number;
    _transitions: { table: Uint8Array };
    setExecuteHandler(control: string, handler: () => boolean): void;
  };
  print(data: Uint32Array, start: number, end: number): void;
  lineFeed(): boolean;
  backspace(): boolean;
  tabSet(): boolean;
  reverseIndex(): boolean;
  saveCursor(): boolean;
  restoreCursor(): boolean;
  fullReset(): boolean;
  screenAlignmentPattern(): boolean;
  selectCharset(name: string): boolean;
  restoreIndexedColor(data: string): boolean;
  restoreFgColor(data: string): boolean;
  restoreBgColor(data: string): boolean;
  restoreCursorColor(data: string): boolean;
  cursorBackward: Method;
  cursorCharAbsolute: Method;
  charPosAbsolute: Method;
  cursorForwardTab: Method;
  cursorBackwardTab: Method;
  tabClear: Method;
  insertLines: Method;
  deleteLines: Method;
  scrollUp: Method;
  scrollDown: Method;
  scrollLeft: Method;
  scrollRight: Method;
  insertColumns: Method;
  deleteColumns: Method;
  insertChars: Method;
  deleteChars: Method;
  eraseChars: Method;
  repeatPrecedingCharacter: Method;
  charAttributes: Method;
  softReset: Method;
  markRangeDirty(first: number, last: number): void;
  eraseInDisplay: Erase;
  eraseInLine: Erase;
  _eraseInBufferLine(y: number, start: number, end: number, endsLine: boolean, unprotected: boolean): void;
  _resetBufferLine(y: number, unprotected: boolean): void;
  _moveCursor(x: number, y: number): void;
  _restrictCursor(x?: number): void;
  _eraseAttrData(): Look;
}

/** Whether a selective erase leaves a cell: a bit of its background in xterm.js. */
const PROTECTED = 0x20000000;

/** The largest count of REP that the worker's terminal knows. */
const REPEATS_MAX = 65_535;

/** The combining marks that a character keeps, as in the worker's terminal. */
const MARKS_MAX = 8;

/** States of xterm.js's parser: a string that is ignored, and every character that is not ASCII. */
const IGNORED_STRING = 7;
const NOT_ASCII = 0xa0;

/** Final bytes of the character sets that xterm.js knows and the worker's terminal does not. */
const NATIONAL = ['4', 'C', '5', 'R', 'Q', 'K', 'Y', 'E', '6', 'Z', 'H', '7', '='];

/** What is needed of xterm.js, with a window or without. */
export type Correctable = Pick<Terminal, 'parser' | 'unicode' | 'cols'>;

export function correct(xterm: Correctable): void {
  const handler = (xterm as unknown as { _core: { _inputHandler: InputHandler } })._core._inputHandler;
  correctText(handler);
  correctMoves(handler);
  correctRows(xterm, handler);
  correctErasing(handler);
  correctState(handler);
  correctCharsets(xterm, handler);

  // Without this, an extended colour takes its numbers modulo 256 and swallows what follows a wrong
  // one, SGR 59 makes underlines white, and SGR 0 ends protection.
  const attributes = handler.charAttributes.bind(handler);
  handler.charAttributes = (parameters) => {
    const kept = handler._curAttrData.bg & PROTECTED;
    for (const [number, part] of style(parameters).entries()) {
      if (number > 0) {
        handler._curAttrData.extended = handler._curAttrData.extended.clone();
        handler._curAttrData.extended.underlineColor = 0;
        handler._curAttrData.updateExtended();
      }
      attributes(part);
    }
    handler._curAttrData.bg = (handler._curAttrData.bg & ~PROTECTED) | kept;
    return true;
  };
  // A string that is ignored ended at the first character that is not ASCII, and the rest was
  // shown.
  handler._parser._transitions.table[(IGNORED_STRING << 8) | NOT_ASCII] = IGNORED_STRING;
  // U+008D is RI, as U+0084 is IND.
  handler._parser.setExecuteHandler('\x8d', () => handler.reverseIndex());
}

/** The same parameters with another count. */
function counted(count: number): Parameters {
  return { length: 1, params: [count], hasSubParams: () => false, getSubParams: () => null };
}

function countOf(parameters: Parameters, most: number): number {
  return Math.min(parameters.params[0] || 1, most);
}

function isMark(code: number | undefined): boolean {
  return code !== undefined && code >= 0xa0 && widths.wcwidth(code) === 0;
}

/**
 * Combining marks. xterm.js adds a mark only to a character that it was given immediately before;
 * any other takes a cell without a width, and a character keeps any number of marks.
 */
function correctText(handler: InputHandler): void {
  const print = handler.print.bind(handler);
  /** Adds marks to the character before the cursor, if there is one. */
  const mark = (marks: Uint32Array): void => {
    const { _activeBuffer: buffer, _parser: parser } = handler;
    const line = buffer.lines.get(buffer.ybase + buffer.y);
    if (line === undefined || buffer.x === 0) return;
    const at = line.getWidth(buffer.x - 1) === 0 && buffer.x > 1 ? buffer.x - 2 : buffer.x - 1;
    const width = line.getWidth(at);
    if (!line.hasContent(at)) {
      const look = handler._curAttrData.clone();
      [look.fg, look.bg] = [line.getFg(at), line.getBg(at)];
      line.setCellFromCodepoint(at, 0x20, width, look);
    }
    const kept = marks.slice(0, Math.max(0, MARKS_MAX + 1 - [...line.getString(at)].length));
    const isInside = width === 2 && at === buffer.x - 1;
    if (isInside) buffer.x += 1;
    parser.precedingJoinState = width << 1;
    if (kept.length > 0) print(kept, 0, kept.length);
    if (!isInside) return;
    // In the middle of a wide character, there is nothing that REP would repeat.
    buffer.x -= 1;
    parser.precedingJoinState = 0;
  };
  const printMarks = (data: Uint32Array, start: number, end: number): void => {
    let at = start;
    while (at < end) {
      const begin = at;
      const areMarks = isMark(data[at]);
      while (at < end && isMark(data[at]) === areMarks) at += 1;
      if (areMarks) mark(data.slice(begin, at));
      else print(data, begin, at);
    }
  };
  // Without automatic wrapping, a character in the last column that overwrites half of a wide one
  // left the other half, and a mark after a wide one that did not fit widened the cell before.
  const printInRow = (data: Uint32Array, start: number, end: number): void => {
    const { _activeBuffer: buffer, _bufferService: service } = handler;
    for (let at = start; at < end; at += 1) {
      const width = widths.wcwidth(data[at] ?? 0);
      if (width === 0) {
        printMarks(data, at, at + 1);
        continue;
      }
      buffer.x = Math.min(buffer.x, service.cols - 1);
      if (buffer.x + width <= service.cols) print(data, at, at + 1);
      else handler._parser.precedingJoinState = 0;
    }
  };
  handler.print = (data, start, end) => {
    const { _activeBuffer: buffer, _bufferService: service } = handler;
    // Below the scrolling region, the last row does not continue in itself.
    const last = buffer.y === service.rows - 1 && buffer.scrollBottom < buffer.y ? buffer.lines.get(buffer.ybase + buffer.y) : undefined;
    const wasWrapped = last?.isWrapped;
    let hasMarks = false;
    for (let at = start; at < end && !hasMarks; at += 1) hasMarks = isMark(data[at]);
    if (!handler._coreService.decPrivateModes.wraparound) printInRow(data, start, end);
    else if (hasMarks) printMarks(data, start, end);
    else print(data, start, end);
    if (last !== undefined && wasWrapped !== undefined) last.isWrapped = wasWrapped;
  };
  const repeat = handler.repeatPrecedingCharacter.bind(handler);
  handler.repeatPrecedingCharacter = (parameters) => repeat(counted(countOf(parameters, REPEATS_MAX)));
}

/**
 * The cursor. In origin mode, xterm.js adds the top of the scrolling region at each relative move;
 * in reverse wrap mode, it ignores CUB; while it waits to wrap, CBT does nothing and tab stops are
 * set beyond the last column.
 */
function correctMoves(handler: InputHandler): void {
  const cols = () => handler._bufferService.cols;
  handler._moveCursor = (x, y) => {
    handler._restrictCursor();
    handler._activeBuffer.x += x;
    handler._activeBuffer.y += y;
    handler._restrictCursor();
  };
  handler.cursorCharAbsolute = (parameters) => {
    handler._activeBuffer.x = (parameters.params[0] || 1) - 1;
    handler._restrictCursor();
    return true;
  };
  handler.charPosAbsolute = handler.cursorCharAbsolute;

  const back = (count: number) => {
    const { reverseWraparound, wraparound } = handler._coreService.decPrivateModes;
    const buffer = handler._activeBuffer;
    if (!reverseWraparound || !wraparound) return handler._moveCursor(-count, 0);
    let left = Math.min(count, cols() * handler._bufferService.rows);
    if (buffer.x >= cols()) {
      buffer.x = cols() - 1;
      left -= 1;
    }
    for (;;) {
      const inRow = Math.min(left, buffer.x);
      buffer.x -= inRow;
      left -= inRow;
      if (left === 0 || buffer.y === 0 || !buffer.lines.get(buffer.ybase + buffer.y)?.isWrapped) return undefined;
      buffer.y -= 1;
      buffer.x = cols() - 1;
      left -= 1;
    }
  };
  handler.backspace = () => (back(1), true);
  handler.cursorBackward = (parameters) => (back(parameters.params[0] || 1), true);

  const withinRow = (method: Method): Method => (parameters) => {
    const buffer = handler._activeBuffer;
    const x = buffer.x;
    buffer.x = Math.min(x, cols() - 1);
    method(parameters);
    if (x >= cols()) buffer.x = x;
    return true;
  };
  const forward = handler.cursorForwardTab.bind(handler);
  handler.cursorForwardTab = (parameters) => forward(counted(countOf(parameters, cols())));
  const backward = handler.cursorBackwardTab.bind(handler);
  handler.cursorBackwardTab = (parameters) => {
    handler._restrictCursor();
    return backward(counted(countOf(parameters, cols())));
  };
  const set = handler.tabSet.bind(handler);
  handler.tabSet = () => withinRow(set)(counted(0));
  // The tab stops are the same object for both screens, so it is kept.
  const clear = (parameters: Parameters) => {
    const { tabs, x } = handler._activeBuffer;
    if (parameters.params[0] === 0) delete tabs[x];
    else if (parameters.params[0] === 3) for (const stop of Object.keys(tabs)) delete tabs[Number(stop)];
    return true;
  };
  handler.tabClear = withinRow(clear);
  handler.insertColumns = withinRow(handler.insertColumns.bind(handler));
  handler.deleteColumns = withinRow(handler.deleteColumns.bind(handler));
  const { buffers } = handler._bufferService;
  buffers.onBufferActivate(({ activeBuffer, inactiveBuffer }) => {
    if (activeBuffer === buffers.alt) activeBuffer.tabs = inactiveBuffer.tabs;
  });
}

/**
 * Rows that are moved. xterm.js repeats an operation as often as it is told to, fills with the
 * default background for SD, and leaves lines joined whose rows are no longer neighbours. It
 * forgets that rows are joined when a line feed moves onto the second.
 */
function correctRows(xterm: Correctable, handler: InputHandler): void {
  const endLineAbove = (row: number) => {
    const { lines, ybase } = handler._activeBuffer;
    const line = row < handler._bufferService.rows ? lines.get(ybase + row) : undefined;
    if (line !== undefined) line.isWrapped = false;
  };
  const move = (from: number, parameters: Parameters, down: boolean) => {
    const { lines, ybase, scrollBottom } = handler._activeBuffer;
    const count = countOf(parameters, scrollBottom - from + 1);
    const [gone, entered] = down ? [scrollBottom, from] : [from, scrollBottom];
    for (let moved = 0; moved < count; moved += 1) {
      lines.splice(ybase + gone, 1);
      lines.splice(ybase + entered, 0, handler._activeBuffer.getBlankLine(handler._eraseAttrData()));
    }
    endLineAbove(from);
    if (down) endLineAbove(Math.min(from + count, scrollBottom + 1));
    endLineAbove(scrollBottom + 1);
    handler.markRangeDirty(from, scrollBottom);
  };
  const inRegion = (down: boolean): Method => (parameters) => {
    const { y, scrollTop, scrollBottom } = handler._activeBuffer;
    // Outside the region, nothing happens, and a cursor that waits to wrap still does.
    if (y < scrollTop || y > scrollBottom) return true;
    move(y, parameters, down);
    handler._activeBuffer.x = 0;
    return true;
  };
  handler.insertLines = inRegion(true);
  handler.deleteLines = inRegion(false);
  handler.scrollUp = (parameters) => (move(handler._activeBuffer.scrollTop, parameters, false), true);
  // With more parameters, CSI T is xterm's highlight tracking.
  handler.scrollDown = (parameters) => (parameters.length > 1 || move(handler._activeBuffer.scrollTop, parameters, true), true);
  handler.reverseIndex = () => {
    handler._restrictCursor();
    const buffer = handler._activeBuffer;
    if (buffer.y === buffer.scrollTop) move(buffer.y, counted(1), true);
    else if (buffer.y > 0) buffer.y -= 1;
    return true;
  };

  const service = handler._bufferService;
  const scroll = service.scroll.bind(service);
  service.scroll = (look, isWrapped) => {
    scroll(look, isWrapped);
    const { scrollTop, scrollBottom } = handler._activeBuffer;
    if (scrollTop > 0) endLineAbove(scrollTop);
    endLineAbove(scrollBottom + 1);
  };
  // In a snapshot, CSI > n w says that the line goes on in the next row, which may not exist yet.
  const goOn = new WeakSet<Line>();
  xterm.parser.registerCsiHandler({ prefix: '>', final: 'w' }, (parameters) => {
    const { lines, ybase, y } = handler._activeBuffer;
    const [here, next] = [lines.get(ybase + y), lines.get(ybase + y + 1)];
    if (y < service.rows - 1 && next !== undefined) next.isWrapped = Number(parameters[0]) > 0;
    else if (here !== undefined && Number(parameters[0]) > 0) goOn.add(here);
    return true;
  });
  const lineFeed = handler.lineFeed.bind(handler);
  handler.lineFeed = () => {
    const buffer = handler._activeBuffer;
    const { y } = buffer;
    const [here, next] = [buffer.lines.get(buffer.ybase + y), buffer.lines.get(buffer.ybase + y + 1)];
    const wasWrapped = y === buffer.scrollBottom ? here !== undefined && goOn.delete(here) : next?.isWrapped;
    lineFeed();
    const line = buffer.lines.get(buffer.ybase + buffer.y);
    if (line !== undefined && wasWrapped) line.isWrapped = true;
    return true;
  };

  // What is inserted in the middle of a wide character left its right half.
  const splitAt = (row: number, x: number) => {
    const line = handler._activeBuffer.lines.get(handler._activeBuffer.ybase + row);
    if (x > 0 && line?.getWidth(x - 1) === 2) line.setCellFromCodepoint(x, 0, 1, handler._eraseAttrData());
  };
  const insertChars = handler.insertChars.bind(handler);
  handler.insertChars = (parameters) => {
    handler._restrictCursor();
    splitAt(handler._activeBuffer.y, handler._activeBuffer.x);
    return insertChars(parameters);
  };
  const insertColumns = handler.insertColumns.bind(handler);
  handler.insertColumns = (parameters) => {
    const { x, y, scrollTop, scrollBottom } = handler._activeBuffer;
    if (y < scrollTop || y > scrollBottom) return true;
    for (let row = scrollTop; row <= scrollBottom; row += 1) splitAt(row, Math.min(x, service.cols - 1));
    return insertColumns(parameters);
  };
  const clamp = (name: 'scrollLeft' | 'scrollRight' | 'insertColumns' | 'deleteColumns' | 'insertChars' | 'deleteChars') => {
    const method = handler[name].bind(handler);
    handler[name] = (parameters) => method(counted(countOf(parameters, service.cols)));
  };
  for (const name of ['scrollLeft', 'scrollRight', 'insertColumns', 'deleteColumns', 'insertChars', 'deleteChars'] as const) clamp(name);
}

/**
 * Erasing. In xterm.js, it separates a row from the one above, not from the one below; and ED 1 in
 * the last row and column throws.
 */
function correctErasing(handler: InputHandler): void {
  const lineOf = (row: number) => {
    const { lines, ybase } = handler._activeBuffer;
    return row < handler._bufferService.rows ? lines.get(ybase + row) : undefined;
  };
  const setWrapped = (row: number, isWrapped: boolean | undefined) => {
    const line = lineOf(row);
    if (line !== undefined) line.isWrapped = isWrapped ?? false;
  };
  const reaches = (end: number) => end >= handler._bufferService.cols;

  const inDisplay = handler.eraseInDisplay.bind(handler);
  handler.eraseInDisplay = (parameters, unprotected = false) => {
    const { y } = handler._activeBuffer;
    const [first, here] = [lineOf(0)?.isWrapped, lineOf(y)?.isWrapped];
    const which = parameters.params[0];
    if (which === 1) {
      handler._restrictCursor(handler._bufferService.cols);
      const { x } = handler._activeBuffer;
      handler._eraseInBufferLine(y, 0, x + 1, true, unprotected);
      for (let row = 0; row < y; row += 1) handler._resetBufferLine(row, unprotected);
      if (reaches(x + 1)) setWrapped(y + 1, false);
    } else {
      inDisplay(parameters, unprotected);
    }
    if (which === 0) setWrapped(y, here);
    // The first row may continue a line of the scrollback, while there is any.
    else if (which === 1 || which === 2) setWrapped(0, first);
    else if (which === 3) setWrapped(0, false);
    return true;
  };

  const inLine = handler.eraseInLine.bind(handler);
  handler.eraseInLine = (parameters, unprotected = false) => {
    const { x, y } = handler._activeBuffer;
    const here = lineOf(y)?.isWrapped;
    inLine(parameters, unprotected);
    setWrapped(y, here);
    const which = parameters.params[0];
    if (which === 2 || (which === 0 && !reaches(x)) || (which === 1 && reaches(x + 1))) setWrapped(y + 1, false);
    return true;
  };

  const chars = handler.eraseChars.bind(handler);
  handler.eraseChars = (parameters) => {
    const count = countOf(parameters, handler._bufferService.cols);
    chars(counted(count));
    if (reaches(handler._activeBuffer.x + count)) setWrapped(handler._activeBuffer.y + 1, false);
    return true;
  };

  // DECALN filled in the present style, and left the scrolling region and origin mode.
  const fill = handler.screenAlignmentPattern.bind(handler);
  handler.screenAlignmentPattern = () => {
    const buffer = handler._activeBuffer;
    const first = lineOf(0)?.isWrapped;
    handler._coreService.decPrivateModes.origin = false;
    [buffer.scrollTop, buffer.scrollBottom] = [0, handler._bufferService.rows - 1];
    handler.charAttributes(counted(0));
    const look = handler._curAttrData;
    handler._curAttrData = look.clone();
    [handler._curAttrData.fg, handler._curAttrData.bg] = [0, 0];
    fill();
    handler._curAttrData = look;
    setWrapped(0, first);
    return true;
  };
}

interface Saved {
  x: number;
  y: number;
  look: Look;
  origin: boolean;
  charsets: Charset[];
  level: number;
}

/**
 * Saved and reset state. xterm.js saves the row as one of the scrollback, and neither the pending
 * wrap nor origin mode, underlines, links and character sets; RIS leaves new line mode, colours and
 * a hidden cursor.
 */
function correctState(handler: InputHandler): void {
  const saved = new WeakMap<Buffer, Saved>();
  const modes = () => handler._coreService.decPrivateModes;
  handler.saveCursor = () => {
    const { _activeBuffer: buffer, _charsetService: sets } = handler;
    const { x, y } = buffer;
    const look = handler._curAttrData.clone();
    saved.set(buffer, { x, y, look, origin: modes().origin, charsets: [...sets._charsets], level: sets.glevel });
    return true;
  };
  handler.restoreCursor = () => {
    const { _activeBuffer: buffer, _charsetService: sets } = handler;
    const fresh = () => new (handler._curAttrData.constructor as new () => Look)();
    const from = saved.get(buffer) ?? { x: 0, y: 0, look: fresh(), origin: false, charsets: [], level: 0 };
    [buffer.x, buffer.y] = [from.x, from.y];
    handler._curAttrData = from.look.clone();
    sets._charsets = [...from.charsets];
    sets.setgLevel(from.level);
    modes().origin = from.origin;
    handler._restrictCursor(handler._bufferService.cols);
    return true;
  };
  const soft = handler.softReset.bind(handler);
  handler.softReset = (parameters) => {
    saved.delete(handler._activeBuffer);
    return soft(parameters);
  };
  const full = handler.fullReset.bind(handler);
  handler.fullReset = () => {
    handler._optionsService.options.convertEol = false;
    handler._coreService.isCursorHidden = false;
    handler.restoreIndexedColor('');
    handler.restoreFgColor('');
    handler.restoreBgColor('');
    handler.restoreCursorColor('');
    return full();
  };
}

/**
 * Character sets. xterm.js knows national ones without the mode that they need (DECNRCM), takes
 * sets of 96 characters for others of the same letter, designates sets at a switch to UTF-8, and
 * locks shifts of the right half into the left. It has no tab stops at every eighth column
 * (DECST8C).
 */
function correctCharsets(xterm: Correctable, handler: InputHandler): void {
  const ignore = (id: { intermediates?: string; final: string }) => xterm.parser.registerEscHandler(id, () => true);
  for (const intermediates of '()*+') for (const final of NATIONAL) ignore({ intermediates, final });
  for (const intermediates of '-./') for (const final of ['0', 'A', 'B', ...NATIONAL]) ignore({ intermediates, final });
  for (const final of '@G') ignore({ intermediates: '%', final });
  for (const final of '|}~') ignore({ final });

  handler.selectCharset('(0');
  // The blank of DEC's special graphics.
  if (handler._charsetService.charset) handler._charsetService.charset['_'] = '\u00a0';
  handler.selectCharset('(B');

  // A cursor style that does not exist switched blinking on or off.
  xterm.parser.registerCsiHandler({ intermediates: ' ', final: 'q' }, (parameters) => Number(parameters[0]) > 6);
  xterm.parser.registerCsiHandler({ prefix: '?', final: 'W' }, (parameters) => {
    const { tabs } = handler._activeBuffer;
    if (parameters[0] !== 5) return true;
    for (const stop of Object.keys(tabs)) delete tabs[Number(stop)];
    for (let stop = 0; stop < xterm.cols; stop += 8) tabs[stop] = true;
    return true;
  });
}
