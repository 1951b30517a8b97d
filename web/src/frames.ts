// Binary frames: a channel number (2 bytes, big-endian), then terminal bytes.

/** Most terminal bytes in one frame; the front ends a connection that sends more. */
export const FRAME_BYTES_MAX = 32 * 1024;

const HEADER = 2;
const encoder = new TextEncoder();

/** The frames that carry `bytes` on `channel`, cut wherever the bound falls. */
export function frames(channel: number, bytes: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const made = [];
  for (let from = 0; from < bytes.length; from += FRAME_BYTES_MAX) {
    const part = bytes.subarray(from, from + FRAME_BYTES_MAX);
    const frame = new Uint8Array(HEADER + part.length);
    frame[0] = channel >> 8;
    frame[1] = channel & 0xff;
    frame.set(part, HEADER);
    made.push(frame);
  }
  return made;
}

/** The channel and the bytes of one frame, or nothing if it is too short to have a channel. */
export function readFrame(frame: ArrayBuffer): { channel: number; bytes: Uint8Array } | undefined {
  const all = new Uint8Array(frame);
  const [high, low] = all;
  if (high === undefined || low === undefined) return undefined;
  return { channel: (high << 8) | low, bytes: all.subarray(HEADER) };
}

/** Typed text as the terminal's bytes. */
export function textBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A mouse report in the old encoding: each character is one byte, not UTF-8. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}
