// A protobuf message as a tree of fields that knows no schema, and back to bytes: also to bytes that lie about lengths,
// spell their varints too long, or end early. What looks like a message inside a field is read as one.
import { joinedAll, type Bytes } from "./mutate-bytes.ts";

export interface Field {
  number: number;
  wire: number;
  /** Of wire type 0; any 64 bits. */
  varint: bigint;
  /** Of wire types 1 and 5 the value, of 2 what the length counts, unless it is a message. */
  bytes: Uint8Array;
  message: Field[] | undefined;
  /** Added to the length that is written. */
  lie: number;
  /** Bytes of continuation that each varint of the field gets and does not need. */
  padding: number;
}

export function newField(number: number, part: Partial<Field> = {}): Field {
  const none = { varint: 0n, bytes: new Uint8Array(0), message: undefined, lie: 0, padding: 0 };
  return { number, wire: 2, ...none, ...part };
}

/** @returns undefined where the bytes are no message */
export function parseFields(bytes: Uint8Array, depth = 0): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined || tag < 8n || tag > 0xffff_ffffn) return undefined;
    const field = newField(Number(tag >> 3n), { wire: Number(tag & 7n) });
    if (field.wire === 0) {
      const value = varint();
      if (value === undefined) return undefined;
      field.varint = value;
    } else {
      const length = field.wire === 2 ? varint() : field.wire === 1 ? 8n : field.wire === 5 ? 4n : undefined;
      if (length === undefined || length > BigInt(bytes.length - at)) return undefined;
      field.bytes = bytes.subarray(at, at + Number(length));
      at += Number(length);
      if (field.wire === 2 && field.bytes.length > 1 && depth < 12)
        field.message = parseFields(field.bytes, depth + 1);
    }
    fields.push(field);
  }
  return fields;
}

export function varintBytes(value: bigint, padding = 0): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  for (let i = 0; i < padding; i++) {
    bytes[bytes.length - 1] = (bytes.at(-1) as number) | 0x80;
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

export function writeFields(fields: readonly Field[]): Bytes {
  const parts: Uint8Array[] = [];
  for (const { number, wire, varint, bytes, message, lie, padding } of fields) {
    parts.push(varintBytes((BigInt(number) << 3n) | BigInt(wire), padding));
    if (wire === 0) parts.push(varintBytes(varint, padding));
    else if (wire === 2) {
      const content = message ? writeFields(message) : bytes;
      parts.push(varintBytes(BigInt(content.length + lie), padding), content);
    } else parts.push(bytes);
  }
  return joinedAll(parts);
}
