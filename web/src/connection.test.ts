import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Clock } from './clock.test-kit.ts';
import { Connection, ConnectionLost, SUBPROTOCOL } from './connection.ts';
import type { ToPage } from './protocol.ts';

/** The part of a WebSocket that a connection uses. */
class FakeSocket {
  static made: FakeSocket[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  binaryType = 'blob';
  bufferedAmount = 0;
  sent: unknown[] = [];
  closed = false;
  readonly url: string;
  readonly protocol: string;
  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
    FakeSocket.made.push(this);
  }
  send(data: unknown): void {
    this.sent.push(typeof data === 'string' ? JSON.parse(data) : data);
  }
  close(): void {
    this.closed = true;
  }
}

const place = { protocol: 'https:', host: 'tere.example', hostname: 'tere.example' };
const events = new EventTarget();
Object.assign(globalThis, { WebSocket: FakeSocket, window: events, location: place });

let clock = new Clock();

beforeEach(() => {
  clock = new Clock();
  clock.install();
  FakeSocket.made = [];
  place.hostname = 'tere.example';
});

async function opened() {
  const opening = Connection.open();
  const socket = FakeSocket.made.at(-1);
  assert.ok(socket);
  socket.onopen?.();
  const connection = await opening;
  const heard: ToPage[] = [];
  const reports: string[] = [];
  let losses = 0;
  connection.listener = {
    message: (message) => heard.push(message),
    responsiveness: (responsiveness) => reports.push(responsiveness),
    lost: () => (losses += 1),
  };
  return { connection, socket, heard, reports, losses: () => losses };
}

test('it goes to where the page came from, with its own protocol', async () => {
  const { socket } = await opened();
  assert.equal(socket.url, 'wss://tere.example/ws');
  assert.equal(socket.protocol, SUBPROTOCOL);
  assert.equal(socket.binaryType, 'arraybuffer');
});

test('a server that does not answer is a failure after a while', async () => {
  const opening = Connection.open();
  clock.tick(15_000);
  await assert.rejects(opening, ConnectionLost);
  assert.equal(FakeSocket.made[0]?.closed, true);
});

/** A stream that records what it receives. */
function stream() {
  const came: unknown[] = [];
  return { came, message: (message: unknown) => came.push(message), bytes: (bytes: Uint8Array) => came.push([...bytes]) };
}

test('what comes for a stream goes to it, and the rest to the listener', async () => {
  const { connection, socket, heard } = await opened();
  const [one, two] = [stream(), stream()];
  assert.deepEqual([connection.addStream(one), connection.addStream(two)], [1, 2]);
  socket.onmessage?.({ data: '{"type":"signed-in","account":"alice"}' });
  socket.onmessage?.({ data: '{"type":"pong","at":5}' });
  socket.onmessage?.({ data: Uint8Array.of(0, 2, 1, 7).buffer });
  socket.onmessage?.({ data: Uint8Array.of(0, 3, 1, 7).buffer });
  socket.onmessage?.({ data: '{"type":"closed","stream":1,"reason":"shell-ended"}' });
  socket.onmessage?.({ data: Uint8Array.of(0, 1, 1, 7).buffer });
  socket.onmessage?.({ data: '{"type":"refused","stream":null,"refusal":"busy"}' });
  assert.deepEqual(heard.map((message) => message.type), ['signed-in', 'refused']);
  assert.deepEqual(one.came, [{ type: 'closed', stream: 1, reason: 'shell-ended' }]);
  assert.deepEqual(two.came, [[7]]);
});

test('a stream that is left hears no more, and the server is told once', async () => {
  const { connection, socket } = await opened();
  const left = stream();
  const number = connection.addStream(left);
  connection.closeStream(number);
  connection.closeStream(number);
  assert.deepEqual(socket.sent, [{ type: 'close', stream: number }]);
  socket.onmessage?.({ data: Uint8Array.of(0, number, 1, 7).buffer });
  assert.deepEqual(left.came, []);
});

test('an attempt that is given up fails at once', async () => {
  const attempt = new AbortController();
  const opening = Connection.open(attempt.signal);
  attempt.abort();
  await assert.rejects(opening, ConnectionLost);
  assert.equal(FakeSocket.made[0]?.closed, true);
});

test('input says when it was typed, on the clock of the front', async () => {
  const { connection, socket } = await opened();
  const sentAt = () => {
    connection.sendInput(1, Uint8Array.of(65));
    const frame = socket.sent.at(-1);
    assert.ok(frame instanceof Uint8Array);
    return new DataView(frame.buffer).getUint32(3);
  };
  assert.equal(sentAt(), 0xffff_ffff, 'it has not heard the clock yet');
  const now = performance.now();
  socket.onmessage?.({ data: '{"type":"pong","at":100000}' });
  const sent = sentAt();
  assert.ok(sent >= 100_000 && sent <= 100_001 + performance.now() - now, String(sent));
});

