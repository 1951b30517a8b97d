// The room of a shell: the terminal, the bar above it, who else is there, and what is said when the
// view of it is over.

import { askPaste } from './askpaste.ts';
import { Bar } from './bar.ts';
import { Participants } from './participants.ts';
import type { Connection } from './connection.ts';
import { element, enterRoom } from './elements.ts';
import { makeFind, openFind } from './find.ts';
import { Keyboard } from './keyboard.ts';
import { ownKey } from './keys.ts';
import { guardLeaving, makeFullScreen } from './leaving.ts';
import type { Lobby } from './lobby.ts';
import { announce, endNotices, notice } from './notice.ts';
import { afterClose, afterRefusal, showOver, type Over } from './over.ts';
import { hidePanel, panelKey, panelStands, showPanel } from './panel.ts';
import type { AccountName, EndReason, MachineName, Refusal, SessionId, ShellExit, Target, ToPage } from './protocol.ts';
import { endSentence, refusalSentence } from './refusal.ts';
import { makeReaderSwitch, readerIsOn } from './reader.ts';
import { rememberedSession, rememberSession } from './remembered.ts';
import { makeShare, openShare, type ShareChoices } from './share.ts';
import { Terminal } from './terminal.ts';
import { makeTouchKeys } from './touchkeys.ts';
import { Viewer } from './viewer.ts';
import { counted, targetName } from './words.ts';

/** An opening that takes longer than this is worth a word. */
const OPENING_SHOWN_MS = 400;

export interface ShellEvents {
  /** What this account may open and has, as it was heard last. */
  lobby(): Lobby;
  /** Somebody wants to go there. */
  visitLobby(): void;
}

