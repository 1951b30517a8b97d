// One attempt to sign in, on a connection of its own. After any failure the connection is closed:
// the next attempt starts with a new challenge on a new connection.

import { Connection, ConnectionLost, UpgradeDropped, whyNotOpen } from './connection.ts';
import { answerChallenge, passkeysWork, PasskeyError } from './passkey.ts';
import type { AccountName, Refusal, ToPage } from './protocol.ts';
import { refusalSentence } from './refusal.ts';

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
 * `idleConnection` if it is still open.
 */
export async function logIn(idleConnection: Connection | undefined, enrolToken?: string): Promise<SignedIn> {
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
    connection.send({ type: 'answer', credential });
    const answer = await next();
    if (answer.type !== 'signed-in') throw refused(answer);
    return { connection, account: answer.account };
  } catch (error) {
    connection.close();
    throw error;
  }
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
