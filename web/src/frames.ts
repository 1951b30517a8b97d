// Binary frames. A frame from the page has the number of a stream (2 bytes, big-endian), its kind
// (1), the time of the input on the front's clock (4, big-endian), and the bytes. A frame to the
// page has the number, the kind and the bytes.

/** The kind of a stream that shows a session's terminal. There is no other kind yet. */
export const TERMINAL = 1;

/** The largest number of bytes in one frame; the front closes a connection that sends more. */
export const FRAME_BYTES_MAX = 32 * 1024;

/** Sent instead of the time if the page has not received the front's clock yet. */
export const SENT_AT_UNKNOWN = 0xffff_ffff;

const FROM_PAGE_HEADER = 7;
const TO_PAGE_HEADER = 3;
const encoder = new TextEncoder();

/**
 * The frames that carry `bytes` on a stream. The bytes are cut at FRAME_BYTES_MAX, even within a
 * character.
 */
export function frames(stream: number, sentAt: number, bytes: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const made = [];
  for (let from = 0; from < bytes.length; from += FRAME_BYTES_MAX) {
    const part = bytes.subarray(from, from + FRAME_BYTES_MAX);
    const frame = new Uint8Array(FROM_PAGE_HEADER + part.length);
    const header = new DataView(frame.buffer);
    header.setUint16(0, stream);
    header.setUint8(2, TERMINAL);
    header.setUint32(3, sentAt);
    frame.set(part, FROM_PAGE_HEADER);
    made.push(frame);
  }
  return made;
}

/** The stream and the bytes of a frame; undefined if it is too short or of an unknown kind. */
export function readFrame(frame: ArrayBuffer): { stream: number; bytes: Uint8Array } | undefined {
  if (frame.byteLength < TO_PAGE_HEADER) return undefined;
  const header = new DataView(frame);
  if (header.getUint8(2) !== TERMINAL) return undefined;
  return { stream: header.getUint16(0), bytes: new Uint8Array(frame, TO_PAGE_HEADER) };
}

/** Typed text as the terminal's bytes. */
export function textBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A mouse report in the original encoding, in which each character is one byte and not UTF-8. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
