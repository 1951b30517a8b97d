// The page's story: the door, the lobby, a shell, and what is said when the way to it is lost.

import type { Connection } from './connection.ts';
import { doorWaits, showDoor } from './door.ts';
import { element, enterRoom } from './elements.ts';
import { makeFind, openFind } from './find.ts';
import { showLobby, type Lobby } from './lobby.ts';
import { logIn, LoginRefused, loginTrouble, type SignedIn } from './login.ts';
import { Loss } from './loss.ts';
import { announce, endNotices, notice } from './notice.ts';
import { hidePanel, panelKey, showPanel } from './panel.ts';
import type { AccountName, EndReason, MachineName, Refusal, SessionId, Target, ToPage } from './protocol.ts';
import { endSentence, needsReload, refusalSentence } from './refusal.ts';
import { makeShare, showSharing, type ShareChoices, type Sharing } from './share.ts';
import { Terminal } from './terminal.ts';
import { makeTouchKeys, withControl } from './touchkeys.ts';
import { Viewer } from './viewer.ts';
import { amount, counted, targetName, windowTitle } from './words.ts';

/** Which session this tab had, so that a reloaded tab has it again. It is a name, not a key. */
const REMEMBERED = 'tere.session';

/** An opening that takes longer than this is worth a word. */
const OPENING_SHOWN_MS = 400;

