// Writes messages as OTLP/JSON: the inverse of json-decode.ts. Fields at their default are left out, as protobuf does;
// 64-bit integers are texts, enums numbers, trace and span ids hexadecimal.
import { Buffer } from "node:buffer";
import { ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { JsonObject, JsonValue } from "../json-value.ts";
import { isDoubleInBits, isHexId } from "./json-fields.ts";
import { writeDouble, writeDoubleBits } from "./json-numbers.ts";

type Write = (value: unknown) => JsonValue;

interface FieldPlan {
  jsonName: string;
  localName: string;
  /** A field with a presence of its own is written at its default too. */
  isDefault: ((value: unknown) => boolean) | undefined;
  write: Write;
}

interface MessagePlan {
  fields: FieldPlan[];
  /** By the oneof's name, its cases by theirs. */
  oneofs: { localName: string; cases: Map<string, FieldPlan> }[];
}

const plans = new WeakMap<DescMessage, MessagePlan>();

/** A message is nested at most as deep as the decoders let it be. Fields that the types do not know are left out. */
export function messageToJson(desc: DescMessage, message: Message): JsonObject {
  return writeMessage(planOf(desc), message);
}

function planOf(desc: DescMessage): MessagePlan {
  const known = plans.get(desc);
  if (known) return known;
  const plan: MessagePlan = { fields: [], oneofs: [] };
  plans.set(desc, plan);
  for (const field of desc.fields) if (field.oneof === undefined) plan.fields.push(planField(field));
  for (const oneof of desc.oneofs) {
    const cases = new Map(oneof.fields.map((field) => [field.localName, planField(field)]));
    plan.oneofs.push({ localName: oneof.localName, cases });
  }
  return plan;
}

function planField(field: DescField): FieldPlan {
  const write = writerOf(field);
  const isList = field.fieldKind === "list";
  return {
    jsonName: field.jsonName,
    localName: field.localName,
    isDefault: isList
      ? (value) => (value as unknown[]).length === 0
      : field.oneof !== undefined || field.message !== undefined || field.proto.proto3Optional
        ? undefined
        : isScalarDefault,
    write: isList ? (value) => (value as unknown[]).map((element) => write(element)) : write,
  };
}

function isScalarDefault(value: unknown): boolean {
  return (
    value === 0 ||
    value === "" ||
    value === 0n ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function writeMessage(plan: MessagePlan, message: Message): JsonObject {
  const json: JsonObject = {};
  const source = message as unknown as Record<string, unknown>;
  for (const field of plan.fields) {
    const value = source[field.localName];
    if (value === undefined || field.isDefault?.(value)) continue;
    json[field.jsonName] = field.write(value);
  }
  for (const oneof of plan.oneofs) {
    const chosen = source[oneof.localName] as { case?: string; value?: unknown };
    const field = chosen.case === undefined ? undefined : oneof.cases.get(chosen.case);
    if (field) json[field.jsonName] = field.write(chosen.value);
  }
  return json;
}

function writerOf(field: DescField): Write {
  if (field.message !== undefined) {
    const plan = planOf(field.message);
    return (value) => writeMessage(plan, value as Message);
  }
  if (isHexId(field)) return (value) => textOfBytes(value as Uint8Array, "hex");
  if (isDoubleInBits(field)) return (value) => writeDoubleBits(value as bigint);
  switch (field.scalar) {
    case ScalarType.BYTES:
      return (value) => textOfBytes(value as Uint8Array, "base64");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return (value) => writeDouble(value as number);
    default:
      return (value) => (typeof value === "bigint" ? value.toString() : (value as JsonValue));
  }
}

export function textOfBytes(bytes: Uint8Array, encoding: "hex" | "base64"): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
}
