// The shell section of the page: the terminal, the bar above it, the participants, and what the
// page shows when the view is over.

import { askPaste } from './askpaste.ts';
import { clearAlert, shellShown, tellOf } from './attention.ts';
import { Bar } from './bar.ts';
import type { Alert } from './alerts.ts';
import { Clipboard } from './clipboard.ts';
import { Participants } from './participants.ts';
import type { Connection } from './connection.ts';
import { element, showSection } from './elements.ts';
import { makeFind } from './find.ts';
import { Frame } from './frame.ts';
import { Keyboard } from './keyboard.ts';
import { guardLeaving, makeFullScreen } from './leaving.ts';
import type { Lobby } from './lobby.ts';
import { loginTrouble } from './login.ts';
import { announce, endNotices, notice } from './notice.ts';
import { openingStep, slowOpening } from './opening.ts';
import { showPlace } from './place.ts';
import { afterClose, afterMachineGone, afterRefusal, showOver, type Over } from './over.ts';
import { hidePanel, panelKey, panelStands, showPanel } from './panel.ts';
import { answerChallenge } from './passkey.ts';
import type { AccountName, EndReason, JsonValue, MachineName, OpeningStep, Refusal, SessionId, ShellExit, StopReason, Target, ToPage } from './protocol.ts';
import { refusalSentence } from './refusal.ts';
import { makeReaderSwitch, readerIsOn } from './reader.ts';
import { rememberedSession, rememberSession } from './remembered.ts';
import { makeShare, type ShareCallbacks } from './share.ts';
import { Terminal } from './terminal.ts';
import { makeTouchKeys } from './touchkeys.ts';
import { isOnHost, termsOf } from './terms.ts';
import { askTouch, withdrawTouch } from './touch.ts';
import { Viewer, type Wanted } from './viewer.ts';
import { counted, targetName } from './words.ts';

/** A view that takes longer than this to open is reported in a panel. */
const OPENING_SHOWN_MS = 400;

/** Refusals of what the page did not know that the view takes, or takes no more. */
const TERMS_CHANGED: readonly Refusal[] = ['touch-required', 'no-touch-needed', 'reason-required'];

export interface ShellCallbacks {
  /** The targets and sessions of this account, as last received. */
  lobby(): Lobby;
  /** Takes the user to the lobby. */
  visitLobby(): void;
}

export class Shell {
  #callbacks: ShellCallbacks;
  /** The signed-in connection; undefined while the connection is lost. */
  #connection: Connection | undefined;
  #account: AccountName | undefined;
  #terminal: Terminal | undefined;
  #viewer: Viewer | undefined;
  /** The session whose screen the terminal shows. */
  #onScreen: SessionId | undefined;
  #over: Over | undefined;
  #slowOpening: ReturnType<typeof setTimeout> | undefined;
  #machineWent: { why: StopReason | null } | undefined;
  #bar = new Bar();
  #frame = new Frame();
  #clipboard = new Clipboard(() => this.#terminal?.focus());
  #share: ShareCallbacks = {
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

