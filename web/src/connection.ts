// One WebSocket to the front, from its opening to its loss. It never comes back to life: an account is signed in on one
// connection, and a new one begins with nothing. What comes for a stream goes to that stream at once.

import { frames, readFrame, SENT_AT_UNKNOWN } from './frames.ts';
import type { FromPage, Refusal, ToPage } from './protocol.ts';
import { isReport } from './reports.ts';
import { Tally } from './tally.ts';

export const SUBPROTOCOL = 'tere-2';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 30_000;
const OPEN_WITHIN_MS = 15_000;

/**
 * A person who types wants to know at once. If nothing was heard for this long, or is heard for this long after a key,
 * the server is asked for a sign of life; after a while without one the person is told that it is awaited, and in the
 * end the connection counts as lost. The server drops input that reaches it later than that (`INPUT_PATIENCE`).
 */
const QUIET_MS = 2_000;
const AWAITED_MS = 1_000;
const ANSWER_WITHIN_MS = 8_000;

/** Most bytes that wait in the socket for the network. What is typed on top waits its turn, or is not sent. */
const BACKLOG_MAX = 64 * 1024;

/** A message about one stream. */
export type StreamMessage = Extract<ToPage, { stream: number }> | { type: 'refused'; stream: number; refusal: Refusal };

/** A stream of the connection: it takes what comes for it. */
export interface Stream {
  message(message: StreamMessage): void;
  bytes(bytes: Uint8Array): void;
}

/** Hears what comes over a connection and is not a stream's. */
export interface Listener {
  message(message: ToPage): void;
  /** Somebody types, and the server gives no sign of life; or it gives one again. */
  pulse(pulse: 'awaited' | 'there'): void;
  /** Said once. Nothing comes after it. */
  lost(): void;
}

/** The connection is gone, or was never made. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The server is there, but no WebSocket reaches it: a proxy in between drops the `Upgrade` header. */
export class UpgradeDropped extends ConnectionLost {}

/** Why a WebSocket could not be opened. The front answers a plain request for its address with 426. */
export async function whyNotOpen(): Promise<ConnectionLost> {
  try {
    const answer = await fetch('/ws', { cache: 'no-store', signal: AbortSignal.timeout(OPEN_WITHIN_MS) });
    if (answer.status === 426) return new UpgradeDropped('A proxy drops the header Upgrade.');
  } catch {
    // Nothing is there.
  }
  return new ConnectionLost('The server does not answer.');
}

export class Connection {
  /** Nobody, until somebody listens. */
  listener: Listener | undefined;
  #socket: WebSocket;
  /** Typed since the server was heard last: it may not have arrived. */
  readonly unanswered = new Tally();
  #lost = false;
  #streams = new Map<number, Stream>();
  #lastStream = 0;
  /** The front's clock, milliseconds, and when it was heard on the page's. */
  #clock: { at: number; heardAt: number } | undefined;
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #heardAt = Date.now();
  #awaiting: ReturnType<typeof setTimeout> | undefined;
  #isAwaited = false;
  #pinging: ReturnType<typeof setInterval> | undefined;
  #pongDeadline: ReturnType<typeof setTimeout> | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = (event) => this.#heard(event.data);
    socket.onclose = () => this.#lose();
    socket.onerror = () => this.#lose();
    window.addEventListener('offline', this.#offline);
  }

