// Changes to bytes that know nothing of what they mean.
import type { Random } from "./random.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** TextEncoder's own bytes, which its type in Node does not tell. */
export const encodeText = (text: string): Bytes => new Uint8Array(new TextEncoder().encode(text));

export function joined(...parts: readonly Uint8Array[]): Bytes {
  return joinedAll(parts);
}

export function joinedAll(parts: readonly Uint8Array[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Bytes that begin or end something in one of the formats. */
const TELLING = [
  0x00, 0x01, 0x0a, 0x22, 0x2c, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xed, 0xfe, 0xff,
];

export function mutateBytes(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Bytes {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + random.between(1, random.oneIn(4) ? 64 : 4));
  switch (random.below(8)) {
    case 0:
    case 1: {
      const flipped = new Uint8Array(bytes);
      for (let n = random.between(1, 4); n > 0 && flipped.length > 0; n--) {
        const place = random.below(flipped.length);
        flipped[place] = (flipped[place] as number) ^ (1 << random.below(8));
      }
      return flipped;
    }
    case 2: {
      const set = new Uint8Array(bytes);
      if (at < set.length) set[at] = random.pick(TELLING);
      return set;
    }
    case 3:
      return joined(bytes.subarray(0, at), random.bytes(random.between(1, 8)), bytes.subarray(at));
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(to));
    case 5:
      return new Uint8Array(bytes.subarray(0, at));
    case 6:
      return joined(bytes.subarray(0, to), bytes.subarray(at));
    default:
      return joined(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)));
  }
}
