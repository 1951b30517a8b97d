// One connection's view of one session, on a channel of its own.

import type { Connection } from './connection.ts';
import { Feed, type Screen } from './feed.ts';
import type { Extent, SessionId, Target, TermSize } from './protocol.ts';
import { Typing } from './typing.ts';

let lastChannel = 0;

export interface ViewerEvents {
  /** Its first snapshot is shown. */
  live(): void;
  /** So many typed bytes do not go out. */
  dropped(bytes: number): void;
}

export class Viewer {
  readonly channel: number;
  readonly target: Target;
  /** Of a session that was opened for it. */
  readonly isNew: boolean;
  /** `opening` until its first snapshot is shown; `over` after `ended`, `refused`, `detach` or a loss. */
  state: 'opening' | 'live' | 'over' = 'opening';
  session: SessionId | undefined;
  #connection: Connection;
  /** What the window has room for, as it was told last. */
  #room: TermSize;
  /** The session's size, as it was heard last. */
  #size: TermSize | undefined;
  /** Another was asked for, and nothing has been heard since. */
  #asked = false;
  #feed: Feed;
  #typing: Typing;

  /** Asks for a view: of a new session on the target, or of one that is there. */
  constructor(
    connection: Connection,
    target: Target,
    session: SessionId | undefined,
    size: TermSize,
    screen: Screen,
    events: ViewerEvents,
  ) {
    lastChannel = (lastChannel + 1) % 0x10000;
    this.channel = lastChannel;
    this.target = target;
    this.session = session;
    this.isNew = session === undefined;
    this.#connection = connection;
    this.#room = size;
    const { channel } = this;
    // Before its first snapshot the terminal is not in the modes of the session: a paste would not be bracketed.
    const shows: Screen = {
      write: (bytes) => screen.write(bytes),
      show: (size, snapshot, extent) => {
        screen.show(size, snapshot, extent);
        if (this.state !== 'opening') return;
        this.state = 'live';
        events.live();
      },
    };
    this.#typing = new Typing({
      send: (bytes) => connection.sendInput(channel, bytes),
      isBehind: () => connection.isBehind,
      dropped: (bytes) => events.dropped(bytes),
    });
    this.#feed = new Feed(shows, (bytes) => connection.send({ type: 'shown', channel, bytes }));
    connection.send(
      session === undefined ? { type: 'open', channel, target, size } : { type: 'attach', channel, session, size },
    );
  }

  /** The next bytes are a snapshot. */
  snapshot(size: TermSize, bytes: number, extent: Extent): void {
    if (this.state === 'over') return;
    this.sized(size);
    this.#feed.begin(size, bytes, extent);
  }

  /** The session has this size now. */
  sized(size: TermSize): void {
    this.#size = size;
    this.#asked = false;
  }

  output(bytes: Uint8Array): void {
    if (this.state !== 'over') this.#feed.take(bytes);
  }

  /** Asks for the whole history. */
  refresh(): void {
    if (this.state === 'live') this.#connection.send({ type: 'refresh', channel: this.channel });
  }

  input(bytes: Uint8Array): void {
    if (this.state === 'live') this.#typing.type(bytes);
  }

  /** Tells what the window has room for, unless it was told last. */
  room(size: TermSize): void {
    if (this.state === 'live' && !same(size, this.#room)) this.#ask(size);
  }

  /** Gives the session the size of this window again, where another window of its owner has given it another. */
  claim(room: TermSize): void {
    if (this.state === 'live' && !this.#asked && this.#size && !same(this.#size, room)) this.#ask(room);
  }

  #ask(size: TermSize): void {
    this.#asked = true;
    this.#room = size;
    this.#connection.send({ type: 'resize', channel: this.channel, size });
  }

  /** The view is over: ended, refused or lost. */
  over(): void {
    this.state = 'over';
    this.#typing.drop();
    this.#feed.end();
  }

  /** Looks away. The session goes on. */
  detach(): void {
    if (this.state !== 'over') this.#connection.send({ type: 'detach', channel: this.channel });
    this.over();
  }
}

function same(one: TermSize, other: TermSize): boolean {
  return one.cols === other.cols && one.rows === other.rows;
}
