// Changes to a protobuf message by its fields: left out, repeated, moved, renumbered, of another wire type, with lengths
// that lie, nested deeper, spliced from another message, with numbers at the edges of their types.
import { encodeText, mutateBytes, type Bytes } from "./mutate-bytes.ts";
import { newField, parseFields, writeFields, type Field } from "./protobuf-tree.ts";
import type { Random } from "./random.ts";

const EDGE_INTEGERS = [
  0n,
  1n,
  127n,
  128n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
/** Floats as their bytes, little endian: −0, infinities, NaN, Prometheus' stale marker, the smallest, the largest. */
const EDGE_DOUBLES = [
  0x8000000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000001n,
  0x7ff0000000000002n,
  1n,
  0x7fefffffffffffffn,
];
const LIES = [-1, 1, 2, 127, 16_384, 2 ** 20, 2 ** 31, 2 ** 32];

/** @param other bytes of another message, to take parts from */
export function mutateProtobuf(bytes: Uint8Array, random: Random, other: Uint8Array): Bytes {
  const fields = parseFields(bytes);
  if (!fields || random.oneIn(12)) return mutateBytes(bytes, random, other);
  try {
    return mutateFields(fields, random, other);
  } catch (error) {
    // Nested several times over, it is deeper than our own stack.
    if (error instanceof RangeError) return mutateBytes(bytes, random, other);
    throw error;
  }
}

function mutateFields(fields: Field[], random: Random, other: Uint8Array): Bytes {
  for (let changes = random.pick([1, 1, 1, 2, 3, 6]); changes > 0; changes--)
    change(fields, random, parseFields(other) ?? []);
  const written = writeFields(fields);
  return random.oneIn(15) ? mutateBytes(written, random, other) : written;
}

function change(root: Field[], random: Random, other: Field[]): void {
  const list = somewhere(root, random);
  const at = random.below(list.length);
  const field = list[at];
  if (field === undefined) {
    list.push(unknown(random));
    return;
  }
  switch (random.below(14)) {
    case 0:
      list.splice(at, 1);
      return;
    case 1: {
      const times = random.oneIn(60) ? random.between(1_000, 12_000) : random.between(1, 6);
      for (let i = 0; i < times; i++) list.splice(at, 0, field);
      return;
    }
    case 2:
      list.splice(random.below(list.length), 0, ...list.splice(at, 1));
      return;
    case 3:
      list[at] = { ...field, number: random.oneIn(5) ? random.below(2 ** 29) : random.between(0, 24) };
      return;
    case 4:
      list[at] = { ...field, wire: random.below(8), message: undefined };
      return;
    case 5:
      list[at] = { ...field, lie: random.pick(LIES) };
      return;
    case 6:
      list[at] = { ...field, padding: random.between(1, 10) };
      return;
    case 7:
      nest(list, at, random);
      return;
    case 8:
      list.splice(at, 1, ...structuredClone(somewhere(other, random)).slice(0, 20));
      return;
    case 9:
      list.splice(at, 0, unknown(random));
      return;
    case 10:
      // A message where a text was, a text where a message was, or in a place of another kind.
      list.splice(at, 0, { ...structuredClone(random.pick(somewhere(root, random)) ?? field) });
      return;
    default:
      list[at] = { ...field, ...otherValue(field, random) };
  }
}

/** The fields of any message within, the deep ones as likely as those on top. */
function somewhere(root: Field[], random: Random): Field[] {
  const lists: Field[][] = [root];
  for (let i = 0; i < lists.length && lists.length < 400; i++) {
    for (const { message } of lists[i] as Field[]) if (message) lists.push(message);
  }
  return random.pick(lists);
}

function nest(list: Field[], at: number, random: Random): void {
  const field = list[at] as Field;
  const levels = random.oneIn(10) ? random.between(100, 1_500) : random.between(1, 40);
  // The numbers by which values hold values in OTLP: AnyValue.array_value.values, kvlist_value.values.value.
  const numbers = random.pick([[field.number], [5, 1], [6, 1, 2], [2], [1]]);
  let inner = field;
  for (let i = levels; i > 0; i--)
    inner = newField(numbers[i % numbers.length] as number, { message: [inner] });
  list[at] = inner;
}

function otherValue(field: Field, random: Random): Partial<Field> {
  if (field.wire === 0) {
    return { varint: random.oneIn(3) ? random.bits64() : random.pick(EDGE_INTEGERS) };
  }
  if (field.wire !== 2) {
    const value = random.oneIn(2) ? random.pick(EDGE_DOUBLES) : random.bits64();
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return { bytes: bytes.subarray(0, field.bytes.length || 8) };
  }
  const content = field.message ? writeFields(field.message) : field.bytes;
  const bytes = random.pick([
    () => mutateBytes(content, random),
    () => new Uint8Array(0),
    () => new Uint8Array(random.between(1, 24)),
    () => random.bytes(random.between(1, 24)),
    () => encodeText(random.pick(["__proto__", "constructor", "__name__", "service.name", "\u0000", "€"])),
    () => new Uint8Array(random.pick([200, 201, 1_024, 1_025, 70_000])).fill(0x61),
  ])();
  return { bytes, message: undefined };
}

function unknown(random: Random): Field {
  const number = random.pick([random.between(1, 30), 20_001, random.between(1, 2 ** 29 - 1)]);
  const wire = random.pick([0, 1, 2, 5]);
  const length = wire === 1 ? 8 : wire === 5 ? 4 : random.between(0, 12);
  return newField(number, { wire, varint: random.bits64(), bytes: random.bytes(length) });
}
