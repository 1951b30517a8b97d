// Finding text in the terminal: Ctrl-Shift-F.

import { element } from './elements.ts';
import type { Terminal } from './terminal.ts';

const form = element<HTMLFormElement>('find');
const text = element<HTMLInputElement>('find-text');
const result = element('find-result');

export function makeFind(terminal: Terminal): void {
  const find = (back: boolean) => {
    const found = back ? terminal.search.findPrevious(text.value) : terminal.search.findNext(text.value);
    result.textContent = found || text.value === '' ? '' : 'Not found';
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
    if (event.isComposing) return;
    if (event.key === 'Escape') close();
    if (event.key === 'Enter' && event.shiftKey) {
      event.preventDefault();
      find(false);
    }
  };
  text.oninput = () => (result.textContent = '');
  element('find-close').onclick = close;
}

export function openFind(): void {
  form.hidden = false;
  result.textContent = '';
  text.focus();
  text.select();
}
