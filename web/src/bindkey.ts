// The question whether a command line may sign in from afar: the user types the code that it shows,
// reads what its key would be good for, and touches the passkey for it. The default answer is no.

import type { Connection } from './connection.ts';
import { element } from './elements.ts';
import { answerChallenge } from './passkey.ts';
import type { KeyRight, ToPage } from './protocol.ts';
import { refusalSentence } from './refusal.ts';
import { inTime } from './words.ts';

export type Binding = Extract<ToPage, { type: 'binding' }>;

/** How far the question is. `said` waits for the user to close it. */
type Step = 'code' | 'asked' | 'found' | 'touching' | 'answered' | 'said';

let connection: Connection | undefined;
let step: Step = 'code';
let binding: Binding | undefined;

/** What a key may do, in the order of the policy's words. */
const RIGHTS: Record<KeyRight, string> = {
  list: 'list your targets and sessions',
  attach: 'see your sessions and type into them',
  open: 'open shells',
  exec: 'run commands without a terminal',
  end: 'end your sessions',
  name: 'name your sessions',
  share: 'share your sessions with others',
};

/** Asks for the code. */
export function askCode(over: Connection): void {
  connection = over;
  step = 'code';
  binding = undefined;
  const dialog = element<HTMLDialogElement>('key');
  const code = element<HTMLInputElement>('key-code');
  code.value = '';
  element('key-message').textContent = '';
  element<HTMLFormElement>('key-form').onsubmit = (event) => {
    event.preventDefault();
    void next();
  };
  element<HTMLButtonElement>('key-leave').onclick = leave;
  // Escape closes the dialog.
  dialog.onclose = leave;
  show();
  if (!dialog.open) dialog.showModal();
  code.focus();
}

/** Withdraws the question: the connection is lost. */
export function withdrawCode(): void {
  connection = undefined;
  close();
}

function close(): void {
  const dialog = element<HTMLDialogElement>('key');
  dialog.onclose = null;
  if (dialog.open) dialog.close();
}

/** Takes a message if it answers this question. */
export function bindingHeard(message: ToPage): boolean {
  if (message.type === 'binding' && step === 'asked') {
    binding = message;
    step = 'found';
    show();
    return true;
  }
  if (message.type === 'bound' && step === 'answered') {
    say('The command line is signed in to your account. Whoever runs this host can remove its key, and so can you: tere logout');
    return true;
  }
  if (message.type === 'refused' && (step === 'asked' || step === 'answered')) {
    say(refusalSentence(message.refusal));
    return true;
  }
  // The answer to a question that was left.
  if (message.type === 'binding') connection?.send({ type: 'decline-binding' });
  return message.type === 'binding' || message.type === 'bound' || (message.type === 'refused' && message.refusal === 'key-declined');
}

async function next(): Promise<void> {
  if (step === 'code') {
    const code = element<HTMLInputElement>('key-code').value.trim();
    if (code === '') return;
    step = 'asked';
    show();
    connection?.send({ type: 'find-binding', code });
  } else if (step === 'found' && binding) {
    step = 'touching';
    show();
    try {
      const credential = await answerChallenge('get', binding.options);
      step = 'answered';
      connection?.send({ type: 'bind', credential });
    } catch (error) {
      connection?.send({ type: 'decline-binding' });
      say(error instanceof Error ? error.message : String(error));
    }
  } else if (step === 'said') {
    leave();
  }
}

function leave(): void {
  if (step === 'found') connection?.send({ type: 'decline-binding' });
  step = 'said';
  close();
}

function say(text: string): void {
  step = 'said';
  show();
  element('key-message').textContent = text;
}

function show(): void {
  const go = element<HTMLButtonElement>('key-go');
  const no = element<HTMLButtonElement>('key-leave');
  element('key-code-label').hidden = step !== 'code' && step !== 'asked';
  element('key-title').textContent = binding ? `Let ${binding.name} act as you?` : 'Sign in a command line';
  element('key-text').textContent = binding ? bindingText(binding) : 'Type the code that your own command line shows, and nobody else’s: whoever has you type theirs gets your shells.';
  element('key-facts').hidden = !binding;
  element('key-facts').replaceChildren(...(binding ? bindingFacts(binding) : []));
  go.hidden = step === 'said';
  go.disabled = step === 'asked' || step === 'touching' || step === 'answered';
  go.textContent = binding ? 'Use my passkey to allow it' : 'Continue';
  no.textContent = step === 'said' ? 'Close' : binding ? 'No' : 'Cancel';
  if (step === 'found' || step === 'said') no.focus();
}

/** What the user is told before the touch. */
export function bindingText({ allow, seconds }: Binding): string {
  const what = allow.map((right) => RIGHTS[right] ?? right);
  const list = what.length < 2 ? what.join('') : `${what.slice(0, -1).join(', ')} and ${what.at(-1) ?? ''}`;
  return `For ${days(seconds)}, without asking again, it may ${list}. Allow it only if you have just run tere login there yourself.`;
}

function bindingFacts({ source, key }: Binding): HTMLElement[] {
  const facts: [string, string][] = [
    ['It is at', source ?? 'this host'],
    ['Its key', key],
  ];
  return facts.flatMap(([term, fact]) => {
    const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
    dt.textContent = term;
    dd.textContent = fact;
    return [dt, dd];
  });
}

function days(seconds: number): string {
  const count = Math.round(seconds / 86_400);
  return count < 2 ? inTime(seconds) : `${count} days`;
}