/** Reports of the mouse and of the focus: nobody typed them. */
const REPORT = /^\x1b\[(?:[IO]$|M|<)/;

function isReport(bytes: Uint8Array): boolean {
  return REPORT.test(String.fromCharCode(...bytes.subarray(0, 3)));
}

export class Page {
  #enrolToken: string | undefined;
  /** Signed in, and not lost. */
  #connection: Connection | undefined;
  /** The way is lost, and somebody may come back. */
  #loss: Loss | undefined;
  #account: AccountName | undefined;
  #lobby: Lobby = { targets: [], sessions: [] };
  #entering = false;
  #terminal: Terminal | undefined;
  #viewer: Viewer | undefined;
  #title = '';
  /** Typed while the way was lost; said once the shell is back. */
  #keysDropped = 0;
  #slowOpening: ReturnType<typeof setTimeout> | undefined;
  #machineWent = false;
  #inputDropped = 0;
  /** Who is in each shell that this connection has viewed, as it was heard last: before `opened` or after it. */
  #company = new Map<SessionId, Sharing>();
  /** Who is in the shell that is in view. */
  #sharing: Sharing | undefined;
  #share: ShareChoices = {
    share: (account, role) => {
      const session = this.#viewer?.session;
      if (session !== undefined) this.#connection?.send({ type: 'share', session, account, role });
    },
    closed: () => this.#terminal?.focus(),
  };

  constructor(enrolToken: string | undefined) {
    this.#enrolToken = enrolToken;
    element('bar-shells').onclick = () => this.#visitLobby();
    makeShare(this.#share);
    window.addEventListener('online', () => this.#wake());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#wake();
    });
    this.#atDoor();
  }

  // The door.

  #atDoor(message?: string): void {
    const trouble = message === undefined ? {} : { message };
    showDoor(
      this.#enrolToken === undefined
        ? {
            text: 'Open a shell with your passkey.',
            label: 'Sign in with a passkey',
            hint: 'New here? Ask whoever runs this host for an enrolment link.',
            ...trouble,
          }
        : {
            text: 'Welcome. Your enrolment link is good for one passkey: it will be your key to this door.',
            label: 'Register a passkey',
            hint: 'Your device asks for its PIN, your finger or your face. The server never sees those.',
            ...trouble,
          },
      () => void this.#knock(),
    );
  }

  async #knock(): Promise<void> {
    doorWaits();
    try {
      this.#enter(await logIn(undefined, this.#enrolToken));
    } catch (error) {
      // A used or broken link stays so; whoever has a passkey can still sign in.
      if (error instanceof LoginRefused && error.refusal === 'link-invalid') this.#enrolToken = undefined;
      this.#atDoor(loginTrouble(error));
    }
  }

  #enter({ connection, account }: SignedIn): void {
    this.#enrolToken = undefined;
    this.#keysDropped = this.#loss?.keysDropped ?? 0;
    this.#loss = undefined;
    if (this.#account !== undefined && this.#account !== account) this.#forget();
    this.#account = account;
    element('bar-account').textContent = account;
    this.#connection = connection;
    this.#entering = true;
    connection.listener = {
      message: (message) => this.#heard(message),
      output: (channel, bytes) => {
        if (channel === this.#viewer?.channel) this.#viewer.output(bytes);
      },
      lost: () => this.#lost(),
    };
    connection.watch();
  }

  /** Somebody else signed in: they do not get to see the screen of the one before. */
  #forget(): void {
    this.#viewer = undefined;
    this.#terminal?.reset();
    this.#title = '';
    sessionStorage.removeItem(REMEMBERED);
  }

  // What the front says.

  #heard(message: ToPage): void {
    switch (message.type) {
      case 'lobby':
        this.#lobby = { targets: message.targets, sessions: message.sessions };
        if (this.#entering) this.#arrive();
        else if (!element('lobby').hidden) this.#inLobby();
        return;
      case 'opened':
        this.#opened(message.channel, message.session);
        return;
      case 'snapshot':
        if (message.channel === this.#viewer?.channel) {
          this.#viewer.snapshot(message.size, message.bytes, message.extent);
        }
        return;
      case 'size':
        if (message.channel === this.#viewer?.channel) this.#terminal?.resize(message.size);
        return;
      case 'input-dropped':
        if (message.channel === this.#viewer?.channel) {
          this.#inputDropped += message.bytes;
          notice('input', `The program is not reading: ${amount(this.#inputDropped)} typed were thrown away.`);
        }
        return;
      case 'ended':
        if (message.channel === this.#viewer?.channel) this.#ended(message.reason);
        return;
      case 'sharing':
        this.#company.set(message.session, message);
        if (message.session === this.#viewer?.session && this.#viewer.state === 'live') this.#shared(message);
        return;
      case 'machine-stopped':
        this.#machineStopped(message.machine);
        return;
      case 'refused':
        this.#refused(message.channel, message.refusal);
        return;
      case 'challenge':
      case 'signed-in':
      case 'pong':
        return;
      default:
        // A newer front may know more; what this page was built for is all here.
        message satisfies never;
    }
  }

  /** Signed in, and told what there is. */
  #arrive(): void {
    this.#entering = false;
    const before = this.#viewer?.state === 'over' && this.#viewer.session ? this.#viewer : undefined;
    const wanted = this.#viewer?.session ?? sessionStorage.getItem(REMEMBERED);
    const there = this.#lobby.sessions.find((session) => session.id === wanted);
    if (there) {
      this.#view(there.target, there.id);
    } else if (before && wanted === sessionStorage.getItem(REMEMBERED)) {
      this.#remember(undefined);
      this.#overPanel('The shell ended while you were away.', before.target);
    } else if (this.#lobby.targets.length === 1 && this.#lobby.targets[0]) {
      this.#view(this.#lobby.targets[0], undefined);
    } else {
      this.#inLobby();
    }
  }

  #opened(channel: number, session: SessionId): void {
    const viewer = this.#viewer;
    const terminal = this.#terminal;
    if (!terminal || channel !== viewer?.channel || viewer.state !== 'opening') {
      this.#connection?.send({ type: 'detach', channel });
      return;
    }
    clearTimeout(this.#slowOpening);
    const isNew = viewer.session === undefined;
    terminal.reset();
    this.#setTitle('');
    this.#inputDropped = 0;
    this.#machineWent = false;
    endNotices();
    viewer.opened(session, terminal.room);
    this.#remember(session);
    hidePanel();
    this.#light('live');
    const sharing = this.#company.get(session);
    if (sharing) this.#shared(sharing);
    announce(`Shell of ${targetName(viewer.target)}`);
    if (this.#keysDropped > 0) {
      const keys = counted(this.#keysDropped, 'keystroke');
      notice('keys', `Not sent, because the connection was lost: ${keys}.`);
      this.#keysDropped = 0;
    }
    const others = this.#lobby.sessions.filter((one) => one.id !== session && one.role === 'owner').length;
    if (isNew && others > 0) notice('others', `${counted(others, 'other shell')} of yours ${others === 1 ? 'is' : 'are'} still running: see Shells.`);
    if (element('lobby').hidden) this.#terminal?.focus();
  }

  /** Who is in the shell has changed. */
  #shared({ people, role, shareable }: Sharing): void {
    const before = this.#sharing;
    this.#sharing = { people, role, shareable };
    showSharing(this.#sharing, this.#share);
    if (!before) return;
    if (before.role === 'watcher' && role === 'writer') notice('role', 'The keyboard is yours too: what you type goes to the shell.');
    if (before.role === 'writer' && role === 'watcher') notice('role', 'You are watching from now on: what you type goes nowhere.');
    const here = (sharing: Sharing) => sharing.people.filter((person) => person.views > 0 && person.account !== this.#account);
    const came = here(this.#sharing).filter((person) => !here(before).some((one) => one.account === person.account));
    if (came.length > 0) announce(`Here now: ${came.map((person) => person.account).join(', ')}`);
  }

  #forgetSharing(): void {
    this.#sharing = undefined;
    showSharing(undefined, this.#share);
  }

  #ended(reason: EndReason): void {
    const viewer = this.#viewer;
    if (!viewer) return;
    viewer.over();
    this.#forgetSharing();
    this.#remember(undefined);
    this.#overPanel(endSentence(this.#machineWent ? 'machine-gone' : reason), viewer.target);
  }

  /** Why the shell ended, which may be heard before its end or after it. */
  #machineStopped(machine: MachineName): void {
    const viewer = this.#viewer;
    if (viewer?.target.machine !== machine) return;
    this.#machineWent = true;
    if (viewer.state === 'over' && this.#connection) this.#overPanel(endSentence('machine-gone'), viewer.target);
  }

  #refused(channel: number | null, refusal: Refusal): void {
    if (needsReload(refusal)) {
      this.#connection?.close();
      this.#connection = undefined;
      this.#mustReload(refusal);
    } else if (channel === null) {
      notice('refused', refusalSentence(refusal));
      this.#connection?.send({ type: 'list' });
    } else if (channel === this.#viewer?.channel) {
      const { target } = this.#viewer;
      this.#viewer.over();
      clearTimeout(this.#slowOpening);
      this.#remember(undefined);
      this.#overPanel(refusalSentence(refusal), target, 'Try again');
    }
  }

  #mustReload(refusal: Refusal): void {
    if (element('shell').hidden) {
      this.#atDoor(refusalSentence(refusal));
      return;
    }
    this.#light('over');
    showPanel({
      title: refusalSentence(refusal),
      detail: 'Your session goes on; sign in again after that.',
      actions: [{ label: 'Reload', run: () => location.reload() }],
    });
  }

  /** The view is over, and its last screen stays in view. */
  #overPanel(title: string, target: Target, label = 'New shell'): void {
    this.#light('over');
    announce(title);
    const others =
      this.#lobby.targets.length > 1 || this.#lobby.sessions.some((session) => session.id !== this.#viewer?.session);
    // A guest saw a shell where it may have none of its own.
    const mayOpen = this.#lobby.targets.some((one) => targetName(one) === targetName(target));
    showPanel({
      title,
      detail: targetName(target),
      actions: [
        ...(mayOpen ? [{ label, run: () => this.#view(target, undefined) }] : []),
        ...(others || !mayOpen ? [{ label: 'Shells', run: () => this.#visitLobby() }] : []),
      ],
      focus: element('shell').hidden ? 'stay' : 'first',
    });
    if (element('shell').hidden) this.#visitLobby();
  }

  // The lobby.

  #visitLobby(): void {
    endNotices();
    this.#connection?.send({ type: 'list' });
    if (this.#connection) this.#inLobby();
  }

  #inLobby(): void {
    const viewer = this.#viewer;
    showLobby(this.#account ?? '', this.#lobby, viewer?.state === 'live' ? viewer.session : undefined, {
      open: (target) => this.#view(target, undefined),
      attach: (session) => {
        if (viewer?.state === 'live' && viewer.session === session.id) this.#backToShell();
        else this.#view(session.target, session.id);
      },
      end: (session) => {
        this.#connection?.send({ type: 'end', session: session.id });
        this.#connection?.send({ type: 'list' });
      },
      name: (session, name) => this.#connection?.send({ type: 'name', session: session.id, name }),
      again: () => this.#connection?.send({ type: 'list' }),
      back: viewer && (() => this.#backToShell()),
    });
  }

  #backToShell(): void {
    enterRoom('shell');
    this.#showTitle();
    this.#terminal?.fit();
    this.#terminal?.focus();
  }

  // A shell.

  /** Opens a new shell on the target, or views the session that is there. */
  #view(target: Target, session: SessionId | undefined): void {
    if (!this.#connection) return;
    this.#viewer?.detach();
    this.#forgetSharing();
    enterRoom('shell');
    hidePanel();
    this.#terminal ??= this.#makeTerminal();
    this.#viewer = new Viewer(this.#connection, target, session, this.#terminal.room, this.#terminal);
    this.#light('opening');
    element('bar-where').textContent = targetName(target);
    this.#setTitle('');
    this.#terminal.focus();
    clearTimeout(this.#slowOpening);
    this.#slowOpening = setTimeout(() => {
      showPanel({ title: `Opening ${targetName(target)}…`, detail: 'The machine may have to start first.', focus: 'stay' });
    }, OPENING_SHOWN_MS);
  }

  #makeTerminal(): Terminal {
    const terminal = new Terminal(element('screen'), {
      input: (bytes) => this.#typed(bytes),
      room: (size) => this.#viewer?.room(size),
      incomplete: () => this.#viewer?.refresh(),
      title: (title) => this.#setTitle(title),
      link: (address) => {
        element('link-address').textContent = address ?? '';
        element('link-address').hidden = address === undefined;
      },
      key: (event) => this.#key(event),
    });
    makeTouchKeys(terminal);
    makeFind(terminal);
    terminal.fitNow();
    return terminal;
  }

  #key(event: KeyboardEvent): boolean {
    if (event.ctrlKey && event.shiftKey && !event.altKey && !event.metaKey) {
      const own = { KeyL: () => this.#visitLobby(), KeyF: openFind }[event.code];
      if (own) {
        event.preventDefault();
        if (event.type === 'keydown') own();
        return true;
      }
    }
    return panelKey(event);
  }

  #typed(bytes: Uint8Array): void {
    if (this.#connection && this.#sharing?.role === 'watcher') {
      if (!isReport(bytes)) notice('watching', 'You are watching: what you type goes nowhere.');
    } else if (this.#connection) {
      this.#viewer?.input(withControl(bytes));
    } else if (!isReport(bytes)) {
      this.#loss?.typed();
    }
  }

  #remember(session: SessionId | undefined): void {
    if (session === undefined) sessionStorage.removeItem(REMEMBERED);
    else sessionStorage.setItem(REMEMBERED, session);
  }

  #setTitle(title: string): void {
    this.#title = title;
    this.#showTitle();
  }

  #showTitle(): void {
    const title = windowTitle(this.#title, this.#viewer?.target);
    element('bar-title').textContent = this.#title === '' ? '' : title.replace(/ · tere$/, '');
    if (!element('shell').hidden) document.title = title;
  }

  #light(state: 'opening' | 'live' | 'over' | 'lost'): void {
    element('bar').dataset['state'] = state;
  }

  // The way is lost.

  #lost(): void {
    const hadShell = this.#viewer !== undefined;
    this.#connection = undefined;
    this.#company.clear();
    this.#entering = false;
    clearTimeout(this.#slowOpening);
    this.#viewer?.over();
    this.#forgetSharing();
    if (!hadShell) {
      this.#atDoor('The connection to the server was lost. Sign in again.');
      return;
    }
    enterRoom('shell');
    this.#light('lost');
    this.#loss = new Loss((signedIn) => this.#enter(signedIn));
    this.#terminal?.focus();
  }

  /** The computer woke, or has a network again: do not wait for the next turn. */
  #wake(): void {
    this.#connection?.ping();
    this.#loss?.wake();
  }
}
