// The room between shells: what runs, and what may be opened.

import { button, element, enterRoom, span } from './elements.ts';
import type { SessionId, SessionSummary, Target } from './protocol.ts';
import { ago, targetName } from './words.ts';

export interface Lobby {
  targets: Target[];
  sessions: SessionSummary[];
}

export interface LobbyChoices {
  open(target: Target): void;
  attach(session: SessionSummary): void;
  end(session: SessionSummary): void;
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
  const name = targetName(session.target);
  const age = session.id === viewed ? 'in view here' : `opened ${ago(session.opened, Date.now())}`;
  const open = button('', () => choices.attach(session));
  open.className = 'choice';
  open.append(span(name, 'name'), span(age, 'quiet'), span(session.id, 'quiet id'));
  row.append(open, endButton(name, () => choices.end(session)));
  return row;
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
