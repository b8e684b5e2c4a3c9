// SHA-256 (FIPS 180-4) of a short text, as far as claims need it: one for each record with an id of its own. In workerd
// the runtime's own takes 2.7 times as long, most of it on the way there and back; in Node they are alike.
import { createHash } from "node:crypto";

/** A longer text goes to the runtime. */
const MAX_BYTES = 1_000;

export interface ShortHash {
  /** Bytes 0 to 15, in hexadecimal. */
  key: string;
  /** Bytes 16 to 21, as a number. */
  number48: number;
}

/** Scratch of one call: nothing waits in it. */
const bytes = new Uint8Array(MAX_BYTES * 3 + 128);
const words = new Int32Array(64);
const state = new Int32Array(8);
const utf8 = new TextEncoder();

const PRIMES = firstPrimes(64);
const ROUNDS = Int32Array.from(PRIMES, (prime) => fractionBits(Math.cbrt(prime)));
const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => fractionBits(Math.sqrt(prime)));

export function shortHash(text: string): ShortHash {
  if (text.length > MAX_BYTES) return byRuntime(text);
  const { written: length } = utf8.encodeInto(text, bytes);
  // A one bit, zeros, and the length in bits in the last eight bytes.
  const end = (length + 72) & ~63;
  bytes[length] = 0x80;
  bytes.fill(0, length + 1, end);
  bytes[end - 1] = (length << 3) & 0xff;
  bytes[end - 2] = (length >>> 5) & 0xff;
  bytes[end - 3] = length >>> 13;
  state.set(START);
  for (let at = 0; at < end; at += 64) addBlock(at);
  return {
    key: hex(0) + hex(1) + hex(2) + hex(3),
    number48: ((state[4] as number) >>> 0) * 0x1_0000 + ((state[5] as number) >>> 16),
  };
}

function byRuntime(text: string): ShortHash {
  const digest = createHash("sha256").update(text).digest("hex");
  return { key: digest.slice(0, 32), number48: Number.parseInt(digest.slice(32, 44), 16) };
}

function addBlock(at: number): void {
  for (let i = 0; i < 16; i++) {
    const from = at + i * 4;
    words[i] =
      ((bytes[from] as number) << 24) |
      ((bytes[from + 1] as number) << 16) |
      ((bytes[from + 2] as number) << 8) |
      (bytes[from + 3] as number);
  }
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15] as number;
    const y = words[i - 2] as number;
    const small0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const small1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = ((words[i - 16] as number) + small0 + (words[i - 7] as number) + small1) | 0;
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let i = 0; i < 64; i++) {
    const big1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const chosen = (e & f) ^ (~e & g);
    const first = (h + big1 + chosen + (ROUNDS[i] as number) + (words[i] as number)) | 0;
    const big0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + big0 + majority) | 0;
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
  state[4] = (state[4] as number) + e;
  state[5] = (state[5] as number) + f;
  state[6] = (state[6] as number) + g;
  state[7] = (state[7] as number) + h;
}

function hex(place: number): string {
  return ((state[place] as number) >>> 0).toString(16).padStart(8, "0");
}

/** The first 32 bits behind the point. */
function fractionBits(root: number): number {
  return Math.trunc((root % 1) * 2 ** 32) | 0;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}