  /** Opens a WebSocket to where the page came from. An attempt that is given up fails at once. */
  static open(givenUp?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const url = address();
      const socket = new WebSocket(url, SUBPROTOCOL);
      socket.binaryType = 'arraybuffer';
      const failed = () => {
        clearTimeout(deadline);
        givenUp?.removeEventListener('abort', failed);
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(new ConnectionLost('The server does not answer.'));
      };
      const deadline = setTimeout(failed, OPEN_WITHIN_MS);
      givenUp?.addEventListener('abort', failed);
      socket.onclose = failed;
      socket.onopen = () => {
        clearTimeout(deadline);
        givenUp?.removeEventListener('abort', failed);
        resolve(new Connection(socket));
      };
    });
  }

  get lost(): boolean {
    return this.#lost;
  }

  send(message: FromPage): void {
    if (!this.#lost) this.#socket.send(JSON.stringify(message));
  }

  /** Whether the network is behind: what is typed now would only wait in the socket. */
  get isBehind(): boolean {
    return this.#socket.bufferedAmount >= BACKLOG_MAX;
  }

  /** Gives a stream its number. What comes for it goes to it from now on, until it is closed or refused. */
  addStream(stream: Stream): number {
    do this.#lastStream = (this.#lastStream + 1) % 0x10000;
    while (this.#streams.has(this.#lastStream));
    this.#streams.set(this.#lastStream, stream);
    return this.#lastStream;
  }

  /** Leaves a stream. Input that was sent before is delivered; nothing more comes. */
  closeStream(stream: number): void {
    if (this.#streams.delete(stream)) this.send({ type: 'close', stream });
  }

  /** Sends typed bytes. On a lost connection they are gone. */
  sendInput(stream: number, bytes: Uint8Array): void {
    if (this.#lost) return;
    for (const frame of frames(stream, this.#frontTime(), bytes)) this.#socket.send(frame);
    if (!isReport(bytes)) this.unanswered.add(bytes);
    if (Date.now() - this.#heardAt > QUIET_MS) this.#askNow();
    else this.#quiet ??= setTimeout(() => this.#askNow(), QUIET_MS);
  }

  /** From now on a connection that gives no sign of life for 30 s counts as lost. Its first ping asks for the clock. */
  watch(): void {
    if (this.#pinging !== undefined) return;
    this.#pinging = setInterval(() => this.ping(), PING_EVERY_MS);
    this.ping();
  }

  /** Asks for a sign of life now, say after the computer slept. */
  ping(): void {
    if (this.#lost || this.#pinging === undefined) return;
    this.send({ type: 'ping' });
    this.#pongDeadline ??= setTimeout(() => this.#lose(), PONG_WITHIN_MS);
  }

  /** Ends the connection. Its listener hears no more. */
  close(): void {
    this.listener = undefined;
    this.#lose();
  }

  /** What the front's clock says now, as far as is known here. */
  #frontTime(): number {
    if (this.#clock === undefined) return SENT_AT_UNKNOWN;
    return (this.#clock.at + Math.round(performance.now() - this.#clock.heardAt)) % SENT_AT_UNKNOWN;
  }

  /** A connection can be half open: this end believes in it, and the other is not there. */
  #askNow(): void {
    if (this.#awaiting !== undefined || this.#pinging === undefined) return;
    this.send({ type: 'ping' });
    this.#awaiting = setTimeout(() => {
      this.#isAwaited = true;
      this.#awaiting = setTimeout(() => this.#lose(), ANSWER_WITHIN_MS - AWAITED_MS);
      this.listener?.pulse('awaited');
    }, AWAITED_MS);
  }

  #heard(data: unknown): void {
    clearTimeout(this.#pongDeadline);
    this.#pongDeadline = undefined;
    this.#heardAt = Date.now();
    this.unanswered.clear();
    clearTimeout(this.#awaiting);
    this.#awaiting = undefined;
    clearTimeout(this.#quiet);
    this.#quiet = undefined;
    if (this.#isAwaited) {
      this.#isAwaited = false;
      this.listener?.pulse('there');
    }
    if (data instanceof ArrayBuffer) {
      const frame = readFrame(data);
      if (frame) this.#streams.get(frame.stream)?.bytes(frame.bytes);
    } else if (typeof data === 'string') {
      this.#take(JSON.parse(data) as ToPage);
    }
  }

  #take(message: ToPage): void {
    if (message.type === 'pong') {
      this.#clock = { at: message.at, heardAt: performance.now() };
    } else if ('stream' in message && message.stream !== null) {
      const about = message as StreamMessage;
      const stream = this.#streams.get(about.stream);
      if (about.type === 'closed' || about.type === 'refused') this.#streams.delete(about.stream);
      stream?.message(about);
    } else {
      this.listener?.message(message);
    }
  }

  /** A page from this very computer does not need the network. */
  #offline = (): void => {
    if (!['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)) this.#lose();
  };

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    clearInterval(this.#pinging);
    clearTimeout(this.#pongDeadline);
    clearTimeout(this.#awaiting);
    clearTimeout(this.#quiet);
    this.#streams.clear();
    window.removeEventListener('offline', this.#offline);
    const socket = this.#socket;
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    this.listener?.lost();
  }
}

function address(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
}
