// One WebSocket to the front, from its opening to its loss. It never comes back to life: who was
// signed in on it was signed in on it alone. A new one begins with nothing.

import { frames, readFrame } from './frames.ts';
import type { FromPage, ToPage } from './protocol.ts';

export const SUBPROTOCOL = 'tere-1';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 30_000;
const OPEN_WITHIN_MS = 15_000;

/** Who hears what comes over a connection. */
export interface Listener {
  message(message: ToPage): void;
  output(channel: number, bytes: Uint8Array): void;
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
  #lost = false;
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

  /** Sends typed bytes. On a lost connection they are gone: input is never queued. */
  sendInput(channel: number, bytes: Uint8Array): void {
    if (this.#lost) return;
    for (const frame of frames(channel, bytes)) this.#socket.send(frame);
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

  #heard(data: unknown): void {
    clearTimeout(this.#pongDeadline);
    this.#pongDeadline = undefined;
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
