// A simulated front inside the browser's network stack: it serves the built page with the real
// policy, and sends what a test tells it to send.

import assert from 'node:assert/strict';
import { EventEmitter, on } from 'node:events';
import { readFile } from 'node:fs/promises';

export const ORIGIN = 'http://localhost:8020';
const TYPED_WITHIN_MS = 10_000;
const DIST = new URL('../../web/dist/', import.meta.url);
const TYPES = /** @type {Record<string, string>} */ ({
  html: 'text/html; charset=utf-8',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
});
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; " +
  "font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
  "require-trusted-types-for 'script'; trusted-types 'none'";

/** @typedef {{ type: string, [more: string]: any }} Message */
/** @typedef {{ machine: string, user: string }} Target */

export class Front {
  account = 'alice';
  targets = /** @type {Target[]} */ ([{ machine: 'web1', user: 'dev' }]);
  /** The client key that waits to be bound, without its challenge. @type {object | undefined} */
  binding = undefined;
  /** What sessions on these targets take. One on the host always takes a touch. */
  terms = /** @type {Record<string, { touch?: boolean, reason?: boolean, limit?: number | null }>} */ ({});
  /** How many seconds are left of a session on the host, when it is viewed. */
  left = 1800;
  /** The same of a session in a machine; null if it has no limit. @type {number | null} */
  leftInMachine = null;
  sessions = /** @type {{ id: string, target: Target, opened: number, left?: number | null, touch?: boolean, name?: string | null, about?: object | null, owner?: string, role?: string, viewing?: string[] }[]} */ ([]);
  /** The account's own machines, and the machines for tasks that it may have. */
  machines = /** @type {object[]} */ ([]);
  tasks = /** @type {object[]} */ ([]);
  /** The refusal sent in reply to `open` and `attach` instead of `opened`. */
  refusal = /** @type {string | undefined} */ (undefined);
  /**
   * The terms from that refusal on: what the policy has come to demand since the page's last list.
   * A list that is still on its way before the refusal has the terms of before.
   */
  termsOnceRefused = /** @type {Front['terms'] | undefined} */ (undefined);
  /** Whether `open` and `attach` are answered; otherwise they wait for `open`. */
  opens = true;
  #waiting = /** @type {Message | undefined} */ (undefined);
  /** Whether a view gets its screen at once; otherwise the test sends it. */
  prompt = true;
  /**
   * Whether WebSockets are accepted. A plain request for their address is answered with `status`.
   */
  upgrades = true;
  status = 426;
  /** Whether pings are answered. */
  alive = true;
  /** Messages from the page, in order. */
  heard = /** @type {Message[]} */ ([]);
  /**
   * The input from the page, one character per byte, and the lengths of the frames that carried it.
   */
  typed = '';
  frames = /** @type {number[]} */ ([]);
  #typing = new EventEmitter();
  #socket = /** @type {import('playwright-core').WebSocketRoute | undefined} */ (undefined);

  /** @param {import('playwright-core').BrowserContext} person */
  static async serve(person) {
    const front = new Front();
    await person.route(`${ORIGIN}/**`, async (route) => {
      const path = new URL(route.request().url()).pathname;
      if (path === '/ws') return route.fulfill({ status: front.status });
      const name = path === '/' ? 'index.html' : path.slice(1);
      await route.fulfill({
        body: await readFile(new URL(name, DIST)),
        headers: { 'content-type': TYPES[name.replace(/.*\./, '')] ?? '', 'content-security-policy': POLICY },
      });
    });
    await person.routeWebSocket(/\/ws$/, (socket) => {
      if (!front.upgrades) return void socket.close();
      front.#socket = socket;
      socket.onMessage((frame) => {
        if (typeof frame === 'string') {
          front.#answer(JSON.parse(frame));
        } else {
          front.typed += frame.subarray(7).toString('latin1');
          front.frames.push(frame.length);
          front.#typing.emit('typed');
        }
      });
    });
    return front;
  }

  /** @param {Message} message */
  say(message) {
    this.#socket?.send(JSON.stringify(message));
  }

  /** @param {number} stream @param {string} text */
  print(stream, text) {
    this.#socket?.send(Buffer.concat([Buffer.of(stream >> 8, stream & 0xff, 1), Buffer.from(text)]));
  }

  /** @param {number} stream @param {object} size @param {string} text @param {'whole' | 'screen'} extent */
  snapshot(stream, size, text, extent) {
    this.say({ type: 'snapshot', stream, size, bytes: Buffer.byteLength(text), extent });
    if (text !== '') this.print(stream, text);
  }

