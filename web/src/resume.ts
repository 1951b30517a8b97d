// Coming back without a touch. While somebody signs in with a passkey, the page makes a key that no
// script can read, and the server lets the page sign in with it for some hours: after a reload, on
// another network, when the server was restarted. docs/design.md says what the key is good for.

import { base64url, bytes } from './passkey.ts';
import type { AccountName, ClientKeyId, ResumeOffer, ResumeTerms } from './protocol.ts';

/** A key with which the page may come back. */
export interface ResumeKey {
  pair: CryptoKeyPair;
  /** The public half, in base64url. */
  publicKey: string;
  id: ClientKeyId;
  account: AccountName;
  /** When it is no longer good, in milliseconds since 1970. */
  until: number;
}

/** A key that the server has not been told of. */
export interface NewKey {
  offer: ResumeOffer;
  pair: CryptoKeyPair;
}

const DATABASE = 'tere';
const STORE = 'resume';
/** The one entry of the store: all tabs of the browser share it. */
const ENTRY = 'key';

/** The key of this tab, if it is not to outlive it. */
let ofTab: ResumeKey | undefined;
/** The id of the key that this tab has signed in with, or was given. */
let own: ClientKeyId | undefined;

/** The id of this page's key. */
export function ownKey(): ClientKeyId | undefined {
  return own;
}

/** Makes a key. Undefined if the browser cannot: each return then takes a touch. */
export async function makeKey(): Promise<NewKey | undefined> {
  try {
    const pair = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair;
    const key = base64url(await crypto.subtle.exportKey('raw', pair.publicKey));
    return { pair, offer: { key, name: browserName(navigator.userAgent) } };
  } catch {
    return undefined;
  }
}

/** Keeps a key that the server has taken: for all tabs, or for this one until it is reloaded. */
export async function keepKey({ pair, offer }: NewKey, account: AccountName, terms: ResumeTerms, inBrowser: boolean): Promise<void> {
  const key = { pair, publicKey: offer.key, id: terms.key, account, until: Date.now() + terms.seconds * 1000 };
  own = key.id;
  ofTab = key;
  if (!inBrowser || !(await inStore('readwrite', (store) => store.put(key, ENTRY)))) return;
  ofTab = undefined;
}

/**
 * The key to come back with: of this account, if one is given. Another tab may have signed in to
 * another one meanwhile.
 */
export async function resumeKey(account?: AccountName): Promise<ResumeKey | undefined> {
  const key = ofTab ?? ((await inStore('readonly', (store) => store.get(ENTRY))) as ResumeKey | undefined);
  if (key === undefined || (account !== undefined && key.account !== account)) return undefined;
  if (key.until > Date.now()) return key;
  await forgetKey(key.id);
  return undefined;
}

/** Forgets the key with this id, if the browser still has it. */
export async function forgetKey(id: ClientKeyId): Promise<void> {
  if (ofTab?.id === id) ofTab = undefined;
  if (own === id) own = undefined;
  const kept = (await inStore('readonly', (store) => store.get(ENTRY))) as ResumeKey | undefined;
  if (kept?.id === id) await inStore('readwrite', (store) => store.delete(ENTRY));
}

/** Records that the page is signed in with this key. */
export function usedKey(key: ResumeKey): void {
  own = key.id;
}

/** Signs the server's challenge. */
export async function signature(key: ResumeKey, nonce: string): Promise<string> {
  const statement = resumeStatement(location.origin, bytes(key.publicKey), bytes(nonce));
  return base64url(await crypto.subtle.sign('Ed25519', key.pair.privateKey, statement));
}

/** What is signed: `statement` in src/client_key.rs. */
export function resumeStatement(origin: string, publicKey: Uint8Array, nonce: Uint8Array): Uint8Array<ArrayBuffer> {
  const words = new TextEncoder().encode(`tere client key 1\0resume\0${origin}\0`);
  return Uint8Array.of(...words, ...publicKey, ...nonce);
}

/** What the user is to know this browser by. */
export function browserName(userAgent: string): string {
  const first = (names: readonly [RegExp, string][]) => names.find(([mark]) => mark.test(userAgent))?.[1];
  // Most browsers also name those that they are compatible with.
  const browser = first([
    [/Firefox\//, 'Firefox'],
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/Chrome\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ]);
  const system = first([
    [/Android/, 'Android'],
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/CrOS/, 'ChromeOS'],
    [/Linux/, 'Linux'],
  ]);
  return system === undefined ? (browser ?? 'Browser') : `${browser ?? 'Browser'} on ${system}`;
}

/** Does something in the store. Undefined if the browser keeps nothing, as in some private windows. */
async function inStore(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await done(opening);
    try {
      return await done(act(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('The browser keeps nothing.'));
  });
}
