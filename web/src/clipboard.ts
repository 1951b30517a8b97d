// Copies what a program prints for the clipboard. The user is asked once for each account and
// machine, beside the terminal: a program must not take the focus, nor a key that was meant for the
// shell. Where the answer was "Never", a button in the bar says that something was not copied, and
// asks again.

import { button, element, span } from './elements.ts';
import { notice } from './notice.ts';
import type { Copy } from './osc52.ts';
import type { AccountName, MachineName } from './protocol.ts';
import { amount } from './words.ts';

/** How long the question stands. Whoever does not answer is asked again at the next copy. */
const ASKED_MS = 30_000;

/** The pause between two copies. Of the texts that a program copies meanwhile, the last one counts. */
const PAUSE_MS = 250;

/** How much of the text is shown. */
const SHOWN = 60;

/** The answers that are remembered. More replace the oldest. */
const REMEMBERED_MAX = 200;

const KEY = 'tere.clipboard';

type Answer = 'yes' | 'no';

export class Clipboard {
  /** Until the last text of several is copied. */
  #waiting: ReturnType<typeof setTimeout> | undefined;
  /** When the next text may be copied. */
  #next = 0;
  #question: { row: HTMLElement; timer: ReturnType<typeof setTimeout> } | undefined;
  #blocked = element<HTMLButtonElement>('bar-clipboard');
  #back: () => void;

  /** `back` returns the focus to the terminal after an answer. */
  constructor(back: () => void) {
    this.#back = back;
  }

  /** A program in this machine copies something. */
  copied(copy: Copy, account: AccountName, machine: MachineName): void {
    if (copy === undefined) return;
    if (copy === 'too long') {
      if (remembered(account, machine) !== 'no') notice('clipboard', 'A program wanted to copy more than 1 MB. It was not copied.');
      return;
    }
    clearTimeout(this.#waiting);
    const take = () => {
      this.#next = Date.now() + PAUSE_MS;
      this.#take(copy.text, account, machine);
    };
    this.#waiting = setTimeout(take, this.#next - Date.now());
  }

  /** The user views another shell, or none: what waits is not copied. */
  forget(): void {
    clearTimeout(this.#waiting);
    this.#endQuestion();
    this.#blocked.hidden = true;
  }

  #take(text: string, account: AccountName, machine: MachineName): void {
    const answer = remembered(account, machine);
    if (answer === 'no') {
      this.#blocked.hidden = false;
      this.#blocked.onclick = () => this.#ask(text, account, machine);
    } else if (answer === 'yes') void this.#write(text, () => this.#ask(text, account, machine));
    else this.#ask(text, account, machine);
  }

  /** Some browsers write to the clipboard only right after a click: then the user is asked. */
  async #write(text: string, refused: () => void): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      notice('clipboard', `A program copied ${amount(new TextEncoder().encode(text).length)} to your clipboard: ${beginning(text)}`);
    } catch {
      refused();
    }
  }

  #ask(text: string, account: AccountName, machine: MachineName): void {
    this.#endQuestion();
    const row = span('', 'notice');
    row.dataset['kind'] = 'copy';
    const isAllowed = remembered(account, machine) === 'yes';
    const question = isAllowed ? `Take what a program in ${machine} copied?` : `Let programs in ${machine} copy to your clipboard?`;
    const asked = span(`${question} Now: ${beginning(text)}`);
    const answer = (given: Answer) => {
      remember(account, machine, given);
      this.#blocked.hidden = true;
      this.#endQuestion();
      if (given === 'yes') void this.#write(text, () => notice('clipboard', 'The browser did not let it be copied.'));
      this.#back();
    };
    row.append(asked, button(isAllowed ? 'Take it' : 'Allow', () => answer('yes')), button('Never', () => answer('no')));
    element('notices').append(row);
    this.#question = { row, timer: setTimeout(() => this.#endQuestion(), ASKED_MS) };
  }

  #endQuestion(): void {
    clearTimeout(this.#question?.timer);
    this.#question?.row.remove();
    this.#question = undefined;
  }
}

/** The beginning of a text, in one line, without characters that could make it say something else. */
function beginning(text: string): string {
  const plain = text.slice(0, 1000).replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return plain.length > SHOWN || text.length > 1000 ? `“${plain.slice(0, SHOWN)}…”` : `“${plain}”`;
}

function answers(): Map<string, Answer> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    if (!Array.isArray(kept)) return new Map();
    const isAnswer = (one: unknown): one is [string, Answer] =>
      Array.isArray(one) && typeof one[0] === 'string' && (one[1] === 'yes' || one[1] === 'no');
    return new Map(kept.filter(isAnswer));
  } catch {
    return new Map();
  }
}

function name(account: AccountName, machine: MachineName): string {
  return `${account} ${machine}`;
}

function remembered(account: AccountName, machine: MachineName): Answer | undefined {
  return answers().get(name(account, machine));
}

function remember(account: AccountName, machine: MachineName, answer: Answer): void {
  const kept = answers();
  kept.delete(name(account, machine));
  kept.set(name(account, machine), answer);
  localStorage.setItem(KEY, JSON.stringify([...kept].slice(-REMEMBERED_MAX)));
}
