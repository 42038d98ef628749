// Frames of rejoin.v1 (spec/resume.md, sections 3 and 5): those that a client writes, and the fields of those that it reads.
//
//   type u8 | flags u8 | seq u32 | ack u32 | body          big-endian; a byte string has a u16 length before it
//
// Pure. Counts are numbers up to 2^53: a session of a million messages a second lasts 285 years.
import { hmacSha256 } from "./sha256";

export const PROTOCOL = "rejoin.v1";
export const HEAD_BYTES = 10;
export const SECRET_BYTES = 32;
const HELLO_BYTES_MAX = 16_384;
const ITEM_CHARS_MAX = 2_048;
const REASON_BYTES_MAX = 100;

export const enum FrameType {
  hello = 0x01,
  welcome = 0x02,
  resume = 0x03,
  resumed = 0x04,
  ticket = 0x05,
  detach = 0x06,
  data = 0x10,
  ack = 0x11,
  ping = 0x12,
  pong = 0x13,
  close = 0x14,
  /** From here on: not ours to judge. Skipped, but for the ack. */
  unknown = 0x20,
}
export const FLAG_TEXT = 0x01;

/** types.ts has all of them, for applications. */
export const enum LinkCode {
  normal = 1000,
  badFrame = 4400,
  loginNeeded = 4401,
  version = 4406,
  silent = 4408,
  replaced = 4409,
  overLimit = 4413,
}

export const enum Action {
  move,
  again,
  login,
  stop,
}

// --- bytes and text ---

const encoder = new TextEncoder();
// A BOM is the application's: it stays.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Lone surrogates become U+FFFD, as in the standard WebSocket. */
export const toUtf8 = (text: string) => encoder.encode(text);
/** Null: not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}
/** One character per byte and back: for tickets, which are opaque, and base64. */
export const toChars = (bytes: Iterable<number>) => String.fromCharCode(...bytes);
export const fromChars = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** At most 100 bytes, up to a character's border. */
function cutReason(bytes: Uint8Array): Uint8Array {
  let end = REASON_BYTES_MAX;
  while ((bytes[end]! & 0xc0) === 0x80) --end;
  return bytes.subarray(0, end);
}

// --- reading ---

// What each type's body has, for readFields().
export const HEAD = "1144";
export const WELCOME = "1kb444444a";
export const RESUMED = "888";
export const TICKET = "b";
export const DETACH = "2144ur";
export const CLOSE = "2r";

/**
 * The fields at the front of `bytes`, one per character: 1 2 4 8 a number of so many bytes; k the key; b a byte string, u one of
 * UTF-8, r a reason; a the addresses. Null: they are not all there. What is behind them is skipped.
 */
export function readFields(bytes: Uint8Array, fields: string): any[] | null {
  let at = 0;
  const take = (count: number) => bytes.subarray(at, (at += count));
  const uint = (count: number) => take(count).reduce((value, byte) => value * 256 + byte, 0);
  const string = () => take(uint(2));
  const text = () => fromUtf8(string()) ?? "";
  const values = Array.from(fields, (field) => {
    switch (field) {
      case "k":
        return take(SECRET_BYTES).slice();
      case "b":
        return toChars(string());
      case "u":
        return text();
      case "r":
        return fromUtf8(cutReason(string())) ?? "";
      case "a":
        return Array.from({ length: uint(1) }, text);
      default:
        return uint(+field);
    }
  });
  return at > bytes.length ? null : values;
}

// --- writing ---

/** The low `count` bytes of a number. */
const uint = (value: number, count: number): number[] =>
  count ? [...uint(Math.floor(value / 256), count - 1), value % 256] : [];
const string = (bytes: Uint8Array) => [...uint(bytes.length, 2), ...bytes];

/** `seq` and `ack`: the counts, of which the low 32 bits travel. */
export function writeFrame(type: FrameType, ack: number, body: ArrayLike<number> = [], seq = 0, flags = 0): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES + body.length);
  frame.set([type, flags, ...uint(seq, 4), ...uint(ack, 4)]);
  frame.set(body, HEAD_BYTES);
  return frame;
}

/** Null: longer than a HELLO may be. */
export function writeHello(identity: Uint8Array, application: Uint8Array): Uint8Array | null {
  const version = 1;
  if (HEAD_BYTES + 5 + identity.length + application.length > HELLO_BYTES_MAX) return null;
  return writeFrame(FrameType.hello, 0, [version, ...string(identity), ...string(application)]);
}

export function writeResume(secret: Uint8Array, ticket: string, epoch: number, received: number): Uint8Array {
  const fields = [...string(fromChars(ticket)), ...uint(epoch, 4), ...uint(received, 8)];
  const frame = writeFrame(FrameType.resume, 0, [...fields, ...new Uint8Array(SECRET_BYTES)]);
  const proven = frame.subarray(0, -SECRET_BYTES);
  frame.set(hmacSha256(secret, [...toUtf8(PROTOCOL + " resume"), ...proven]), proven.length);
  return frame;
}

/** The item of the sub-protocol list; null where it would be too long. */
export function resumeItem(frame: Uint8Array): string | null {
  const base64url = btoa(toChars(frame)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  const item = PROTOCOL + ".resume." + base64url;
  return item.length > ITEM_CHARS_MAX ? null : item;
}

export const writePing = (type: FrameType.ping | FrameType.pong, number: number | Uint8Array, ack: number) =>
  writeFrame(type, ack, typeof number === "number" ? uint(number, 8) : number);
export const writeClose = (code: number, reason: string, ack: number) =>
  writeFrame(FrameType.close, ack, [...uint(code, 2), ...string(cutReason(toUtf8(reason)))]);
