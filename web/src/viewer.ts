// A view of a session on one connection: a stream of kind terminal.

import type { Connection, Stream, StreamMessage } from './connection.ts';
import { Feed, type Screen } from './feed.ts';
import type { EndReason, JsonValue, OpeningStep, Reason, Refusal, SessionId, ShellExit, Target, TermSize, Theme, TouchView } from './protocol.ts';
import { InputQueue } from './inputqueue.ts';

export interface ViewerCallbacks {
  /** A step of the opening has begun. */
  progress(step: OpeningStep): void;
  /** The passkey is to be touched for this view; `touch` takes the answer. */
  touchChallenge(options: JsonValue): void;
  /**
   * The view exists; its first snapshot is on the way. `left` is the time until the session ends,
   * in seconds, or null.
   */
  opened(session: SessionId, left: number | null): void;
  /** The first snapshot is shown. */
  live(): void;
  /** The size of the session has changed. */
  sized(size: TermSize): void;
  /** The page did not send this many typed bytes. */
  dropped(bytes: number): void;
  /** The server did not deliver this many typed bytes. */
  inputDropped(bytes: number): void;
  closed(reason: EndReason, exit: ShellExit | null): void;
  refused(refusal: Refusal): void;
}

/** What is to be viewed. */
export interface Wanted {
  target: Target;
  /** Undefined for a new session. */
  session: SessionId | undefined;
  /** Whether the view takes a touch of the passkey, made for it. */
  touch: boolean;
  /** Why a new session is opened, if the user said so. */
  reason: Reason | null;
}

export class Viewer implements Stream {
  readonly #stream: number;
  readonly target: Target;
  /** Whether the view takes a touch of the passkey. */
  readonly takesTouch: boolean;
  /** Whether the session was opened for this view. */
  readonly isNew: boolean;
  /**
   * `opening` until the first snapshot is shown; `over` after `closed`, `refused`, `leave` or the
   * loss of the connection.
   */
  state: 'opening' | 'live' | 'over' = 'opening';
  session: SessionId | undefined;
  #connection: Connection;
  #callbacks: ViewerCallbacks;
  /** The window's room, as last reported to the server. */
  #room: TermSize;
  /** The session's size, as last received. */
  #size: TermSize | undefined;
  /** Whether another size was requested and none was received since. */
  #asked = false;
  #feed: Feed;
  #typing: InputQueue;
  #theme: Theme;
  /** What the touch is for. */
  readonly #touchView: TouchView | undefined;

  /**
   * Requests a view of a new session on the target, or of an existing session. A view that takes a
   * touch begins with a challenge.
   */
  constructor(
    connection: Connection,
    { target, session, touch, reason }: Wanted,
    { room: size, theme }: { room: TermSize; theme: Theme },
    screen: Screen,
    callbacks: ViewerCallbacks,
  ) {
    this.#callbacks = callbacks;
    const stream = connection.addStream(this);
    this.#stream = stream;
    this.target = target;
    this.takesTouch = touch;
    this.session = session;
    this.isNew = session === undefined;
    this.#connection = connection;
    this.#room = size;
    // The view is live only from its first snapshot on. Before it, the terminal is not in the modes
    // of the session: a paste would not be bracketed.
    const shows: Screen = {
      write: (bytes) => screen.write(bytes),
      show: (size, snapshot, extent) => {
        screen.show(size, snapshot, extent);
        if (this.state !== 'opening') return;
        this.state = 'live';
        callbacks.live();
      },
    };
    this.#typing = new InputQueue({
      send: (bytes) => connection.sendInput(stream, bytes),
      isBehind: () => connection.isBehind,
      dropped: (bytes) => callbacks.dropped(bytes),
    });
    this.#feed = new Feed(shows, (bytes) => connection.send({ type: 'shown', stream, bytes }));
    this.#theme = theme;
    if (touch) {
      this.#touchView = session === undefined ? { open: { target, reason } } : { attach: { session } };
      connection.send({ type: 'step-up', stream });
      return;
    }
    connection.send(
      session === undefined ? { type: 'open', stream, target, size, reason } : { type: 'attach', stream, session, size },
    );
    this.theme(theme);
  }

  /** Answers the challenge for the view. */
  touch(credential: JsonValue): void {
    if (this.state === 'over' || !this.#touchView) return;
    this.#connection.send({ type: 'touch', stream: this.#stream, credential, view: this.#touchView, size: this.#room });
    this.theme(this.#theme);
  }

  message(message: StreamMessage): void {
    if (this.state === 'over') return;
    switch (message.type) {
      case 'progress':
        this.#callbacks.progress(message.step);
        return;
      case 'opened':
        this.session = message.session;
        this.#callbacks.opened(message.session, message.left);
        return;
      case 'touch-challenge':
        this.#callbacks.touchChallenge(message.options);
        return;
      case 'snapshot':
        this.#sized(message.size);
        this.#feed.begin(message.size, message.bytes, message.extent);
        return;
      case 'size':
        this.#sized(message.size);
        this.#callbacks.sized(message.size);
        return;
      case 'input-dropped':
        this.#callbacks.inputDropped(message.bytes);
        return;
      case 'end':
        // No more output follows. The reason comes with `closed`.
        return;
      case 'closed':
        this.over();
        this.#callbacks.closed(message.reason, message.exit);
        return;
      case 'refused':
        this.over();
        this.#callbacks.refused(message.refusal);
        return;
      default:
        // A newer front may send more types; all types that this page was built for are handled
        // above.
        message satisfies never;
    }
  }

  bytes(bytes: Uint8Array): void {
    if (this.state !== 'over') this.#feed.take(bytes);
  }

  #sized(size: TermSize): void {
    this.#size = size;
    this.#asked = false;
  }

  /** Requests the whole scrollback. */
  refresh(): void {
    if (this.state === 'live') this.#connection.send({ type: 'refresh', stream: this.#stream });
  }

  /** Resets the modes of the session's terminal, for every viewer. */
  reset(): void {
    if (this.state === 'live') this.#connection.send({ type: 'reset-terminal', stream: this.#stream });
  }

  /** Reports the colours in which the session is shown here. */
  theme(theme: Theme): void {
    this.#theme = theme;
    if (this.state !== 'over') this.#connection.send({ type: 'theme', stream: this.#stream, theme });
  }

  input(bytes: Uint8Array): void {
    if (this.state === 'live') this.#typing.type(bytes);
  }

  /** Reports the window's room, unless it is unchanged. */
  room(size: TermSize): void {
    if (this.state === 'live' && !same(size, this.#room)) this.#ask(size);
  }

  /**
   * Gives the session the size of this window again, after another window of its owner changed it.
   */
  claim(room: TermSize): void {
    if (this.state === 'live' && !this.#asked && this.#size && !same(this.#size, room)) this.#ask(room);
  }

  #ask(size: TermSize): void {
    this.#asked = true;
    this.#room = size;
    this.#connection.send({ type: 'resize', stream: this.#stream, size });
  }

  /** Ends the view, which was closed, refused, left or lost. */
  over(): void {
    this.state = 'over';
    this.#typing.drop();
    this.#feed.end();
  }

  /** Leaves the view. The session goes on. */
  leave(): void {
    if (this.state !== 'over') this.#connection.closeStream(this.#stream);
    this.over();
  }
}

function same(one: TermSize, other: TermSize): boolean {
  return one.cols === other.cols && one.rows === other.rows;
}
