// Judges protobuf bytes before anything is allocated for them: one iterative pass that follows the message types.
// What passes has tags, lengths and wire types in order, and bounded nesting, fields and records; so the decoder behind
// it can neither run away nor overflow, and what is left for it to refuse is text that is not UTF-8.
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { reject, type Rejection } from "../result.ts";
import { MAX_MESSAGE_DEPTH, recordSchemas } from "./request.ts";

const VARINT = 0;
const I64 = 1;
const LEN = 2;
const I32 = 5;

interface FieldPlan {
  name: string;
  wire: number;
  /** The type of a nested message. */
  message: MessagePlan | undefined;
  /** A repeated number may be packed: the wire type of its elements. */
  packed: number | undefined;
}

interface MessagePlan {
  fields: (FieldPlan | undefined)[];
  isRecord: boolean;
  /** Decoded, a message with lists costs twice the heap of a plain one (100 bytes against 170 to 270). */
  cost: number;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

function planOf(desc: DescMessage): MessagePlan {
  const known = plans.get(desc);
  if (known) return known;
  const plan: MessagePlan = { fields: [], isRecord: recordSchemas.has(desc), cost: costOf(desc) };
  // Before its fields: the types are recursive.
  plans.set(desc, plan);
  for (const field of desc.fields) plan.fields[field.number] = planField(field);
  return plan;
}

/** What one message of this type counts against the bound on values. */
export function costOf(desc: DescMessage): number {
  return desc.fields.some((field) => field.fieldKind === "list" && field.listKind === "message") &&
    desc.fields.length > 1
    ? 2
    : 1;
}

function planField(field: DescField): FieldPlan {
  const wire = wireOf(field);
  const packed = field.fieldKind === "list" && wire !== LEN ? wire : undefined;
  return { name: field.name, wire, packed, message: field.message ? planOf(field.message) : undefined };
}

function wireOf(field: DescField): number {
  if (field.message !== undefined) return LEN;
  if (field.scalar === undefined) return VARINT;
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return I64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return I32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return LEN;
    default:
      return VARINT;
  }
}

export interface WireBounds {
  maxRecords: number;
  /** Fields and elements of packed lists; messages with lists and unknown fields count twice. */
  maxValues: number;
}

const TRUNCATED = -1;
const OVERLONG = -2;

/** @returns the first fault of `bytes` as a message of type `desc`, or undefined */
export function scanWire(desc: DescMessage, bytes: Uint8Array, bounds: WireBounds): Rejection | undefined {
  const { maxValues, maxRecords } = bounds;
  const ends = [bytes.length];
  const open = [planOf(desc)];
  let plan = open[0] as MessagePlan;
  let end = bytes.length;
  let pos = 0;
  let values = 0;
  let records = 0;
  for (;;) {
    while (pos === end) {
      ends.pop();
      open.pop();
      if (ends.length === 0) return undefined;
      end = ends[ends.length - 1] as number;
      plan = open[open.length - 1] as MessagePlan;
    }
    const tagAt = pos;
    // A tag is nearly always one byte.
    let tag = bytes[pos] as number;
    if (tag < 0x80) pos++;
    else {
      tag = readUint32(bytes, pos, end);
      if (tag < 0) return broken(tagAt, tag);
      pos += varintLength(bytes, pos);
    }
    const number = tag >>> 3;
    const wire = tag & 7;
    if (number === 0) return malformed(tagAt, "has a field of number 0");
    if (wire === 3 || wire === 4) return malformed(tagAt, "holds a group, which OTLP does not use");
    if (wire > I32) return malformed(tagAt, `has an unknown wire type (${wire})`);
    const field = plan.fields[number];
    // A field that the types do not know is kept as an object of its own, which costs as much as two.
    values += field === undefined ? 2 : 1;
    if (values > maxValues) return tooMany(maxValues);
    const isPacked = wire === LEN && field?.packed !== undefined;
    if (field !== undefined && field.wire !== wire && !isPacked) {
      return malformed(tagAt, `has field ${field.name} with wire type ${wire} instead of ${field.wire}`);
    }
    if (wire === VARINT) {
      const length = varintLength(bytes, pos);
      if (pos + length > end) return broken(tagAt, TRUNCATED);
      if (length > 10) return broken(tagAt, OVERLONG);
      pos += length;
      continue;
    }
    let length = wire === I64 ? 8 : 4;
    if (wire === LEN) {
      length = readUint32(bytes, pos, end);
      if (length < 0) return broken(tagAt, length);
      pos += varintLength(bytes, pos);
    }
    if (length > end - pos) return broken(tagAt, TRUNCATED);
    if (field?.message !== undefined && wire === LEN) {
      plan = field.message;
      values += plan.cost - 1;
      if (plan.isRecord && ++records > maxRecords) {
        return reject("too_many_records", "", `holds more than ${maxRecords} records`).error;
      }
      end = pos + length;
      ends.push(end);
      open.push(plan);
      if (ends.length > MAX_MESSAGE_DEPTH) {
        return reject("too_deep", "", `is nested deeper than ${MAX_MESSAGE_DEPTH} messages`).error;
      }
      continue;
    }
    if (isPacked) {
      const elements = countPacked(bytes, pos, pos + length, field.packed as number);
      if (elements === undefined) return malformed(tagAt, `has a broken list of numbers in ${field.name}`);
      values += elements;
      if (values > maxValues) return tooMany(maxValues);
    }
    pos += length;
  }
}

/** @returns a varint below 2^32, or what is wrong with it */
function readUint32(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    if (at + i >= end) return TRUNCATED;
    const byte = bytes[at + i] as number;
    if (i === 4 && byte > 0x0f) return OVERLONG;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  return OVERLONG;
}

/** Bytes of the varint at `at`; 11 where it has more than the 10 that there can be, or no end. */
function varintLength(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 10; i++) if ((bytes[at + i] ?? 0x80) < 0x80) return i + 1;
  return 11;
}

/** How many numbers a packed list holds; undefined where they do not fill it. */
function countPacked(bytes: Uint8Array, from: number, to: number, wire: number): number | undefined {
  if (wire !== VARINT) {
    const size = wire === I64 ? 8 : 4;
    return (to - from) % size === 0 ? (to - from) / size : undefined;
  }
  let count = 0;
  let length = 0;
  for (let i = from; i < to; i++) {
    if (++length > 10) return undefined;
    if ((bytes[i] as number) < 0x80) {
      count++;
      length = 0;
    }
  }
  return length === 0 ? count : undefined;
}

const tooMany = (maxValues: number): Rejection =>
  reject("too_many_values", "", `holds more than ${maxValues} fields`).error;

const broken = (at: number, fault: number): Rejection =>
  malformed(at, fault === OVERLONG ? "has a varint that is too long" : "ends in the middle of a field");

const malformed = (at: number, what: string): Rejection =>
  reject("malformed_protobuf", "", `is no protobuf message of its kind: it ${what} (at byte ${at})`).error;
