// Which partition a key belongs to: as the Java client's default partitioner has it, so that Weir and every other
// producer put a key into the same partition. murmur2, made positive, modulo the partition count
// (org.apache.kafka.common.utils.Utils#murmur2 and #toPositive; golden vectors in test/fixtures/partitioner).

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** MurmurHash 2 (32 bits) with Kafka's seed, as a signed integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let h = (SEED ^ length) | 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const words = length >>> 2;
  for (let i = 0; i < words; i++) {
    let k = Math.imul(view.getInt32(i * 4, true), M);
    k ^= k >>> R;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const tail = words * 4;
  const rest = length - tail;
  if (rest >= 3) h ^= view.getUint8(tail + 2) << 16;
  if (rest >= 2) h ^= view.getUint8(tail + 1) << 8;
  if (rest >= 1) h = Math.imul(h ^ view.getUint8(tail), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** @param partitionCount of the topic, at least 1 */
export function partitionOf(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount;
}
