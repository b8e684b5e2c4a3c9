// A snappy block as its elements, for changes to tags, offsets and lengths, and to the length it declares
// (github.com/google/snappy, format_description.txt). Written apart from the decoder under test.
import { joined, joinedAll, mutateBytes, type Bytes } from "./mutate-bytes.ts";
import { varintBytes } from "./protobuf-tree.ts";
import type { Random } from "./random.ts";

/** A literal has bytes; a copy has a kind (1, 2 or 3), a length and a distance. */
type Element = { bytes: Uint8Array } | { kind: number; length: number; distance: number };

/** In literals, with copies where bytes repeat. */
export function toSnappy(bytes: Uint8Array, random: Random): Bytes {
  return joinedAll([varintBytes(BigInt(bytes.length)), ...elementsOf(bytes, random).map(spell)]);
}

export function mutateSnappy(bytes: Uint8Array, random: Random): Bytes {
  const elements = elementsOf(bytes, random);
  for (let changes = random.between(1, 3); changes > 0; changes--) changeOne(elements, random);
  const declared = random.oneIn(3)
    ? random.pick([0, bytes.length - 1, bytes.length + 1, 10 * 1024 * 1024, 2 ** 32 - 1, 2 ** 35])
    : bytes.length;
  const head = varintBytes(BigInt(Math.max(0, declared)), random.oneIn(10) ? random.between(1, 6) : 0);
  const written = joinedAll([head, ...elements.map(spell)]);
  return random.oneIn(4) ? mutateBytes(written, random) : written;
}

function changeOne(elements: Element[], random: Random): void {
  const at = random.below(elements.length);
  const copy = {
    kind: random.between(1, 3),
    length: random.pick([1, 4, 11, 60, 64]),
    distance: random.pick([0, 1, 2, 7, 2_047, 65_535, 2 ** 31, 2 ** 32 - 1]),
  };
  const element = elements[at];
  const kind = element === undefined ? 0 : random.below(4);
  if (element === undefined || kind === 0) elements.splice(at, 0, copy);
  else if (kind === 1) elements.splice(at, 1);
  else if (kind === 2) elements.splice(at, 0, element);
  else elements[at] = "bytes" in element ? { bytes: mutateBytes(element.bytes, random) } : copy;
}

function elementsOf(bytes: Uint8Array, random: Random): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const copy = copyAt(bytes, at);
    if (copy) {
      elements.push(copy);
      at += copy.length;
      continue;
    }
    const end = Math.min(bytes.length, at + random.pick([1, 8, 60, 61, 300, 70_000]));
    elements.push({ bytes: bytes.subarray(at, end) });
    at = end;
  }
  return elements;
}

const COPY_BYTES = 4;
const WINDOW = 64;

/** A copy of four bytes from close behind. */
function copyAt(
  bytes: Uint8Array,
  at: number,
): { kind: number; length: number; distance: number } | undefined {
  if (at + COPY_BYTES > bytes.length) return undefined;
  for (let distance = 1; distance <= Math.min(WINDOW, at); distance++) {
    let length = 0;
    while (length < COPY_BYTES && bytes[at + length] === bytes[at + length - distance]) length++;
    if (length === COPY_BYTES) return { kind: 1, length, distance };
  }
  return undefined;
}

function spell(element: Element): Uint8Array {
  if ("bytes" in element) {
    const length = element.bytes.length - 1;
    if (length < 0) return new Uint8Array(0);
    if (length < 60) return joined(Uint8Array.of(length << 2), element.bytes);
    return joined(
      Uint8Array.of(62 << 2, length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff),
      element.bytes,
    );
  }
  const { kind, length, distance } = element;
  if (kind === 1)
    return Uint8Array.of(1 | (((length - 4) & 7) << 2) | ((distance >> 8) << 5), distance & 0xff);
  const tag = kind | ((length - 1) << 2);
  const places = kind === 2 ? [0, 8] : [0, 8, 16, 24];
  return Uint8Array.of(tag, ...places.map((shift) => (distance >>> shift) & 0xff));
}
