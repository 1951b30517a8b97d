// The red frame of a shell on the host, and the time at which a session ends, with a warning before
// that.

import { element } from './elements.ts';
import { announce, notice } from './notice.ts';
import { inTime } from './words.ts';

/** How long before the end the user is warned, in seconds; each once. */
const WARN_AT = [300, 60];

/** Seconds before the end at which the remaining time itself is shown in the bar. */
const COUNT_FROM = 300;

/** Interval between two updates of the bar. */
const TICK_MS = 1000;

export class Frame {
  #onHost = false;
  #endsAt: number | undefined;
  /** The warnings that are still to come, in seconds before the end. */
  #warnings: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Shows what there is to show. `left` is the time that is left, in seconds, or null if there is no limit. */
  show(left: number | null, onHost: boolean): void {
    this.hide();
    this.#onHost = onHost;
    if (onHost) document.body.dataset['host'] = '';
    if (left === null) return;
    this.#endsAt = Date.now() + left * 1000;
    // A session that is shorter than the time of a warning is not warned of at once.
    this.#warnings = WARN_AT.filter((seconds) => seconds < left);
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  hide(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#endsAt = undefined;
    delete document.body.dataset['host'];
    element('bar-limit').textContent = '';
  }

  #tick(): void {
    if (this.#endsAt === undefined) return;
    const left = Math.max(0, Math.round((this.#endsAt - Date.now()) / 1000));
    const at = new Date(this.#endsAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const ends = this.#onHost ? 'On the host, ends' : 'Ends';
    element('bar-limit').textContent = left > COUNT_FROM ? `${ends} at ${at}` : `${ends} in ${inTime(left)}`;
    const due = this.#warnings.filter((seconds) => left <= seconds);
    if (due.length === 0) return;
    this.#warnings = this.#warnings.filter((seconds) => left > seconds);
    const words = `This session${this.#onHost ? ' on the host' : ''} ends in ${inTime(left)}. Its shell is then hung up.`;
    notice('limit', words);
    announce(words);
  }
}
