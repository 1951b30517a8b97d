// One attempt to sign in, on a connection of its own: with a passkey, or with the key that the page
// made at an earlier touch. After any failure the connection is closed: the next attempt starts with
// a new challenge on a new connection.

import { Connection, ConnectionLost, UpgradeDropped, whyNotOpen } from './connection.ts';
import { answerChallenge, passkeysWork, PasskeyError } from './passkey.ts';
import type { AccountName, Refusal, ToPage } from './protocol.ts';
import { refusalSentence } from './refusal.ts';
import { forgetKey, keepKey, makeKey, signature, usedKey, type ResumeKey } from './resume.ts';

export interface SignedIn {
  connection: Connection;
  account: AccountName;
}

/** The server refused the sign-in. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

/**
 * Signs in with a passkey or, with the token of an enrolment link, registers one first. Uses
 * `idleConnection` if it is still open. `inBrowser` says whether all tabs of the browser may come
 * back without a touch, or only this one until it is reloaded.
 */
export async function logIn(idleConnection: Connection | undefined, inBrowser: boolean, enrolToken?: string): Promise<SignedIn> {
  if (!passkeysWork()) {
    throw new PasskeyError('Passkeys do not work here: they need https, or http on localhost, and a recent browser.');
  }
  const connection = idleConnection && !idleConnection.lost ? idleConnection : await open();
  try {
    const next = replies(connection);
    connection.send(enrolToken === undefined ? { type: 'sign-in' } : { type: 'enrol', token: enrolToken });
    const challenge = await next();
    if (challenge.type !== 'challenge') throw refused(challenge);
    const credential = await answerChallenge(challenge.ceremony, challenge.options);
    const key = await makeKey();
    connection.send({ type: 'answer', credential, resume: key?.offer ?? null });
    const answer = await next();
    if (answer.type !== 'signed-in') throw refused(answer);
    // Not awaited: what the server says next is for the page.
    if (key && answer.resume) void keepKey(key, answer.account, answer.resume, inBrowser);
    return { connection, account: answer.account };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Signs in without a touch. A key that the server does not take is forgotten. */
export async function resume(key: ResumeKey, idleConnection?: Connection): Promise<SignedIn> {
  const connection = idleConnection && !idleConnection.lost ? idleConnection : await open();
  try {
    const next = replies(connection);
    connection.send({ type: 'resume', key: key.publicKey });
    const challenge = await next();
    if (challenge.type !== 'key-challenge') throw refused(challenge);
    connection.send({ type: 'key-answer', signature: await signature(key, challenge.nonce) });
    const answer = await next();
    if (answer.type !== 'signed-in') throw refused(answer);
    usedKey(key);
    return { connection, account: answer.account };
  } catch (error) {
    connection.close();
    if (error instanceof LoginRefused && error.refusal === 'resume-over') await forgetKey(key.id);
    throw error;
  }
}

/** Whether an attempt failed for a reason that passes by itself, as while the server is restarted. */
export function isTransient(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof LoginRefused && ['unavailable', 'busy', 'version-mismatch'].includes(error.refusal));
}

async function open(): Promise<Connection> {
  try {
    return await Connection.open();
  } catch {
    throw await whyNotOpen();
  }
}

/** The sentence for a failed attempt. */
export function loginTrouble(error: unknown): string {
  if (error instanceof LoginRefused) return refusalSentence(error.refusal);
  if (error instanceof UpgradeDropped) {
    return 'The server is there, but a proxy in front of it passes no WebSockets on. Ask whoever runs it: the headers Upgrade and Connection must reach tere at /ws.';
  }
  if (error instanceof ConnectionLost) return 'The server does not answer. Try again in a moment.';
  return error instanceof Error ? error.message : String(error);
}

function refused(message: ToPage): LoginRefused {
  return new LoginRefused(message.type === 'refused' ? message.refusal : 'bad-message');
}

/** Returns a function that waits for the next message of the connection. */
function replies(connection: Connection): () => Promise<ToPage> {
  const heard: ToPage[] = [];
  let wake = () => {};
  connection.listener = {
    message: (message) => {
      heard.push(message);
      wake();
    },
    responsiveness: () => {},
    lost: () => wake(),
  };
  return async () => {
    for (;;) {
      const message = heard.shift();
      if (message) return message;
      if (connection.lost) throw new ConnectionLost('The connection was lost.');
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