test('a silent server counts as lost 30 s after a ping', async () => {
  const { connection, socket, losses } = await opened();
  connection.watch();
  assert.deepEqual(socket.sent, [{ type: 'ping' }]);
  clock.tick(29_999);
  assert.equal(losses(), 0);
  clock.tick(1);
  assert.equal(losses(), 1);
  assert.equal(connection.lost, true);
  clock.tick(100_000);
  assert.equal(losses(), 1);
});

test('any sign of life will do', async () => {
  const { connection, socket, losses } = await opened();
  connection.watch();
  for (let tens = 0; tens < 20; tens += 1) {
    clock.tick(10_000);
    socket.onmessage?.({ data: tens % 2 ? '{"type":"pong","at":0}' : new ArrayBuffer(3) });
  }
  assert.equal(losses(), 0);
});

test('nobody is pinged before they are signed in', async () => {
  const { connection, socket } = await opened();
  connection.ping();
  clock.tick(60_000);
  assert.deepEqual(socket.sent, []);
});

test('whoever types into silence hears soon that nobody answers, and then that the connection is lost', async () => {
  const { connection, socket, reports, losses } = await opened();
  connection.watch();
  socket.onmessage?.({ data: '{"type":"pong","at":0}' });
  socket.sent = [];
  const pings = () => socket.sent.filter((sent) => !(sent instanceof Uint8Array)).length;
  clock.tick(2500);
  connection.sendInput(1, Uint8Array.of(65));
  connection.sendInput(1, Uint8Array.of(66));
  connection.sendInput(1, Uint8Array.of(67));
  connection.sendInput(1, Uint8Array.of(68));
  assert.equal(pings(), 1);
  assert.equal(connection.unanswered.words, '4 keystrokes');
  clock.tick(999);
  assert.deepEqual(reports, []);
  clock.tick(1);
  assert.deepEqual(reports, ['unresponsive']);
  socket.onmessage?.({ data: '{"type":"pong","at":0}' });
  assert.deepEqual(reports, ['unresponsive', 'responsive']);
  assert.equal(connection.unanswered.words, '');

  clock.tick(2500);
  connection.sendInput(1, Uint8Array.of(69));
  clock.tick(7999);
  assert.equal(losses(), 0);
  clock.tick(1);
  assert.equal(losses(), 1);
  assert.equal(connection.unanswered.words, '1 keystroke', 'it may not have arrived');
});

test('a key typed right behind output asks too, once nothing comes for a while', async () => {
  const { connection, socket, reports, losses } = await opened();
  connection.watch();
  clock.tick(5000);
  socket.onmessage?.({ data: Uint8Array.of(0, 1, 1, 7).buffer });
  socket.sent = [];
  connection.sendInput(1, Uint8Array.of(65));
  const pings = () => socket.sent.filter((sent) => !(sent instanceof Uint8Array)).length;
  clock.tick(1999);
  assert.equal(pings(), 0, 'its echo may be on the way');
  clock.tick(1);
  assert.equal(pings(), 1);
  clock.tick(1000);
  assert.deepEqual(reports, ['unresponsive']);
  clock.tick(7000);
  assert.equal(losses(), 1);
  assert.equal(connection.unanswered.words, '1 keystroke', 'it is told as in doubt');
});

test('reports of the mouse and of the focus were typed by nobody', async () => {
  const { connection } = await opened();
  const report = (text: string) => connection.sendInput(1, new TextEncoder().encode(text));
  ['\x1b[I', '\x1b[O', '\x1b[<0;1;1M', '\x1b[M !!'].forEach(report);
  assert.equal(connection.unanswered.words, '');
  report('\x1b[A');
  assert.equal(connection.unanswered.words, '1 keystroke');
});

test('the network is behind where much waits in the socket', async () => {
  const { connection, socket } = await opened();
  assert.equal(connection.isBehind, false);
  socket.bufferedAmount = 64 * 1024;
  assert.equal(connection.isBehind, true);
});

test('what is typed into a lost connection is dropped', async () => {
  const { connection, socket, losses } = await opened();
  socket.onclose?.();
  assert.equal(losses(), 1);
  connection.sendInput(1, Uint8Array.of(65));
  connection.send({ type: 'list' });
  assert.deepEqual(socket.sent, []);
});

test('no network means lost, unless the server is this computer', async () => {
  const far = await opened();
  events.dispatchEvent(new Event('offline'));
  assert.equal(far.losses(), 1);
  place.hostname = 'localhost';
  const near = await opened();
  events.dispatchEvent(new Event('offline'));
  assert.equal(near.losses(), 0);
});

test('one that the page closes says no more', async () => {
  const { connection, socket, losses } = await opened();
  connection.close();
  socket.onclose?.();
  assert.equal(socket.closed, true);
  assert.equal(losses(), 0);
});
