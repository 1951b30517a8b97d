// One connection's view of one session, on a channel of its own.

import type { Connection } from './connection.ts';
import type { SessionId, Target, TermSize } from './protocol.ts';
import { Typing } from './typing.ts';

let lastChannel = 0;

export class Viewer {
  readonly channel: number;
  readonly target: Target;
  /** `opening` until the front says `opened`; `over` after `ended`, `refused`, `detach` or a loss. */
  state: 'opening' | 'live' | 'over' = 'opening';
  session: SessionId | undefined;
  #connection: Connection;
  #size: TermSize;
  #typing = new Typing((bytes) => {
    if (this.state === 'live') this.#connection.sendInput(this.channel, bytes);
  });

  /** Asks for a view: of a new session on the target, or of one that is there. */
  constructor(connection: Connection, target: Target, session: SessionId | undefined, size: TermSize) {
    lastChannel = (lastChannel + 1) % 0x10000;
    this.channel = lastChannel;
    this.target = target;
    this.session = session;
    this.#connection = connection;
    this.#size = size;
    const { channel } = this;
    connection.send(
      session === undefined ? { type: 'open', channel, target, size } : { type: 'attach', channel, session, size },
    );
  }

  opened(session: SessionId, size: TermSize): void {
    this.session = session;
    this.state = 'live';
    this.resize(size);
  }

  input(bytes: Uint8Array): void {
    if (this.state === 'live') this.#typing.type(bytes);
  }

  /** Tells the size, unless it is the one that was told last. */
  resize(size: TermSize): void {
    if (this.state !== 'live' || (size.cols === this.#size.cols && size.rows === this.#size.rows)) return;
    this.#size = size;
    this.#connection.send({ type: 'resize', channel: this.channel, size });
  }

  /** The view is over: ended, refused or lost. */
  over(): void {
    this.state = 'over';
    this.#typing.drop();
  }

  /** Looks away. The session goes on. */
  detach(): void {
    if (this.state !== 'over') this.#connection.send({ type: 'detach', channel: this.channel });
    this.over();
  }
}
