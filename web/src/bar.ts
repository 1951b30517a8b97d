// The bar above the terminal and the title of the window: where the shell runs, what runs in it, and how the view of it is.

import { element } from './elements.ts';
import { announce } from './notice.ts';
import type { AccountName, Target } from './protocol.ts';
import { targetName, windowTitle } from './words.ts';

export type Light = 'opening' | 'live' | 'awaited' | 'over' | 'lost';

export class Bar {
  #target: Target | undefined;
  #title = '';
  /** What became of the shell, for whoever is in another tab. */
  #word: string | undefined;

  account(account: AccountName): void {
    element('bar-account').textContent = account;
  }

  where(target: Target): void {
    this.#target = target;
    element('bar-where').textContent = targetName(target);
  }

  /** The title that a program gave the terminal, or nothing. */
  title(title: string): void {
    this.#title = title;
    this.show();
  }

  light(state: Light, word?: string): void {
    element('bar').dataset['state'] = state;
    this.#word = word;
    const isAwaited = state === 'awaited';
    element('bar-pulse').textContent = isAwaited ? 'The server does not answer…' : '';
    if (isAwaited) announce('The server does not answer.');
    this.show();
  }

  /** Takes the window's title too, while the shell is in view. */
  show(): void {
    const said = this.#title === '' ? '' : windowTitle(this.#title, this.#target);
    element('bar-title').textContent = said.replace(/ · tere$/, '');
    if (!element('shell').hidden) document.title = windowTitle(this.#title, this.#target, this.#word);
  }
}
