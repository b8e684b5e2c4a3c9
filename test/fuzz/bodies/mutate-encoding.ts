// Bodies under gzip and deflate: as they should be, cut short, with a wrong checksum, of several members, with something
// behind them, and some that unpack to more than the limit.
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { joined, joinedAll, mutateBytes, type Bytes } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

let bomb: Bytes | undefined;

export function encodeBody(bytes: Uint8Array, random: Random): { encoding: string; body: Bytes } {
  const level = random.pick([0, 1]);
  const gzip = (part: Uint8Array) => gzipSync(part, { level });
  const half = random.below(bytes.length + 1);
  const [encoding, body] = random.pick<() => [string, Uint8Array]>([
    () => ["gzip", gzip(bytes)],
    () => [random.pick(["x-gzip", "GZIP", " gzip "]), gzip(bytes)],
    () => ["deflate", deflateSync(bytes, { level })],
    () => ["deflate", deflateRawSync(bytes, { level })],
    () => ["gzip", joined(gzip(bytes.subarray(0, half)), gzip(bytes.subarray(half)))],
    () => ["gzip", joined(gzip(bytes), random.bytes(random.between(1, 40)))],
    () => ["gzip", joined(gzip(bytes), new Uint8Array(random.between(1, 40)))],
    () => ["gzip", cut(gzip(bytes), random)],
    () => ["gzip", wrongSum(gzip(bytes), random)],
    () => [random.pick(["gzip", "deflate"]), mutateBytes(gzip(bytes), random)],
    () => [random.pick(["gzip", "deflate"]), bytes],
    () => [random.pick(["br", "gzip, gzip", "zstd", "identity", "constructor", ""]), bytes],
    () => [
      "gzip",
      random.oneIn(20) ? (bomb ??= new Uint8Array(gzipSync(new Uint8Array(11 * 1024 * 1024)))) : gzip(bytes),
    ],
    () => ["gzip", repeated(gzip(bytes.subarray(0, 4)), random.between(2, 200))],
  ])();
  return { encoding, body: new Uint8Array(body) };
}

const repeated = (member: Uint8Array, times: number): Bytes =>
  joinedAll(Array.from({ length: times }, () => member));

const cut = (bytes: Uint8Array, random: Random): Uint8Array => bytes.subarray(0, random.below(bytes.length));

/** The last eight bytes are checksum and length. */
function wrongSum(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = new Uint8Array(bytes);
  const at = changed.length - random.between(1, 8);
  changed[at] = (changed[at] as number) ^ (1 << random.below(8));
  return changed;
}
