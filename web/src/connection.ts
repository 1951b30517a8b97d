// One WebSocket to the front, from its opening to its loss. It never comes back to life: who was
// signed in on it was signed in on it alone. A new one begins with nothing.

import { frames, readFrame } from './frames.ts';
import type { FromPage, ToPage } from './protocol.ts';
import { isReport } from './reports.ts';
import { Tally } from './tally.ts';

export const SUBPROTOCOL = 'tere-1';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 30_000;
const OPEN_WITHIN_MS = 15_000;

/**
 * Whoever types wants to know at once. Where nothing was heard for this long, a key asks for a sign of life; after a
 * while without one the person is told that it is awaited, and in the end the connection counts as lost.
 */
const QUIET_MS = 2_000;
const AWAITED_MS = 1_000;
const ANSWER_WITHIN_MS = 8_000;

/** Most bytes that wait in the socket for the network. What is typed on top waits its turn, or is not sent. */
const BACKLOG_MAX = 64 * 1024;

/** Who hears what comes over a connection. */
export interface Listener {
  message(message: ToPage): void;
  output(channel: number, bytes: Uint8Array): void;
  /** Somebody types, and the server gives no sign of life; or it gives one again. */
  pulse(pulse: 'awaited' | 'there'): void;
  /** Said once. Nothing comes after it. */
  lost(): void;
}

/** The connection is gone, or was never made. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export class Connection {
  /** Nobody, until somebody listens. */
  listener: Listener | undefined;
  #socket: WebSocket;
  /** Typed since the server was heard last: it may not have arrived. */
  readonly unanswered = new Tally();
  #lost = false;
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

  /** Opens a WebSocket to where the page came from. */
  static open(url = address()): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, SUBPROTOCOL);
      socket.binaryType = 'arraybuffer';
      const failed = () => {
        clearTimeout(deadline);
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(new ConnectionLost('The server does not answer.'));
      };
      const deadline = setTimeout(failed, OPEN_WITHIN_MS);
      socket.onclose = failed;
      socket.onopen = () => {
        clearTimeout(deadline);
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

  /** Sends typed bytes. On a lost connection they are gone. */
  sendInput(channel: number, bytes: Uint8Array): void {
    if (this.#lost) return;
    for (const frame of frames(channel, bytes)) this.#socket.send(frame);
    if (!isReport(bytes)) this.unanswered.add(bytes);
    if (Date.now() - this.#heardAt > QUIET_MS) this.#askNow();
  }

  /** From now on a connection that gives no sign of life for 30 s counts as lost. */
  watch(): void {
    this.#pinging ??= setInterval(() => this.ping(), PING_EVERY_MS);
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
    if (this.#isAwaited) {
      this.#isAwaited = false;
      this.listener?.pulse('there');
    }
    if (data instanceof ArrayBuffer) {
      const frame = readFrame(data);
      if (frame) this.listener?.output(frame.channel, frame.bytes);
    } else if (typeof data === 'string') {
      const message = JSON.parse(data) as ToPage;
      if (message.type !== 'pong') this.listener?.message(message);
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
