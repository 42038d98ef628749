// HMAC-SHA256 (RFC 2104, FIPS 180-4), since crypto.subtle is missing on plain http pages, and answers a turn later where it is
// there: the proof has to stand before the WebSocket is made. For short inputs: a RESUME has at most 1,024 bytes.

const BLOCK_BYTES = 64;

// The standard's constants are the first 32 bits of the fractions of the roots of primes; computed, they cost no download.
// The tests show that a double's precision is enough by far.
const rounds: number[] = [];
const start: number[] = [];
for (let number = 2; rounds.length < 64; ++number) {
  let divisor = 2;
  while (number % divisor) ++divisor;
  if (divisor < number) continue;
  start.push((Math.sqrt(number) * 2 ** 32) | 0);
  rounds.push((Math.cbrt(number) * 2 ** 32) | 0);
}

export function sha256(message: ArrayLike<number>): Uint8Array {
  // One bit, zeros, and the length in bits, in whole blocks.
  const { length } = message;
  const padded = new Uint8Array(Math.ceil((length + 9) / BLOCK_BYTES) * BLOCK_BYTES);
  const view = new DataView(padded.buffer);
  padded.set(message);
  padded[length] = 0x80;
  view.setUint32(padded.length - 4, length * 8);

  let hash = start.slice(0, 8);
  const words: number[] = [];
  for (let block = 0; block < padded.length; block += BLOCK_BYTES) {
    let [a, b, c, d, e, f, g, h] = hash as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; ++i) {
      const mix = (word: number, x: number, y: number, z: number) => rotate(word, x) ^ rotate(word, y) ^ z;
      const near = words[i - 2]!;
      const far = words[i - 15]!;
      words[i] =
        i < 16
          ? view.getInt32(block + i * 4)
          : (mix(near, 17, 19, near >>> 10) + words[i - 7]! + mix(far, 7, 18, far >>> 3) + words[i - 16]!) | 0;
      const first = h + mix(e, 6, 11, rotate(e, 25)) + ((e & f) ^ (~e & g)) + rounds[i]! + words[i]!;
      const second = mix(a, 2, 13, rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
    }
    hash = [a, b, c, d, e, f, g, h].map((word, i) => (word + hash[i]!) | 0);
  }
  hash.forEach((word, i) => view.setInt32(i * 4, word));
  return padded.slice(0, 32);
}

const rotate = (word: number, bits: number) => (word >>> bits) | (word << (32 - bits));

/** `key`: at most a block, 64 bytes. */
export function hmacSha256(key: Uint8Array, message: ArrayLike<number>): Uint8Array {
  const keyed = (mask: number, text: ArrayLike<number>) =>
    sha256([...Array.from({ length: BLOCK_BYTES }, (_, i) => (key[i] ?? 0) ^ mask), ...Array.from(text)]);
  return keyed(0x5c, keyed(0x36, message));
}