export class Shell {
  #events: ShellEvents;
  /** Of the account that is signed in, while the way is not lost. */
  #connection: Connection | undefined;
  #account: AccountName | undefined;
  #terminal: Terminal | undefined;
  #viewer: Viewer | undefined;
  /** The session whose screen the terminal has. */
  #onScreen: SessionId | undefined;
  #over: Over | undefined;
  #slowOpening: ReturnType<typeof setTimeout> | undefined;
  #machineWent = false;
  #bar = new Bar();
  #share: ShareChoices = {
    share: (account, role) => {
      const session = this.#viewer?.session;
      if (session !== undefined) this.#connection?.send({ type: 'share', session, account, role });
    },
    closed: () => this.#terminal?.focus(),
  };
  #participants = new Participants(this.#share);
  #keyboard = new Keyboard({
    viewer: () => this.#viewer,
    role: () => this.#participants.role,
    used: () => this.#claimSize(),
  });

  constructor(events: ShellEvents) {
    this.#events = events;
    element('bar-shells').onclick = () => events.visitLobby();
    element('bar-reset').onclick = () => {
      this.#viewer?.reset();
      this.#terminal?.focus();
    };
    makeShare(this.#share);
    makeReaderSwitch(() => {
      this.#terminal?.readAloud(readerIsOn());
      this.#terminal?.focus();
    });
    // Wherever the keyboard is, and before the terminal has the key.
    window.addEventListener('keydown', (event) => this.#ownKey(event), { capture: true });
    makeFullScreen(() => this.#terminal?.focus());
    guardLeaving(() => this.#viewer?.state === 'live' && !element('shell').hidden);
    window.addEventListener('focus', () => this.#claimSize());
    document.addEventListener('visibilitychange', () => this.#claimSize());
  }

  /** Whether this tab has shown a shell, which may be over. */
  get used(): boolean {
    return this.#viewer !== undefined;
  }

  /** The session that is in view. */
  get inView(): SessionId | undefined {
    return this.#viewer?.state === 'live' ? this.#viewer.session : undefined;
  }

  /** The session that this tab had, also before it was reloaded. */
  get wanted(): SessionId | undefined {
    return this.#viewer?.session ?? rememberedSession();
  }

  /** Somebody is signed in. Somebody else does not get to see the screen of the one before. */
  signedIn(connection: Connection, account: AccountName): void {
    if (this.#account !== undefined && this.#account !== account) {
      this.#viewer = undefined;
      this.#over = undefined;
      this.#clear();
      this.#keyboard.forget();
      rememberSession(undefined);
    }
    this.#connection = connection;
    this.#account = account;
    this.#bar.account(account);
  }

  /** The way is lost, and the view with it. */
  lost(): void {
    if (this.#viewer?.state === 'live' && this.#connection) this.#keyboard.lost(this.#connection);
    this.#connection = undefined;
    clearTimeout(this.#slowOpening);
    this.#viewer?.over();
    this.#participants.forget();
    if (!this.#viewer) return;
    enterRoom('shell');
    this.#bar.light('lost', 'lost');
    this.#terminal?.focus();
  }

  /** Opens a new shell on the target, or views the session that is there. */
  view(target: Target, session: SessionId | undefined): void {
    if (!this.#connection) return;
    this.#viewer?.leave();
    // That was said in the panel which goes now.
    if (this.#over) this.#keyboard.forget();
    this.#over = undefined;
    this.#participants.leave();
    enterRoom('shell');
    hidePanel();
    this.#terminal ??= this.#makeTerminal();
    this.#viewer = new Viewer(this.#connection, target, session, this.#terminal, this.#terminal, {
      opened: (session) => this.#opened(session),
      live: () => this.#live(),
      sized: (size) => this.#terminal?.resize(size),
      dropped: (bytes) => this.#keyboard.dropped(bytes),
      inputDropped: (bytes) => this.#keyboard.inputDropped(bytes),
      closed: (reason, exit) => this.#closed(reason, exit),
      refused: (refusal) => this.#refused(refusal),
    });
    this.#bar.where(target);
    if (session === undefined || session !== this.#onScreen) this.#bar.title('');
    this.#bar.light('opening');
    this.#terminal.focus();
    clearTimeout(this.#slowOpening);
    this.#slowOpening = setTimeout(() => {
      showPanel({
        title: `Opening ${targetName(target)}…`,
        detail: session === undefined ? 'The machine may have to start first.' : 'Its screen is on the way.',
        note: this.notSent,
      });
    }, OPENING_SHOWN_MS);
  }

  /** From the lobby to what was in view. */
  back(): void {
    enterRoom('shell');
    this.#bar.show();
    this.#terminal?.fit();
    this.#terminal?.focus();
  }

  /**
   * What was over before the way was lost still is. Its last screen stays, and nothing is opened by itself: that might
   * start a machine which somebody has just powered off. False if there is nothing of the kind to say.
   */
  sayOverAgain(): boolean {
    if (!this.#over || this.#over.session !== undefined) return false;
    this.#sayOver(this.#over);
    return true;
  }

  /** The session that this tab had is not there any more. False if this tab did not have one. */
  endedMeanwhile(): boolean {
    const viewer = this.#viewer;
    if (!viewer || viewer.session === undefined || viewer.session !== rememberedSession()) return false;
    rememberSession(undefined);
    this.#sayOver({ title: 'The shell ended while you were away.', target: viewer.target, label: 'New shell' });
    return true;
  }

  /** What was typed in vain, as a sentence or two, or nothing. */
  get notSent(): string {
    return this.#keyboard.notSent;
  }

  /** What goes on, or does not, while nobody is signed in. */
  get meanwhile(): string {
    return this.#over?.title ?? 'Your shell goes on without you.';
  }

  /** Nothing but a fresh page helps. */
  mustReload(refusal: Refusal): void {
    this.#connection = undefined;
    this.#bar.light('over');
    showPanel({
      title: refusalSentence(refusal),
      detail: 'Your session goes on; sign in again after that.',
      actions: [{ label: 'Reload', run: () => location.reload() }],
    });
  }

  // What the front says.

  /** A server that is slow to answer is said to be; keys still go to it. */
  pulse(pulse: 'awaited' | 'there'): void {
    if (this.#viewer?.state === 'live') this.#bar.light(pulse === 'awaited' ? 'awaited' : 'live');
  }

  heard(message: ToPage): void {
    switch (message.type) {
      case 'sharing':
        this.#participants.heard(message.session, message);
        return;
      case 'machine-stopped':
        this.#machineStopped(message.machine);
        return;
      default:
        // The rest is the page's, the login's or a stream's.
        return;
    }
  }

  #opened(session: SessionId): void {
    rememberSession(session);
    // The screen of the session itself stays until there is a newer one: a large scrollback takes its time.
    if (session !== this.#onScreen) this.#clear();
    this.#onScreen = session;
    this.#keyboard.begin();
    this.#machineWent = false;
  }

  /** The screen is there, and in the modes of the session: from now on keys are taken. */
  #live(): void {
    const viewer = this.#viewer;
    const terminal = this.#terminal;
    if (!terminal || viewer?.session === undefined) return;
    const { session, target, isNew } = viewer;
    clearTimeout(this.#slowOpening);
    endNotices();
    viewer.room(terminal.room);
    hidePanel();
    this.#bar.light('live');
    this.#participants.enter(session, this.#account);
    announce(`Shell of ${targetName(target)}`);
    this.#keyboard.live();
    const others = this.#events.lobby().sessions.filter((one) => one.id !== session && one.role === 'owner').length;
    if (isNew && others > 0) notice('others', `${counted(others, 'other shell')} of yours ${others === 1 ? 'is' : 'are'} still running: see Shells.`);
    if (element('lobby').hidden) terminal.focus();
  }

  /** Nothing of what was on the screen is to be seen any more. */
  #clear(): void {
    this.#terminal?.reset();
    this.#onScreen = undefined;
    this.#bar.title('');
  }

  #closed(reason: EndReason, exit: ShellExit | null): void {
    const viewer = this.#viewer;
    if (!viewer) return;
    this.#keyboard.forget();
    this.#participants.leave();
    const over = afterClose(viewer, this.#machineWent ? 'machine-gone' : reason, exit);
    if (over.session === undefined) rememberSession(undefined);
    this.#sayOver(over);
  }

  /** Why the shell ended, which may be heard before its end or after it. */
  #machineStopped(machine: MachineName): void {
    const viewer = this.#viewer;
    if (viewer?.target.machine !== machine) return;
    this.#machineWent = true;
    if (!this.#over || this.#over.label === 'Try again') return;
    this.#sayOver({ ...this.#over, title: endSentence('machine-gone') });
  }

  #refused(refusal: Refusal): void {
    const viewer = this.#viewer;
    if (!viewer) return;
    clearTimeout(this.#slowOpening);
    const over = afterRefusal(viewer, refusal);
    if (viewer.session !== undefined && over.session === undefined) rememberSession(undefined);
    this.#sayOver(over);
  }

  /** The view is over, and its last screen stays in view. */
  #sayOver(over: Over): void {
    this.#over = over;
    this.#bar.light('over', over.label === 'New shell' ? 'ended' : 'not open');
    announce(over.title);
    showOver(over, this.#viewer?.session, this.notSent, this.#events.lobby(), {
      view: (target, session) => this.view(target, session),
      visitLobby: () => this.#events.visitLobby(),
    });
    if (element('shell').hidden) this.#events.visitLobby();
  }

  // The terminal and the bar.

  #makeTerminal(): Terminal {
    const terminal = new Terminal(element('screen'), {
      input: (bytes) => this.#keyboard.typed(bytes),
      room: (size) => this.#viewer?.room(size),
      incomplete: () => this.#viewer?.refresh(),
      title: (title) => this.#bar.title(title),
      theme: (theme) => this.#viewer?.theme(theme),
      link: (address) => {
        element('link-address').textContent = address ?? '';
        element('link-address').hidden = address === undefined;
      },
      key: panelKey,
      takesLines: (lines, tooLong, paste) => {
        if (this.#viewer?.state === 'live') askPaste(lines, tooLong, paste, () => this.#terminal?.focus());
        else paste();
      },
      givesWay: panelStands,
    });
    terminal.readAloud(readerIsOn());
    makeTouchKeys(terminal);
    makeFind(terminal);
    terminal.fitNow();
    return terminal;
  }

  #ownKey(event: KeyboardEvent): void {
    const key = element('shell').hidden ? undefined : ownKey(event);
    if (key !== 'shells' && key !== 'find' && key !== 'share') return;
    event.preventDefault();
    event.stopPropagation();
    if (key === 'shells') this.#events.visitLobby();
    else if (key === 'find') openFind();
    else if (!openShare()) notice('share', 'Only its owner shares a shell, where the policy lets it be shared.');
  }

  /** The owner is at this window now: what a phone made of the session's size is over. */
  #claimSize(): void {
    if (document.hidden || element('shell').hidden || !this.#terminal) return;
    // Nobody else sets it, and a role that is not heard yet is the owner's or makes no difference.
    if (this.#participants.role === undefined || this.#participants.role === 'owner') this.#viewer?.claim(this.#terminal.room);
  }
}
