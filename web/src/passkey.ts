// The two WebAuthn ceremonies, with JSON as input and output.

import type { Ceremony, JsonValue } from './protocol.ts';

/** Why there is no credential: a sentence for the user, who may try again. */
export class PasskeyError extends Error {
  override readonly name = 'PasskeyError';
}

/** Whether this browser, on this page, can use passkeys at all. */
export function passkeysWork(): boolean {
  return window.isSecureContext && 'PublicKeyCredential' in window;
}

/** Answers a challenge with a passkey. The result goes to the server unchanged. */
export async function answerChallenge(ceremony: Ceremony, options: JsonValue): Promise<JsonValue> {
  try {
    const credential =
      ceremony === 'create'
        ? await navigator.credentials.create({ publicKey: creationOptions(record(options)) })
        : await navigator.credentials.get({ publicKey: requestOptions(record(options)) });
    if (!(credential instanceof PublicKeyCredential)) throw new PasskeyError('The browser gave no passkey.');
    return asJson(credential);
  } catch (error) {
    if (error instanceof PasskeyError) throw error;
    throw new PasskeyError(sentence(ceremony, error));
  }
}

function sentence(ceremony: Ceremony, error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  switch (name) {
    case 'NotAllowedError':
    case 'AbortError':
      // Browsers use one name for "cancelled", "timed out" and "no passkey here" and do not tell
      // them apart.
      return ceremony === 'create'
        ? 'No passkey was made, and nothing has changed. A security key must have room for a passkey and be able to ask for a PIN: try another one, or this device itself.'
        : 'No passkey was used. Try again when you like.';
    case 'InvalidStateError':
      return 'This device already holds a passkey for you here. Sign in with it.';
    case 'SecurityError':
      return `The browser does not allow passkeys for ${location.host}. Open tere by the address it was set up with.`;
    case 'NotSupportedError':
    case 'ConstraintError':
      return 'This device or security key cannot store a passkey that asks for your PIN, finger or face. Try another one.';
    default:
      return 'The browser could not use a passkey. Try again, or try another browser.';
  }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new PasskeyError('The server sent no challenge.');
  return value as Record<string, unknown>;
}

function creationOptions(json: Record<string, unknown>): PublicKeyCredentialCreationOptions {
  if (typeof PublicKeyCredential.parseCreationOptionsFromJSON === 'function') {
    return PublicKeyCredential.parseCreationOptionsFromJSON(
      json as unknown as PublicKeyCredentialCreationOptionsJSON,
    );
  }
  const user = record(json['user']);
  return {
    ...json,
    challenge: bytes(json['challenge']),
    user: { ...user, id: bytes(user['id']) },
    excludeCredentials: descriptors(json['excludeCredentials']),
  } as unknown as PublicKeyCredentialCreationOptions;
}

function requestOptions(json: Record<string, unknown>): PublicKeyCredentialRequestOptions {
  if (typeof PublicKeyCredential.parseRequestOptionsFromJSON === 'function') {
    return PublicKeyCredential.parseRequestOptionsFromJSON(json as unknown as PublicKeyCredentialRequestOptionsJSON);
  }
  return {
    ...json,
    challenge: bytes(json['challenge']),
    allowCredentials: descriptors(json['allowCredentials']),
  } as PublicKeyCredentialRequestOptions;
}

function descriptors(list: unknown): PublicKeyCredentialDescriptor[] {
  if (!Array.isArray(list)) return [];
  return list.map(record).map((one) => ({ ...one, id: bytes(one['id']) }) as unknown as PublicKeyCredentialDescriptor);
}

function asJson(credential: PublicKeyCredential): JsonValue {
  if (typeof credential.toJSON === 'function') return credential.toJSON();
  const { response } = credential;
  const common = {
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
  const clientDataJSON = base64url(response.clientDataJSON);
  if (response instanceof AuthenticatorAttestationResponse) {
    const attestationObject = base64url(response.attestationObject);
    return { ...common, response: { clientDataJSON, attestationObject, transports: response.getTransports() } };
  }
  const assertion = response as AuthenticatorAssertionResponse;
  return {
    ...common,
    response: {
      clientDataJSON,
      authenticatorData: base64url(assertion.authenticatorData),
      signature: base64url(assertion.signature),
      userHandle: assertion.userHandle && base64url(assertion.userHandle),
    },
  };
}

/** Decodes a base64url text. */
export function bytes(text: unknown): Uint8Array<ArrayBuffer> {
  if (typeof text !== 'string') throw new PasskeyError('The server sent a challenge that cannot be read.');
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

/** Encodes bytes as base64url without padding. */
export function base64url(buffer: ArrayBuffer): string {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
