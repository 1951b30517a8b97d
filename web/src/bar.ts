// The bar above the terminal and the title of the window: where the shell runs, the title that its
// program set, and the state of the view.

import { element } from './elements.ts';
import { announce } from './notice.ts';
import type { AccountName, Target } from './protocol.ts';
import type { Progress } from './alerts.ts';
import { setTitle } from './windowtitle.ts';
import { targetName, windowTitle } from './words.ts';

export type ViewStatus = 'opening' | 'live' | 'unresponsive' | 'over' | 'lost';

export class Bar {
  #target: Target | undefined;
  #title = '';
  #progress: Progress;
  /** The state of the shell, shown in the window's title for users who are in another tab. */
  #word: string | undefined;

  account(account: AccountName): void {
    element('bar-account').textContent = account;
  }

  where(target: Target): void {
    this.#target = target;
    element('bar-where').textContent = targetName(target);
  }

  /** Sets the title that a program gave the terminal; empty if there is none. */
  title(title: string): void {
    this.#title = title;
    this.show();
  }

  /** Shows how far a program is. */
  progress(progress: Progress): void {
    this.#progress = progress;
    const shown = element<HTMLProgressElement>('bar-progress');
    shown.hidden = progress === undefined;
    shown.value = progress?.percent ?? 0;
    shown.classList.toggle('failed', progress?.failed === true);
    this.show();
  }

  status(state: ViewStatus, word?: string): void {
    element('bar').dataset['state'] = state;
    this.#word = word;
    const isUnresponsive = state === 'unresponsive';
    element('bar-responsiveness').textContent = isUnresponsive ? 'The server does not answer…' : '';
    if (isUnresponsive) announce('The server does not answer.');
    this.show();
  }

  /** Updates the bar, and the window's title if the shell is shown. */
  show(): void {
    const said = this.#title === '' ? '' : windowTitle(this.#title, this.#target);
    element('bar-title').textContent = said.replace(/ · tere$/, '');
    const word = this.#word ?? (this.#progress && `${this.#progress.percent} %`);
    if (!element('shell').hidden) setTitle(windowTitle(this.#title, this.#target, word));
  }
}