  /** Waits until all input so far matches. @param {RegExp} pattern */
  async typedAll(pattern) {
    if (pattern.test(this.typed)) return;
    try {
      for await (const _ of on(this.#typing, 'typed', { signal: AbortSignal.timeout(TYPED_WITHIN_MS) })) {
        if (pattern.test(this.typed)) return;
      }
    } catch {
      assert.match(this.typed, pattern);
    }
  }

  /** Waits until the page has sent `times` messages of this type. @param {string} type */
  async hears(type, times = 1) {
    const said = () => this.heard.filter((message) => message.type === type).length >= times;
    if (said()) return;
    for await (const _ of on(this.#typing, 'heard', { signal: AbortSignal.timeout(TYPED_WITHIN_MS) })) {
      if (said()) return;
    }
  }

  /** Sends the lobby to the page unasked. */
  tellLobby() {
    this.#lobby();
  }

  /** Answers the `open` or `attach` that waits. */
  open() {
    this.opens = true;
    if (this.#waiting) this.#answer(this.#waiting);
  }

  /** Breaks the connection. */
  async drop() {
    await this.#socket?.close({ code: 1001 });
  }

  /** @param {Message} message @returns {void} */
  #answer(message) {
    this.heard.push(message);
    this.#typing.emit('heard');
    switch (message.type) {
      case 'sign-in':
        return this.say({
          type: 'challenge',
          ceremony: 'get',
          options: { challenge: 'AAAAAAAAAAAAAAAAAAAAAA', rpId: 'localhost', userVerification: 'required' },
        });
      case 'enrol':
        return this.say({
          type: 'challenge',
          ceremony: 'create',
          options: {
            challenge: 'AAAAAAAAAAAAAAAAAAAAAA',
            rp: { id: 'localhost', name: 'tere' },
            user: { id: 'AAAA', name: 'alice', displayName: 'alice' },
            pubKeyCredParams: [-7, -257].map((alg) => ({ type: 'public-key', alg })),
            authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
          },
        });
      case 'answer':
        this.say({ type: 'signed-in', account: this.account });
        return this.#lobby();
      case 'list':
        return this.#lobby();
      case 'change-machine':
        // The test says when it is made.
        return;
      case 'step-up': {
        // The passkey that the page has registered.
        const id = this.heard.find((said) => said.type === 'answer')?.['credential'].id;
        const allowCredentials = [{ type: 'public-key', id }];
        return this.say({
          type: 'touch-challenge',
          stream: message['stream'],
          options: { challenge: 'AAAAAAAAAAAAAAAAAAAAAA', rpId: 'localhost', userVerification: 'required', allowCredentials },
        });
      }
      case 'find-binding': {
        if (this.binding === undefined) return this.say({ type: 'refused', stream: null, refusal: 'code-invalid' });
        const id = this.heard.find((said) => said.type === 'answer')?.['credential'].id;
        const allowCredentials = [{ type: 'public-key', id }];
        const options = { challenge: 'AAAAAAAAAAAAAAAAAAAAAA', rpId: 'localhost', userVerification: 'required', allowCredentials };
        return this.say({ type: 'binding', options, ...this.binding });
      }
      case 'bind':
        return this.say({ type: 'bound' });
      case 'decline-binding':
        return this.say({ type: 'refused', stream: null, refusal: 'key-declined' });
      case 'touch': {
        const { stream, view, size } = message;
        return this.#answer(view.open ? { type: 'open', stream, target: view.open.target, size } : { type: 'attach', stream, session: view.attach.session, size });
      }
      case 'open':
      case 'attach': {
        const { stream } = message;
        if (!this.opens) return void (this.#waiting = message);
        if (this.refusal) {
          this.terms = this.termsOnceRefused ?? this.terms;
          return this.say({ type: 'refused', stream, refusal: this.refusal });
        }
        const known = this.sessions.find((session) => session.id === message['session']);
        const target = known?.target ?? message['target'];
        const left = target.machine === '.host' ? this.left : this.leftInMachine;
        this.say({ type: 'opened', stream, session: known?.id ?? 'abcdefgh2345', target, left });
        if (!this.prompt) return;
        this.snapshot(stream, message['size'], '', 'whole');
        return this.print(stream, `\x1b[1m${target.user}@${target.machine}\x1b[0m $ `);
      }
      case 'end-session':
        this.sessions = this.sessions.filter((session) => session.id !== message['session']);
        return;
      case 'name':
        for (const session of this.sessions) if (session.id === message['session']) session.name = message['name'];
        return this.#lobby();
      case 'resize':
        return this.say({ type: 'size', stream: message['stream'], size: message['size'] });
      case 'ping':
        if (this.alive) this.say({ type: 'pong', at: Math.round(performance.now()) });
        return;
    }
  }

  #lobby() {
    const targets = this.targets.map((target) => ({ target, terms: this.#termsOf(target) }));
    const tasks = this.tasks.map((task) => ({ terms: { touch: false, reason: false, limit: null }, ...task }));
    const own = { owner: this.account, role: 'owner', viewing: [], left: null, exec: false };
    const sessions = this.sessions.map((one) => ({ ...own, touch: this.#termsOf(one.target).touch, ...one }));
    this.say({ type: 'lobby', targets, machines: this.machines, tasks, sessions });
  }

  /** @param {Target} target */
  #termsOf(target) {
    return { touch: target.machine === '.host', reason: false, limit: null, ...this.terms[`${target.user}@${target.machine}`] };
  }
}
