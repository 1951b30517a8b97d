// The room between shells: what runs, and what may be opened.

import { button, element, enterRoom, span } from './elements.ts';
import type { SessionId, SessionSummary, Target } from './protocol.ts';
import { ago, counted, targetName } from './words.ts';

/** Characters of a name: each may take three of the bytes that it may have. */
const NAME_MAX = 40;

export interface Lobby {
  targets: Target[];
  sessions: SessionSummary[];
}

export interface LobbyChoices {
  open(target: Target): void;
  attach(session: SessionSummary): void;
  end(session: SessionSummary): void;
  /** Gives a session a name, or takes it away. */
  name(session: SessionSummary, name: string | null): void;
  again(): void;
  /** Back to the shell that is in view, if one is. */
  back?: (() => void) | undefined;
}

export function showLobby(account: string, lobby: Lobby, viewed: SessionId | undefined, choices: LobbyChoices): void {
  element('lobby-text').textContent =
    lobby.targets.length + lobby.sessions.length > 0
      ? `Signed in as ${account}.`
      : `Nothing is granted to ${account} yet. Ask whoever runs this host for a grant.`;
  element('lobby-live').hidden = lobby.sessions.length === 0;
  element('lobby-open').hidden = lobby.targets.length === 0;
  element('lobby-sessions').replaceChildren(...lobby.sessions.map((one) => sessionRow(one, viewed, choices)));
  element('lobby-targets').replaceChildren(...lobby.targets.map((one) => targetRow(one, choices)));

  element<HTMLButtonElement>('lobby-again').onclick = choices.again;
  const back = element<HTMLButtonElement>('lobby-back');
  back.hidden = choices.back === undefined;
  back.onclick = choices.back ?? null;
  element('lobby').onkeydown = (event) => {
    if (event.key === 'Escape') choices.back?.();
  };
  document.title = 'Shells · tere';
  const entering = element('lobby').hidden;
  enterRoom('lobby');
  const first = element('lobby').querySelector<HTMLElement>('li button');
  if (entering || !element('lobby').contains(document.activeElement)) (first ?? element('lobby-title')).focus();
}

function targetRow(target: Target, choices: LobbyChoices): HTMLLIElement {
  const row = document.createElement('li');
  const open = button('', () => choices.open(target));
  open.className = 'choice';
  open.append(span(targetName(target), 'name'));
  row.append(open);
  return row;
}

function sessionRow(session: SessionSummary, viewed: SessionId | undefined, choices: LobbyChoices): HTMLLIElement {
  const row = document.createElement('li');
  const where = targetName(session.target);
  const label = session.name ?? session.about?.title ?? undefined;
  const open = button('', () => choices.attach(session));
  open.className = 'choice';
  open.append(span(label ?? where, 'name'));
  if (label !== undefined) open.append(span(where, 'quiet'));
  if (session.role !== 'owner') {
    open.append(span(`of ${session.owner}, ${session.role === 'writer' ? 'you may type' : 'to watch'}`, 'quiet'));
  }
  open.append(span(session.id === viewed ? 'in view here' : news(session), 'quiet'), span(session.id, 'quiet id'));
  row.append(open);
  if (session.role !== 'owner') return row;
  row.append(
    nameButton(session, choices),
    endButton(where, () => choices.end(session)),
  );
  return row;
}

/** What has happened to a session, as far as its worker could say. */
function news({ opened, viewing, about }: SessionSummary): string {
  const now = Date.now();
  const age = `opened ${ago(opened, now)}`;
  if (!about) return age;
  const seen = viewing.length > 0 ? [`viewed by ${viewing.join(', ')}`] : about.viewers === 0 ? [] : [counted(about.viewers, 'viewer')];
  return [age, `active ${ago(now / 1000 - about.idle, now)}`, ...seen].join(', ');
}

/** Asks for a name in the row itself. Enter takes it, Escape leaves it as it was. */
function nameButton(session: SessionSummary, choices: LobbyChoices): HTMLButtonElement {
  const made = button('Name', () => {
    const input = document.createElement('input');
    input.value = session.name ?? '';
    input.maxLength = NAME_MAX;
    input.setAttribute('aria-label', `Name of the shell of ${targetName(session.target)}`);
    input.onkeydown = (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        input.replaceWith(made);
        made.focus();
      }
      if (event.key !== 'Enter') return;
      const name = input.value.trim();
      choices.name(session, name === '' ? null : name);
    };
    made.replaceWith(input);
    input.focus();
  });
  made.className = 'quiet-button';
  made.setAttribute('aria-label', `Name the shell of ${targetName(session.target)}`);
  return made;
}

/** Ending a shell cannot be undone: the button asks once more in its own place. */
function endButton(name: string, end: () => void): HTMLButtonElement {
  const made = button('End', () => {
    if (made.dataset['sure']) {
      made.disabled = true;
      end();
      return;
    }
    made.dataset['sure'] = 'yes';
    made.textContent = 'Really end it?';
  });
  made.className = 'danger';
  made.setAttribute('aria-label', `End the shell of ${name}`);
  made.onblur = () => {
    delete made.dataset['sure'];
    made.textContent = 'End';
  };
  return made;
}
