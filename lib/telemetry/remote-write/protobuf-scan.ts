// Bounds what decoding a protobuf message may allocate, by one pass over its bytes before it: two bytes can make an
// object. It also refuses what is cut short or has the wrong wire type, so that what is decoded afterwards is what was
// weighed here.
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { MAX_JSON_VALUES } from "../limits.ts";
import { ok, reject, type Result } from "../result.ts";

/**
 * What a value weighs, in bytes of a list's slot: a message, a text in a list and an unknown field are objects, an
 * integer of 64 bits in a list is a small one, any other number in a list takes its slot. A field that stands alone
 * belongs to its message.
 */
const OBJECT_WEIGHT = 8;
const BIGINT_WEIGHT = 2;
const NUMBER_WEIGHT = 1;
const MAX_WEIGHT = MAX_JSON_VALUES * OBJECT_WEIGHT;

const MAX_VARINT_BYTES = 10;

interface Field {
  wireType: WireType;
  /** Where packed elements of this wire type may stand in one length-delimited field. */
  isPackable: boolean;
  weight: number;
  message: DescMessage | undefined;
}

interface Frame {
  fields: Map<number, Field>;
  end: number;
}

/** @returns how often each type of message occurs within `bytes`, by its full name, the outermost left out */
export function scanProtobuf(schema: DescMessage, bytes: Uint8Array): Result<Map<string, number>> {
  const counts = new Map<string, number>();
  const cursor = new Cursor(bytes);
  const stack: Frame[] = [];
  let frame: Frame = { fields: fieldsOf(schema), end: bytes.length };
  let weight = 0;
  for (;;) {
    while (cursor.at >= frame.end) {
      const outer = stack.pop();
      if (!outer) return ok(counts);
      frame = outer;
    }
    const tag = cursor.varint32();
    const wireType: WireType = tag & 7;
    const field = frame.fields.get(tag >>> 3);
    const length = wireType === WireType.LengthDelimited ? cursor.varint32() : lengthOf(wireType, cursor);
    // Not `at + length > end`: both are NaN where the bytes have ended.
    if (!(cursor.at + length <= frame.end) || tag >>> 3 === 0) return malformed("is cut short or damaged");
    const isPacked = field?.isPackable === true && wireType === WireType.LengthDelimited;
    if (field && !isPacked && wireType !== field.wireType)
      return malformed("has a field of another wire type");
    if (field?.message) {
      counts.set(field.message.typeName, (counts.get(field.message.typeName) ?? 0) + 1);
      stack.push(frame);
      frame = { fields: fieldsOf(field.message), end: cursor.at + length };
    } else {
      if (isPacked) {
        const elements = elementsIn(cursor, length, field.wireType);
        if (!Number.isInteger(elements)) return malformed("has a list that breaks off within a number");
        weight += field.weight * (elements - 1);
      }
      cursor.at += length;
    }
    weight += field ? field.weight : OBJECT_WEIGHT;
    if (weight > MAX_WEIGHT) {
      return reject(
        "too_many_values",
        "",
        `must hold at most ${MAX_JSON_VALUES} values; send several requests`,
      );
    }
  }
}

/** The bytes of a field's value that has no length before it; NaN for a group, which proto3 does not have. */
function lengthOf(wireType: WireType, cursor: Cursor): number {
  switch (wireType) {
    case WireType.Varint:
      return cursor.varintLength();
    case WireType.Bit64:
      return 8;
    case WireType.Bit32:
      return 4;
    default:
      return Number.NaN;
  }
}

/** How many packed numbers stand in the next bytes; no integer where one of them breaks off or never ends. */
function elementsIn({ bytes, at: start }: Cursor, length: number, wireType: WireType): number {
  if (wireType === WireType.Bit64) return length / 8;
  if (wireType === WireType.Bit32) return length / 4;
  let count = 0;
  let open = 0;
  for (let at = start; at < start + length; at++) {
    open++;
    if ((bytes[at] as number) < 0x80) {
      count++;
      open = 0;
    } else if (open === MAX_VARINT_BYTES) return Number.NaN;
  }
  return open === 0 ? count : Number.NaN;
}

class Cursor {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** NaN where there is none within 32 bits. */
  varint32(): number {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = this.bytes[this.at++] ?? Number.NaN;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value < 2 ** 32 ? value : Number.NaN;
    }
    return Number.NaN;
  }

  varintLength(): number {
    for (let length = 1; length <= MAX_VARINT_BYTES; length++) {
      if ((this.bytes[this.at + length - 1] ?? 0xff) < 0x80) return length;
    }
    return Number.NaN;
  }
}

const known = new WeakMap<DescMessage, Map<number, Field>>();

function fieldsOf(schema: DescMessage): Map<number, Field> {
  let fields = known.get(schema);
  if (!fields) {
    fields = new Map(schema.fields.map((field) => [field.number, describe(field)]));
    known.set(schema, fields);
  }
  return fields;
}

function describe(field: DescField): Field {
  const isList = field.fieldKind === "list";
  const scalar = field.scalar ?? (field.enum ? ScalarType.INT32 : undefined);
  if (scalar === undefined) {
    return {
      wireType: WireType.LengthDelimited,
      isPackable: false,
      weight: OBJECT_WEIGHT,
      message: field.message,
    };
  }
  const wireType = wireTypeOf(scalar);
  const isText = wireType === WireType.LengthDelimited;
  const weight = isText ? OBJECT_WEIGHT : isBigint(scalar) ? BIGINT_WEIGHT : NUMBER_WEIGHT;
  return { wireType, isPackable: isList && !isText, weight: isList ? weight : 0, message: undefined };
}

function wireTypeOf(scalar: ScalarType): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

function isBigint(scalar: ScalarType): boolean {
  switch (scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return true;
    default:
      return false;
  }
}

function malformed(message: string): Result<never> {
  return reject("malformed_protobuf", "", `is not the protobuf message it should be: it ${message}`);
}
