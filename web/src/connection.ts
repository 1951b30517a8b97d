// One WebSocket connection to the front, from opening to loss. A lost connection is never reopened:
// an account is signed in on one connection, and a new connection starts without any state.
// Messages for a stream are passed to that stream at once.

import { frames, readFrame, SENT_AT_UNKNOWN } from './frames.ts';
import type { FromPage, Refusal, ToPage } from './protocol.ts';
import { isReport } from './reports.ts';
import { InputCount } from './inputcount.ts';

export const SUBPROTOCOL = 'tere-6';

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 30_000;
const OPEN_WITHIN_MS = 15_000;

/**
 * Limits while the user types. If nothing was received for QUIET_MS before an input, or is received
 * for QUIET_MS after it, the page sends a ping. Without an answer after AWAITED_MS, the user is
 * told that the server does not answer; after ANSWER_WITHIN_MS, the connection counts as lost. The
 * server drops input that reaches it later than that (`INPUT_PATIENCE`).
 */
const QUIET_MS = 2_000;
const AWAITED_MS = 1_000;
const ANSWER_WITHIN_MS = 8_000;

/**
 * Once this many bytes wait in the socket for the network, further input waits in typing.ts or is
 * not sent.
 */
const BACKLOG_MAX = 64 * 1024;

/** A message about one stream. */
export type StreamMessage = Extract<ToPage, { stream: number }> | { type: 'refused'; stream: number; refusal: Refusal };

/** A stream of the connection: receives its messages and bytes. */
export interface Stream {
  message(message: StreamMessage): void;
  bytes(bytes: Uint8Array): void;
}

/** Receives everything that does not belong to a stream. */
export interface Listener {
  message(message: ToPage): void;
  /** `awaited`: the user types and the server does not answer. `there`: it answers again. */
  responsiveness(responsiveness: 'unresponsive' | 'responsive'): void;
  /** Called once. Nothing follows it. */
  lost(): void;
}

/** The connection was lost or could not be established. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The server runs, but no WebSocket reaches it: a proxy in between drops the `Upgrade` header. */
export class UpgradeDropped extends ConnectionLost {}

/**
 * Finds out why a WebSocket could not be opened. The front answers a plain request for its address
 * with 426.
 */
export async function whyNotOpen(): Promise<ConnectionLost> {
  try {
    const answer = await fetch('/ws', { cache: 'no-store', signal: AbortSignal.timeout(OPEN_WITHIN_MS) });
    if (answer.status === 426) return new UpgradeDropped('A proxy drops the header Upgrade.');
  } catch {
    // No server answered.
  }
  return new ConnectionLost('The server does not answer.');
}

export class Connection {
  /** Messages are discarded while this is undefined. */
  listener: Listener | undefined;
  #socket: WebSocket;
  /** Input sent since the server was last heard; it may not have arrived. */
  readonly unanswered = new InputCount();
  #lost = false;
  #streams = new Map<number, Stream>();
  #lastStream = 0;
  /** The front's clock in milliseconds, and the page's clock when it was received. */
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

  /**
   * Opens a WebSocket to the origin of the page. Aborting `givenUp` makes the attempt fail at once.
   */
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

  /** Whether the network is behind, so that further input would only wait in the socket. */
  get isBehind(): boolean {
    return this.#socket.bufferedAmount >= BACKLOG_MAX;
  }

  /**
   * Registers a stream and returns its number. The stream receives messages until it is closed or
   * refused.
   */
  addStream(stream: Stream): number {
    do this.#lastStream = (this.#lastStream + 1) % 0x10000;
    while (this.#streams.has(this.#lastStream));
    this.#streams.set(this.#lastStream, stream);
    return this.#lastStream;
  }

  /** Closes a stream. Input sent earlier is delivered; the stream receives nothing more. */
  closeStream(stream: number): void {
    if (this.#streams.delete(stream)) this.send({ type: 'close', stream });
  }

  /** Sends typed bytes. On a lost connection they are discarded. */
  sendInput(stream: number, bytes: Uint8Array): void {
    if (this.#lost) return;
    for (const frame of frames(stream, this.#frontTime(), bytes)) this.#socket.send(frame);
    if (!isReport(bytes)) this.unanswered.add(bytes);
    if (Date.now() - this.#heardAt > QUIET_MS) this.#askNow();
    else this.#quiet ??= setTimeout(() => this.#askNow(), QUIET_MS);
  }

  /**
   * Starts sending pings. From now on, the connection counts as lost if nothing is received within
   * 30 s of a ping. The first ping also requests the front's clock.
   */
  watch(): void {
    if (this.#pinging !== undefined) return;
    this.#pinging = setInterval(() => this.ping(), PING_EVERY_MS);
    this.ping();
  }

  /** Sends a ping now, for example after the computer slept. */
  ping(): void {
    if (this.#lost || this.#pinging === undefined) return;
    this.send({ type: 'ping' });
    this.#pongDeadline ??= setTimeout(() => this.#lose(), PONG_WITHIN_MS);
  }

  /** Closes the connection. Its listener is not called any more. */
  close(): void {
    this.listener = undefined;
    this.#lose();
  }

  /** The front's clock now, or SENT_AT_UNKNOWN if it was not received yet. */
  #frontTime(): number {
    if (this.#clock === undefined) return SENT_AT_UNKNOWN;
    return (this.#clock.at + Math.round(performance.now() - this.#clock.heardAt)) % SENT_AT_UNKNOWN;
  }

  /**
   * Sends a ping with a short time limit. A connection can be half open: this end still considers
   * it open, and the other end is gone.
   */
  #askNow(): void {
    if (this.#awaiting !== undefined || this.#pinging === undefined) return;
    this.send({ type: 'ping' });
    this.#awaiting = setTimeout(() => {
      this.#isAwaited = true;
      this.#awaiting = setTimeout(() => this.#lose(), ANSWER_WITHIN_MS - AWAITED_MS);
      this.listener?.responsiveness('unresponsive');
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
      this.listener?.responsiveness('responsive');
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

  /**
   * Ends the connection when the browser goes offline. A page from the same computer does not need
   * the network.
   */
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
