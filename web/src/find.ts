// Finding text in the terminal: Ctrl-Shift-F.

import { element } from './elements.ts';
import type { Terminal } from './terminal.ts';

const form = element<HTMLFormElement>('find');
const text = element<HTMLInputElement>('find-text');

export function makeFind(terminal: Terminal): void {
  const find = (back: boolean) => {
    if (back) terminal.search.findPrevious(text.value);
    else terminal.search.findNext(text.value);
  };
  const close = () => {
    form.hidden = true;
    terminal.search.clearDecorations();
    terminal.focus();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    find((event.submitter as HTMLButtonElement | null)?.value !== 'next');
  };
  form.onkeydown = (event) => {
    if (event.key === 'Escape') close();
    if (event.key === 'Enter' && event.shiftKey) {
      event.preventDefault();
      find(false);
    }
  };
  element('find-close').onclick = close;
}

export function openFind(): void {
  form.hidden = false;
  text.focus();
  text.select();
}
