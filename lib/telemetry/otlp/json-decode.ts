// Reads OTLP/JSON into messages, by the message types. It differs from protobuf's own JSON form (OTLP 1.x, "JSON
// Protobuf Encoding"): trace and span ids are hexadecimal, enums are numbers (names are taken too), keys are
// lowerCamelCase only, and what is not known is passed over. Every fault names its place, as in
// `resourceLogs[0].scopeLogs[0].logRecords[2].traceId`.
import { Buffer } from "node:buffer";
import {
  create,
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { joinPath } from "../json-value.ts";
import { MAX_JSON_VALUES } from "../limits.ts";
import type { Reason } from "../reasons.ts";
import { ok, reject, type Result } from "../result.ts";
import { isDoubleInBits, isHexId } from "./json-fields.ts";
import { readDoubleBits, readDouble, readInteger } from "./json-numbers.ts";
import { MAX_MESSAGE_DEPTH, recordSchemas } from "./request.ts";
import { costOf } from "./wire-scan.ts";

/** What was found wrong, and on the way up the steps to it, innermost first. */
class Fault {
  readonly steps: (string | number)[] = [];
  readonly reason: Reason;
  readonly message: string;
  constructor(reason: Reason, message: string) {
    this.reason = reason;
    this.message = message;
  }
  at(step: string | number): this {
    this.steps.push(step);
    return this;
  }
}

/** What one body may still make. */
interface Budget {
  values: number;
  records: number;
}

type Read = (value: unknown, budget: Budget, depth: number) => unknown;

interface FieldPlan {
  localName: string;
  oneof: string | undefined;
  isList: boolean;
  read: Read;
}

interface MessagePlan {
  desc: DescMessage;
  fields: Map<string, FieldPlan>;
  isRecord: boolean;
  cost: number;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

/** @param maxRecords log records, data points and spans in all */
export function messageFromJson(desc: DescMessage, json: unknown, maxRecords: number): Result<Message> {
  const budget = { values: MAX_JSON_VALUES, records: maxRecords };
  const message = readMessage(planOf(desc), json, budget, 1);
  return message instanceof Fault
    ? reject(message.reason, spell(message.steps), message.message)
    : ok(message);
}

/** Paths in an answer stay short: a value nested deep is named by its first steps. */
const MAX_PATH_STEPS = 24;

function spell(innermostFirst: (string | number)[]): string {
  const steps = innermostFirst.toReversed();
  const path = steps.slice(0, MAX_PATH_STEPS).reduce<string>((path, step) => joinPath(path, step), "");
  return steps.length > MAX_PATH_STEPS ? `${path}…` : path;
}

function planOf(desc: DescMessage): MessagePlan {
  const known = plans.get(desc);
  if (known) return known;
  const plan = {
    desc,
    fields: new Map<string, FieldPlan>(),
    isRecord: recordSchemas.has(desc),
    cost: costOf(desc),
  };
  plans.set(desc, plan);
  for (const field of desc.fields) {
    plan.fields.set(field.jsonName, {
      localName: field.localName,
      oneof: field.oneof?.localName,
      isList: field.fieldKind === "list",
      read: readerOf(field),
    });
  }
  return plan;
}

function readMessage(plan: MessagePlan, json: unknown, budget: Budget, depth: number): Message | Fault {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return new Fault("wrong_type", "must be an object");
  }
  if (depth > MAX_MESSAGE_DEPTH) {
    return new Fault("too_deep", `is nested deeper than ${MAX_MESSAGE_DEPTH} messages`);
  }
  budget.values -= plan.cost;
  if (budget.values < 0) return new Fault("too_many_values", `is beyond ${MAX_JSON_VALUES} values`);
  if (plan.isRecord && --budget.records < 0) return new Fault("too_many_records", "is one record too many");
  const message = create(plan.desc);
  const target = message as unknown as Record<string, unknown>;
  for (const key in json) {
    const field = plan.fields.get(key);
    if (field === undefined) continue;
    const value = (json as Record<string, unknown>)[key];
    if (value === null) continue;
    const read = field.isList
      ? readList(field.read, value, budget, depth)
      : field.read(value, budget, depth + 1);
    if (read instanceof Fault) return read.at(key);
    if (field.oneof === undefined) target[field.localName] = read;
    else {
      const { case: taken } = target[field.oneof] as { case?: string };
      if (taken !== undefined)
        return new Fault("wrong_type", `stands beside ${taken}; give one of them`).at(key);
      target[field.oneof] = { case: field.localName, value: read };
    }
  }
  return message;
}

function readList(read: Read, value: unknown, budget: Budget, depth: number): unknown[] | Fault {
  if (!Array.isArray(value)) return new Fault("wrong_type", "must be a list");
  const list: unknown[] = [];
  for (let i = 0; i < value.length; i++) {
    const element = read(value[i], budget, depth + 1);
    if (element instanceof Fault) return element.at(i);
    list.push(element);
  }
  return list;
}

function readerOf(field: DescField): Read {
  if (field.message !== undefined) {
    const plan = planOf(field.message);
    return (value, budget, depth) => readMessage(plan, value, budget, depth);
  }
  if (field.enum !== undefined) return enumReader(field.enum);
  if (isHexId(field)) return readHex;
  if (isDoubleInBits(field)) {
    return (value) =>
      readDoubleBits(value) ?? new Fault("wrong_type", 'must be a number, or "NaN", "Infinity", "-Infinity"');
  }
  return scalarReader(field.scalar ?? ScalarType.STRING);
}

function scalarReader(scalar: ScalarType): Read {
  switch (scalar) {
    case ScalarType.STRING:
      return readText;
    case ScalarType.BOOL:
      return (value) =>
        typeof value === "boolean" ? value : new Fault("wrong_type", "must be true or false");
    case ScalarType.BYTES:
      return readBase64;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return (value) =>
        readDouble(value) ?? new Fault("wrong_type", 'must be a number, or "NaN", "Infinity", "-Infinity"');
    case ScalarType.INT64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return integerReader(-(2n ** 63n), 2n ** 63n - 1n, false);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerReader(0n, 2n ** 64n - 1n, false);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integerReader(0n, 2n ** 32n - 1n, true);
    case ScalarType.INT32:
    case ScalarType.SFIXED32:
    case ScalarType.SINT32:
      return integerReader(-(2n ** 31n), 2n ** 31n - 1n, true);
  }
}

function integerReader(min: bigint, max: bigint, isNumber: boolean): Read {
  return (value) => {
    const read = readInteger(value);
    if (read === undefined || read < min || read > max) {
      return new Fault("wrong_type", `must be an integer from ${min} to ${max}, as a number or a text`);
    }
    return isNumber ? Number(read) : read;
  };
}

function enumReader(desc: DescEnum): Read {
  const byName = new Map(desc.values.map(({ name, number }) => [name, number]));
  const readNumber = integerReader(-(2n ** 31n), 2n ** 31n - 1n, true);
  return (value, budget, depth) => {
    if (typeof value !== "string") return readNumber(value, budget, depth);
    return byName.get(value) ?? new Fault("wrong_type", `is not a ${desc.name}`);
  };
}

function readText(value: unknown): string | Fault {
  if (typeof value !== "string") return new Fault("wrong_type", "must be a text");
  if (value.isWellFormed()) return value;
  return new Fault("invalid_unicode", "holds a lone surrogate, which UTF-8 cannot carry");
}

/** Buffer stops at what it cannot read: then the length tells. */
function readHex(value: unknown): Uint8Array | Fault {
  if (typeof value === "string" && value.length % 2 === 0) {
    const bytes = Buffer.from(value, "hex");
    if (bytes.length * 2 === value.length) return viewOf(bytes);
  }
  return new Fault("wrong_type", "must be a text of hexadecimal digits");
}

/** The usual alphabet and the one of URLs, with padding or without. */
function readBase64(value: unknown): Uint8Array | Fault {
  if (typeof value === "string") {
    const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
    const digits = value.length - padding;
    const bytes = Buffer.from(value, "base64");
    if (digits % 4 !== 1 && bytes.length === Math.floor((digits * 3) / 4)) return viewOf(bytes);
  }
  return new Fault("wrong_type", "must be a text of base64");
}

const viewOf = (buffer: Buffer): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
