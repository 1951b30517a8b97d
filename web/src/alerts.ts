// How a program alerts its user: the bell, a notification (OSC 9, 99 or 777), the end of a command
// that its shell reports (OSC 133), and progress (OSC 9;4). Whatever a program prints here is text of
// somebody else's: it is cut, and loses what could make it look like something else.

/** The longest text of an alert, in characters. */
const TEXT_MAX = 200;

/** A command that took less is not reported: whoever started it is probably still looking. */
const COMMAND_MS = 10_000;

/** The longest notification of kitty's kind that is put together from several parts, in characters. */
const PARTS_MAX = 4 * TEXT_MAX;

/** An alert. `text` is what the program says, or empty. */
export interface Alert {
  kind: 'bell' | 'notification' | 'command';
  text: string;
}

/** The progress of a program, in percent; `undefined` as its end. */
export type Progress = { percent: number; failed: boolean } | undefined;

/** Reads alerts. It keeps what a later sequence completes. */
export class Alerts {
  #alerted: (alert: Alert) => void;
  #progress: (progress: Progress) => void;
  #now: () => number;
  /** When the command began that the shell runs. */
  #began: number | undefined;
  /** The parts of a notification that is not complete, and its id. */
  #parts = { id: '', text: '' };

  constructor(alerted: (alert: Alert) => void, progress: (progress: Progress) => void, now = () => Date.now()) {
    this.#alerted = alerted;
    this.#progress = progress;
    this.#now = now;
  }

  /** Another terminal is shown, or the same one anew: what was begun is left. */
  reset(): void {
    this.#began = undefined;
    this.#parts = { id: '', text: '' };
    this.#progress(undefined);
  }

  bell(): void {
    this.#alerted({ kind: 'bell', text: '' });
  }

  /** What follows `9;`: iTerm's notification, or one of ConEmu's commands, which begin with a number. */
  osc9(data: string): void {
    const progress = /^4;([0-4])(?:;(\d{1,3}))?;?$/.exec(data);
    if (progress) this.#progress(progressOf(Number(progress[1]), Number(progress[2] ?? 0)));
    else if (!/^\d+(;|$)/.test(data)) this.#notify(data);
  }

  /** What follows `777;`: `notify`, a title and a text. */
  osc777(data: string): void {
    const [command, title = '', ...text] = data.split(';');
    if (command === 'notify') this.#notify([title, text.join(';')].filter((part) => part !== '').join(': '));
  }

  /** What follows `99;`: kitty's notification, which may come in parts. */
  osc99(data: string): void {
    const at = data.indexOf(';');
    if (at < 0) return;
    const keys = new Map(data.slice(0, at).split(':').map((pair) => [pair.slice(0, 1), pair.slice(2)]));
    const part = keys.get('p') ?? 'title';
    if (part !== 'title' && part !== 'body') return;
    const id = keys.get('i') ?? '';
    if (id !== this.#parts.id) this.#parts = { id, text: '' };
    const text = keys.get('e') === '1' ? decoded(data.slice(at + 1)) : data.slice(at + 1);
    const between = part === 'body' && this.#parts.text !== '' ? ': ' : '';
    this.#parts.text = `${this.#parts.text}${between}${text}`.slice(0, PARTS_MAX);
    if (keys.get('d') === '0') return;
    const whole = this.#parts.text;
    this.#parts = { id: '', text: '' };
    this.#notify(whole);
  }

  /** What follows `133;`: `C` as a command begins, `D` and its status as it ends. */
  osc133(data: string): void {
    if (/^C(;|$)/.test(data)) this.#began = this.#now();
    const end = /^D(?:;(\d{1,3}))?(;|$)/.exec(data);
    if (!end || this.#began === undefined) return;
    const took = this.#now() - this.#began;
    this.#began = undefined;
    if (took < COMMAND_MS) return;
    const status = Number(end[1] ?? 0);
    this.#alerted({ kind: 'command', text: `${status === 0 ? 'Finished' : `Failed with status ${status}`} after ${inWords(took)}` });
  }

  #notify(text: string): void {
    const plain = plainText(text);
    if (plain !== '') this.#alerted({ kind: 'notification', text: plain });
  }
}

/** A text without control and format characters, in one line, and cut. */
export function plainText(text: string): string {
  const plain = text.slice(0, PARTS_MAX).replace(/[\p{Cc}\p{Cf}\p{Cs}\s]+/gu, ' ').trim();
  return plain.length > TEXT_MAX ? `${plain.slice(0, TEXT_MAX - 1)}…` : plain;
}

function progressOf(state: number, percent: number): Progress {
  // 3 is progress without a measure, which has nothing to show.
  return state === 0 || state === 3 ? undefined : { percent: Math.min(percent, 100), failed: state === 2 };
}

function decoded(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text.slice(0, 2 * PARTS_MAX)), (letter) => letter.charCodeAt(0)));
  } catch {
    return '';
  }
}

function inWords(took: number): string {
  const seconds = Math.round(took / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
