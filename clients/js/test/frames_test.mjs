// The codec over spec/vectors: what a client writes has to be what the vectors have, byte for byte; what it reads likewise.
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";
import { decode, hex, messageOf, NAMES, rejoin, unhex, vectors } from "./support.mjs";

const frames = vectors("frames.json");
const proofs = vectors("proofs.json");
const GATEWAYS = ["WELCOME", "RESUMED", "TICKET", "DETACH", "DATA", "ACK", "PING", "PONG", "CLOSE"];

/** Counts are read as numbers: exact up to 2^53, and a session's are. */
const rounded = (fields) => {
  const plain = { ...fields };
  for (const wide of ["received", "next", "last"]) if (wide in plain) plain[wide] = String(Number(plain[wide]));
  if (plain.type === "DATA" && plain.text === undefined) plain.hex = hex(messageOf(plain).bytes);
  delete plain.zeros;
  return plain;
};

test("frames of a gateway are read as the vectors say", () => {
  let read = 0;
  for (const { name, hex: bytes, frame } of frames.good) {
    if (!GATEWAYS.includes(frame.type) && !frame.type.startsWith("0x")) continue;
    assert.deepEqual(decode(unhex(bytes)), rounded(frame), name);
    ++read;
  }
  assert.ok(read > 35, `${read} frames`);
});

test("frames that are bad are refused, also cut at every byte", () => {
  let refused = 0;
  for (const { name, hex: bytes, why } of frames.bad) {
    const type = NAMES[unhex(bytes)[0]];
    if (type === "HELLO" || type === "RESUME") continue;  // a client reads none of these: they are bad from a gateway
    assert.equal(decode(unhex(bytes)), null, `${name}: ${why}`);
    ++refused;
  }
  assert.ok(refused > 25, `${refused} frames`);
  for (const { name, hex: bytes, frame, canonical } of frames.good) {
    if (!canonical || !["WELCOME", "RESUMED", "TICKET", "DETACH", "PING", "PONG", "CLOSE"].includes(frame.type)) continue;
    const whole = unhex(bytes);
    for (let length = 0; length < whole.length; ++length) assert.equal(decode(whole.subarray(0, length)), null, `${name}, ${length} bytes`);
  }
});

test("frames of a client are written as the vectors say", () => {
  const { writeHello, writeResume, writeFrame, writePing, writeClose } = rejoin;
  const secret = unhex(frames.secret);
  const writers = {
    HELLO: (f) => f.version === 1 && writeHello(unhex(f.identity), unhex(f.application)),
    RESUME: (f) => Number.isSafeInteger(Number(f.received)) && writeResume(secret, f.ticket, f.epoch, Number(f.received)),
    DATA: (f) => writeFrame(0x10, f.ack, messageOf(f).bytes, f.seq, f.flags),
    ACK: (f) => writeFrame(0x11, f.ack),
    PING: (f) => writePing(0x12, Number(f.number), f.ack),
    PONG: (f) => writePing(0x13, unhex(BigInt(f.number).toString(16).padStart(16, "0")), f.ack),
    CLOSE: (f) => writeClose(f.code, f.reason, f.ack),
  };
  let written = 0;
  for (const { name, hex: bytes, frame, canonical } of frames.good) {
    const found = canonical && writers[frame.type]?.(frame);
    if (!found) continue;
    assert.equal(hex(found), bytes, name);
    ++written;
  }
  assert.ok(written >= 10, `${written} frames`);
});

test("counts above 2^32 travel as their low 32 bits", () => {
  const frame = rejoin.writeFrame(0x10, 2 ** 40 + 7, [], 2 ** 32 + 1);
  assert.equal(hex(frame), "1000" + "00000001" + "00000007");
  assert.equal(hex(rejoin.writeResume(new Uint8Array(32), "t", 2, 2 ** 45 + 3)).slice(34, 50), "0000200000000003".slice(0, 16));
});

test("unwrap takes the nearest count, and none below zero", () => {
  const cases = [
    [0, 0, 0],
    [5, 3, 5],
    [0xffffffff, 2 ** 32, 2 ** 32 - 1],
    [1, 2 ** 32 - 1, 2 ** 32 + 1],
    [0xffffffff, 0, 2 ** 32 - 1],
    [0x80000000, 2 ** 33, 2 ** 33 - 2 ** 31],
    [7, 2 ** 50 + 9, 2 ** 50 + 7],
  ];
  for (const [wire, near, count] of cases) assert.equal(rejoin.unwrap(wire, near), count, `${wire} near ${near}`);
});

test("resumes, their proofs and items are those of the vectors", () => {
  let compared = 0;
  for (const { name, secret, ticket, epoch, received, later, frame, item } of proofs.good) {
    if (later !== "" || !Number.isSafeInteger(Number(received))) continue;
    const written = rejoin.writeResume(unhex(secret), ticket, epoch, Number(received));
    assert.equal(hex(written), frame, name);
    assert.equal(rejoin.resumeItem(written), item, name);
    ++compared;
  }
  assert.ok(compared >= 3, `${compared} proofs`);
  // The proofs of frames that a later client writes, and of those with the highest counts.
  for (const { name, secret, frame, proof } of proofs.good) {
    const proven = [...Buffer.from("rejoin.v1 resume"), ...unhex(frame).subarray(0, -32)];
    assert.equal(hex(rejoin.hmacSha256(unhex(secret), proven)), proof, name);
  }
  for (const { name, secret, frame } of proofs.wrong) {
    const bytes = unhex(frame);
    const proven = [...Buffer.from("rejoin.v1 resume"), ...bytes.subarray(0, -32)];
    assert.notEqual(hex(rejoin.hmacSha256(unhex(secret), proven)), hex(bytes.subarray(-32)), name);
  }
  assert.equal(rejoin.resumeItem(new Uint8Array(1600)), null, "too long for the list");
});

test("SHA-256 and HMAC are those of OpenSSL, at every length up to three blocks", () => {
  for (let length = 0; length <= 192; ++length) {
    const message = randomBytes(length);
    const key = randomBytes(32);
    assert.equal(hex(rejoin.sha256(message)), createHash("sha256").update(message).digest("hex"), `${length} bytes`);
    assert.equal(hex(rejoin.hmacSha256(key, message)), createHmac("sha256", key).update(message).digest("hex"));
  }
});

test("the roots of primes leave a margin that no engine's last bits can cross", () => {
  // If a root's fraction, scaled to 2^32, lay next to an integer, another rounding of sqrt or cbrt gave another constant.
  const primes = [];
  for (let number = 2; primes.length < 64; ++number) if (primes.every((prime) => number % prime)) primes.push(number);
  for (const prime of primes) {
    for (const root of [Math.sqrt(prime), Math.cbrt(prime)]) {
      const fraction = (root * 2 ** 32) % 1;
      const margin = Math.min(fraction, 1 - fraction) / 2 ** 32;
      assert.ok(margin > 64 * Number.EPSILON * root, `${prime}: ${fraction}`);
    }
  }
});

test("a reason is cut at 100 bytes, at a character's border", () => {
  const euros = "€".repeat(40);  // 3 bytes each
  const frame = rejoin.writeClose(1000, euros, 0);
  assert.equal(frame.length, 10 + 2 + 2 + 99);
  assert.equal(rejoin.readFields(frame.subarray(10), rejoin.CLOSE)[1], "€".repeat(33));
});
