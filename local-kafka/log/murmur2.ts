/**
 * The Java client's choice of partition for a key: 32-bit murmur2 (Austin Appleby, public domain) with Kafka's seed,
 * the sign bit cleared, modulo the partition count (org.apache.kafka.common.utils.Utils.murmur2 and toPositive).
 */

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** The hash as a signed 32-bit integer, as in Java. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const byte = (i: number): number => bytes[i] ?? 0;
  let h = SEED ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  if (length > whole) {
    for (let i = length - 1; i >= whole; i -= 1) h ^= byte(i) << (8 * (i - whole));
    h = Math.imul(h, M);
  }
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}