  constructor(callbacks: ShellCallbacks) {
    this.#callbacks = callbacks;
    element('bar-shells').onclick = () => callbacks.visitLobby();
    element('bar-reset').onclick = () => {
      this.#viewer?.reset();
      this.#terminal?.focus();
    };
    makeShare(this.#share);
    makeReaderSwitch(() => {
      this.#terminal?.readAloud(readerIsOn());
      this.#terminal?.focus();
    });
    makeFullScreen(() => this.#terminal?.focus());
    guardLeaving(() => this.#viewer?.state === 'live' && !element('shell').hidden);
    window.addEventListener('focus', () => this.#claimSize());
    document.addEventListener('visibilitychange', () => this.#claimSize());
  }

  /** The terminal; undefined until a shell was in view. */
  get terminal(): Terminal | undefined {
    return this.#terminal;
  }

  /** Whether this tab has or had a view of a shell. */
  get used(): boolean {
    return this.#viewer !== undefined;
  }

  /** The session of the view, if the view is live. */
  get inView(): SessionId | undefined {
    return this.#viewer?.state === 'live' ? this.#viewer.session : undefined;
  }

  /** The session of this tab, even if the page was reloaded since. */
  get wanted(): SessionId | undefined {
    return this.#viewer?.session ?? rememberedSession();
  }

  /**
   * Takes a signed-in connection. If the account is another one than before, the screen is cleared,
   * because the new account must not see it.
   */
  signedIn(connection: Connection, account: AccountName): void {
    if (this.#account !== undefined && this.#account !== account) {
      this.#viewer = undefined;
      this.#over = undefined;
      this.#frame.hide();
      this.#clipboard.forget();
      this.#clear();
      this.#keyboard.forget();
      rememberSession(undefined);
    }
    this.#connection = connection;
    this.#account = account;
    this.#bar.account(account);
  }

  /** The connection is lost, and the view with it. */
  lost(): void {
    if (this.#viewer?.state === 'live' && this.#connection) this.#keyboard.lost(this.#connection);
    this.#connection = undefined;
    withdrawTouch();
    clearTimeout(this.#slowOpening);
    this.#viewer?.over();
    this.#participants.forget();
    if (!this.#viewer) return;
    showSection('shell');
    this.#bar.status('lost', 'lost');
    this.#terminal?.focus();
  }

  /** Opens a new shell on the target, or views an existing session. Asks first for what that takes. */
  view(target: Target, session: SessionId | undefined): void {
    const terms = termsOf(this.#callbacks.lobby(), target, session);
    const { touch } = terms;
    if (!touch && !terms.reason) {
      this.#view({ target, session, touch, reason: null });
      return;
    }
    askTouch(target, session, terms, {
      go: (reason) => this.#view({ target, session, touch, reason }),
      leave: () => this.#callbacks.visitLobby(),
    });
  }

  #view(wanted: Wanted): void {
    const { target, session } = wanted;
    if (!this.#connection) return;
    this.#viewer?.leave();
    this.#frame.hide();
    // The panel that is hidden now has already reported the unsent input.
    if (this.#over) this.#keyboard.forget();
    this.#over = undefined;
    this.#participants.leave();
    this.#clipboard.forget();
    clearAlert();
    showSection('shell');
    hidePanel();
    this.#terminal ??= this.#makeTerminal();
    this.#viewer = new Viewer(this.#connection, wanted, this.#terminal, this.#terminal, {
      progress: (step) => this.#progress(step),
      touchChallenge: (options) => void this.#touch(options),
      opened: (session, left) => this.#opened(session, left),
      live: () => this.#live(),
      sized: (size) => this.#terminal?.resize(size),
      dropped: (bytes) => this.#keyboard.dropped(bytes),
      inputDropped: (bytes) => this.#keyboard.inputDropped(bytes),
      closed: (reason, exit) => this.#closed(reason, exit),
      refused: (refusal) => this.#refused(refusal),
    });
    this.#bar.where(target);
    if (session === undefined || session !== this.#onScreen) this.#bar.title('');
    this.#bar.status('opening');
    this.#terminal.focus();
    this.#sayIfSlow(target, session);
  }

  #sayIfSlow(target: Target, session: SessionId | undefined): void {
    clearTimeout(this.#slowOpening);
    this.#slowOpening = setTimeout(() => {
      showPanel({ ...slowOpening(target, session), note: this.notSent });
    }, OPENING_SHOWN_MS);
  }

  /** Has the user touch the passkey for a view. */
  async #touch(options: JsonValue): Promise<void> {
    const viewer = this.#viewer;
    if (viewer?.state !== 'opening') return;
    const { target, session } = viewer;
    clearTimeout(this.#slowOpening);
    showPanel({ title: 'Waiting for your passkey…', detail: `For ${targetName(target)}${isOnHost(target) ? ', the host itself' : ''}.`, note: this.notSent });
    try {
      const credential = await answerChallenge('get', options);
      viewer.touch(credential);
      if (this.#viewer === viewer) this.#sayIfSlow(target, session);
    } catch (error) {
      // The user may have gone elsewhere meanwhile.
      if (this.#viewer !== viewer) return;
      viewer.leave();
      this.#sayOver({ title: loginTrouble(error), target, session, label: 'Try again' });
    }
  }

  /** A program alerts. Only the owner of the shell is told. */
  #alerted(alert: Alert): void {
    const viewer = this.#viewer;
    if (viewer?.state !== 'live' || (this.#participants.role ?? 'owner') !== 'owner') return;
    tellOf(alert, targetName(viewer.target), () => this.back());
  }

  /** Returns from the lobby to the shell. */
  back(): void {
    showSection('shell');
    shellShown();
    if (!this.#over) this.#showPlace();
    this.#bar.show();
    this.#terminal?.fit();
    this.#terminal?.focus();
  }

  /**
   * Reports a session again that ended before the connection was lost. Its last screen stays, and
   * no new shell is opened automatically: that might start a machine which was just powered off.
   * Returns false if there is no such session.
   */
  sayOverAgain(): boolean {
    if (!this.#over || this.#over.session !== undefined) return false;
    this.#sayOver(this.#over);
    return true;
  }

  /**
   * Reports that this tab's session ended while the connection was lost. Returns false if this tab
   * had no session.
   */
  endedMeanwhile(): boolean {
    const viewer = this.#viewer;
    if (!viewer || viewer.session === undefined || viewer.session !== rememberedSession()) return false;
    rememberSession(undefined);
    this.#sayOver({ title: 'The shell ended while you were away.', target: viewer.target, label: 'New shell' });
    return true;
  }

  /** Sentences about input that was not sent, or an empty string. */
  get notSent(): string {
    return this.#keyboard.notSent;
  }

  /** A sentence about the shell, shown while nobody is signed in. */
  get meanwhile(): string {
    return this.#over?.title ?? 'Your shell goes on without you.';
  }

  /** Asks the user to reload the page, because nothing else helps. */
  mustReload(refusal: Refusal): void {
    this.#connection = undefined;
    this.#bar.status('over');
    showPanel({
      title: refusalSentence(refusal),
      detail: 'Your session goes on; sign in again after that.',
      actions: [{ label: 'Reload', run: () => location.reload() }],
    });
  }

  // Messages from the front.

  /** Shows in the bar whether the server answers. Input is still sent while it does not. */
  responsiveness(responsiveness: 'unresponsive' | 'responsive'): void {
    if (this.#viewer?.state === 'live') this.#bar.status(responsiveness === 'unresponsive' ? 'unresponsive' : 'live');
  }

  heard(message: ToPage): void {
    switch (message.type) {
      case 'sharing':
        this.#participants.heard(message.session, message);
        return;
      case 'machine-stopped':
        this.#machineStopped(message.machine, message.why);
        return;
      default:
        // All other types are handled by the page, the login or a stream.
        return;
    }
  }

  /** The machine is not ready yet: shows which step has begun. */
  #progress(step: OpeningStep): void {
    const viewer = this.#viewer;
    if (viewer?.state !== 'opening') return;
    clearTimeout(this.#slowOpening);
    showPanel({ ...openingStep(viewer.target, step), note: this.notSent });
  }

  #opened(session: SessionId, left: number | null): void {
    if (this.#viewer) this.#frame.show(left, isOnHost(this.#viewer.target));
    rememberSession(session);
    // The last screen of the same session stays until there is a newer one: a large scrollback
    // takes time.
    if (session !== this.#onScreen) this.#clear();
    this.#onScreen = session;
    this.#keyboard.begin();
    this.#machineWent = undefined;
  }

  /** The screen is shown and in the modes of the session: from now on, input is accepted. */
  #live(): void {
    const viewer = this.#viewer;
    const terminal = this.#terminal;
    if (!terminal || viewer?.session === undefined) return;
    const { session, target, isNew } = viewer;
    clearTimeout(this.#slowOpening);
    endNotices();
    this.#showPlace();
    viewer.room(terminal.room);
    hidePanel();
    this.#bar.status('live');
    this.#participants.enter(session, this.#account);
    announce(`Shell of ${targetName(target)}`);
    this.#keyboard.live();
    const others = this.#callbacks.lobby().sessions.filter((one) => one.id !== session && one.role === 'owner').length;
    if (isNew && others > 0) notice('others', `${counted(others, 'other shell')} of yours ${others === 1 ? 'is' : 'are'} still running: see Shells.`);
    if (element('lobby').hidden) terminal.focus();
  }

  /** Shows the target in view in the address bar, unless no link leads there. */
  #showPlace(): void {
    showPlace(this.#viewer?.takesTouch ? undefined : this.#viewer?.target);
  }

  /** Clears the screen, so that nothing of it is visible any more. */
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
    this.#frame.hide();
    this.#bar.progress(undefined);
    // The policy has changed: what another view takes may have changed too.
    if (reason === 'view-closed') this.#connection?.send({ type: 'list' });
    const gone = this.#machineWent;
    const over = gone ? afterMachineGone(viewer.target, gone.why) : afterClose(viewer, reason, exit);
    if (over.session === undefined) rememberSession(undefined);
    this.#sayOver(over);
  }

  /**
   * Records why the shell ended. The message may arrive before the end of the shell or after it.
   */
  #machineStopped(machine: MachineName, why: StopReason | null): void {
    const viewer = this.#viewer;
    if (viewer?.target.machine !== machine) return;
    this.#machineWent = { why };
    if (!this.#over || this.#over.label === 'Try again') return;
    this.#sayOver(afterMachineGone(viewer.target, why));
  }

  #refused(refusal: Refusal): void {
    const viewer = this.#viewer;
    if (!viewer) return;
    clearTimeout(this.#slowOpening);
    const over = afterRefusal(viewer, refusal);
    // The policy has changed since the list came: the next attempt asks for what it demands now.
    if (TERMS_CHANGED.includes(refusal)) this.#connection?.send({ type: 'list' });
    if (viewer.session !== undefined && over.session === undefined) rememberSession(undefined);
    this.#sayOver(over);
  }

  /** Reports that the view is over. Its last screen stays visible. */
  #sayOver(over: Over): void {
    this.#over = over;
    this.#bar.status('over', over.label === 'Try again' ? 'not open' : 'ended');
    announce(over.title);
    showOver(over, this.#viewer?.session, this.notSent, this.#callbacks.lobby(), {
      view: (target, session) => this.view(target, session),
      visitLobby: () => this.#callbacks.visitLobby(),
    });
    if (element('shell').hidden) this.#callbacks.visitLobby();
  }

  // The terminal and the bar.

  #makeTerminal(): Terminal {
    const terminal = new Terminal(element('screen'), {
      input: (bytes) => this.#keyboard.typed(bytes),
      room: (size) => this.#viewer?.room(size),
      incomplete: () => this.#viewer?.refresh(),
      title: (title) => this.#bar.title(title),
      theme: (theme) => this.#viewer?.theme(theme),
      alerted: (alert) => this.#alerted(alert),
      progress: (progress) => this.#bar.progress(progress),
      link: (address) => {
        element('link-address').textContent = address ?? '';
        element('link-address').hidden = address === undefined;
      },
      copied: (copy) => {
        const viewer = this.#viewer;
        if (viewer?.state === 'live' && this.#account !== undefined) this.#clipboard.copied(copy, this.#account, viewer.target.machine);
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

  /**
   * The owner uses this window now: restores the session's size, which a phone may have changed.
   */
  #claimSize(): void {
    if (document.hidden || element('shell').hidden || !this.#terminal) return;
    // Only the owner sets the size. A role that is not known yet is the owner's, or the request has
    // no effect.
    if (this.#participants.role === undefined || this.#participants.role === 'owner') this.#viewer?.claim(this.#terminal.room);
  }
}
