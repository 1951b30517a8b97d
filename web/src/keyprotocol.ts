// How the program wants keys to be told, as src/terminal/keyboard.rs keeps it: the page needs it to
// encode keys. It comes with the output and with snapshots; the worker answers the queries for it.

import type { Terminal } from '@xterm/xterm';

import { type KeyPress, kittyKey, otherKey } from './keyencode.ts';

/** Bounds that src/terminal/keyboard.rs has too. */
const STACK_MAX = 16;
const FLAGS = 31;
const LEVEL_MAX = 2;

interface Flags {
  current: number;
  below: number[];
}

export class KeyProtocol {
  #main: Flags = { current: 0, below: [] };
  #alternate: Flags = { current: 0, below: [] };
  #level = 0;
  #buffer: () => string;

  constructor(xterm: Pick<Terminal, 'parser' | 'buffer'>) {
    this.#buffer = () => xterm.buffer.active.type;
    const first = (parameters: (number | number[])[], at: number) => Number(parameters[at] ?? 0);
    const on = (prefix: string, final: string, handle: (one: number, other: number) => void) =>
      xterm.parser.registerCsiHandler({ prefix, final }, (parameters) => {
        handle(first(parameters, 0), first(parameters, 1));
        return true;
      });
    on('>', 'u', (flags) => this.#push(flags));
    on('<', 'u', (count) => this.#pop(count || 1));
    on('=', 'u', (flags, how) => this.#set(flags, how));
    on('>', 'm', (resource, level) => {
      if ((resource === 0 || resource === 4) && level <= LEVEL_MAX) this.#level = level;
    });
    on('>', 'n', (resource) => {
      if (resource === 4) this.#level = 0;
    });
    const reset = () => {
      this.reset();
      return false;
    };
    xterm.parser.registerEscHandler({ final: 'c' }, reset);
    xterm.parser.registerCsiHandler({ intermediates: '!', final: 'p' }, reset);
  }

  /** Keys are told as ever. */
  reset(): void {
    [this.#main, this.#alternate, this.#level] = [{ current: 0, below: [] }, { current: 0, below: [] }, 0];
  }

  /** The flags of the screen that is shown. */
  get flags(): number {
    return this.#shown.current;
  }

  /** What is sent for a key, or for its release; undefined if that is up to xterm.js. */
  encode(press: KeyPress): string | undefined {
    return this.flags === 0 ? otherKey(press, this.#level) : kittyKey(press, this.flags);
  }

  get #shown(): Flags {
    return this.#buffer() === 'alternate' ? this.#alternate : this.#main;
  }

  #push(flags: number): void {
    const shown = this.#shown;
    shown.below.push(shown.current);
    if (shown.below.length > STACK_MAX) shown.below.shift();
    shown.current = flags & FLAGS;
  }

  #pop(count: number): void {
    const shown = this.#shown;
    for (let left = Math.min(count, STACK_MAX + 1); left > 0; left -= 1) shown.current = shown.below.pop() ?? 0;
  }

  #set(flags: number, how: number): void {
    const shown = this.#shown;
    if (how <= 1) shown.current = flags & FLAGS;
    else if (how === 2) shown.current |= flags & FLAGS;
    else if (how === 3) shown.current &= ~flags;
  }
}

/** A key event as it is encoded; undefined if it is not the press or the release of a key. */
export function keyPress(event: KeyboardEvent, isMac: boolean): KeyPress | undefined {
  if (event.type !== 'keydown' && event.type !== 'keyup') return undefined;
  const { key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing, location } = event;
  return {
    ...{ key, code, keyCode, ctrlKey, shiftKey, altKey, metaKey, isComposing, location },
    type: event.type === 'keyup' ? 'release' : event.repeat ? 'repeat' : 'press',
    altGraph: event.getModifierState('AltGraph'),
    capsLock: event.getModifierState('CapsLock'),
    numLock: event.getModifierState('NumLock'),
    altMakesText: isMac,
  };
}
