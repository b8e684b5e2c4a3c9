// Reading a topic's message that is OTLP: what Weir wrote (pack.ts), with its own field, or what any other producer of
// `otlp_proto` did, such as the Collector's kafkaexporter, which may hold several resources and has no such field.
import { Buffer } from "node:buffer";
import { MAX_JSON_VALUES } from "../limits.ts";
import { ok, reject, type Result } from "../result.ts";
import { decodeWire } from "./decode.ts";
import { countOtlpRecords } from "./records.ts";
import { checkRepeated } from "./repeated.ts";
import type { OtlpRequest, OtlpSignal } from "./request.ts";
import { findWeirField, WEIR_FIELD, type WeirField } from "./weir-field.ts";

export interface OtlpMessage {
  /** Undefined where another producer wrote the message. */
  weir: WeirField | undefined;
  request: OtlpRequest;
}

/**
 * Never narrower than the bounds of a request, whichever form that came in: 700,000 bytes are at most 350,000 fields, each
 * of which counts twice at most.
 */
const MESSAGE_BOUNDS = { maxRecords: Infinity, maxValues: 2 * MAX_JSON_VALUES };

export function decodeOtlpMessage(signal: OtlpSignal, value: Uint8Array): Result<OtlpMessage> {
  const request = decodeWire(signal, value, MESSAGE_BOUNDS);
  if (!request.ok) return request;
  const weir = findWeirField(request.value.message.$unknown ?? []);
  delete request.value.message.$unknown;
  const fault = checkRepeated(request.value, value.length);
  if (fault) return { ok: false, error: fault };
  if (weir === undefined) return ok({ weir, request: request.value });
  if (!weir.ok) return weir;
  const records = countOtlpRecords(request.value);
  if (records !== weir.value.indices.length) {
    return reject("wrong_type", "", `holds ${records} records and ${weir.value.indices.length} indices`);
  }
  return ok({ weir: weir.value, request: request.value });
}

const RESOURCES_TAG = 0x0a;

/** Numbers of a request's fields, and of a resource's, which all have a length. */
const REQUEST_FIELDS = 1;
const RESOURCE_FIELDS = 3;

/**
 * Tells OTLP from JSON, whose first byte may be 0x0a too (a newline): the value must be cut into fields exactly, and
 * either one of them is Weir's own, or the first resource must be made of fields, too. Fields that OTLP does not know
 * may be of any wire type; in others' messages they do not come first.
 */
export function isOtlpMessage(value: Uint8Array): boolean {
  if (value[0] !== RESOURCES_TAG) return false;
  let first: Field | undefined;
  let isOurs = false;
  const isWhole = walkFields(value, 0, value.length, REQUEST_FIELDS, (field) => {
    first ??= field;
    isOurs ||= field.tag === WEIR_TAG;
    return true;
  });
  if (!isWhole || first === undefined) return false;
  if (isOurs) return true;
  return walkFields(
    value,
    first.start,
    first.end,
    RESOURCE_FIELDS,
    ({ isKnown, isFirst }) => isKnown || !isFirst,
  );
}

const LEN = 2;
const WEIR_TAG = WEIR_FIELD * 8 + LEN;

interface Field {
  tag: number;
  start: number;
  end: number;
  isKnown: boolean;
  isFirst: boolean;
}

/** @returns whether all of it is fields that `isFit` takes, those up to number `known` with a length */
function walkFields(
  bytes: Uint8Array,
  from: number,
  to: number,
  known: number,
  isFit: (field: Field) => boolean,
): boolean {
  for (let at = from; at < to;) {
    const tag = readVarint(bytes, at, to);
    if (tag === undefined || tag.value < 8) return false;
    const isKnown = tag.value < (known + 1) * 8;
    if (isKnown && tag.value % 8 !== LEN) return false;
    const value = valueAt(bytes, tag.end, to, tag.value % 8);
    if (value === undefined || value.end > to) return false;
    if (!isFit({ tag: tag.value, ...value, isKnown, isFirst: at === from })) return false;
    at = value.end;
  }
  return true;
}

/** Where a field's value lies; undefined for a wire type that OTLP does not use. */
function valueAt(
  bytes: Uint8Array,
  at: number,
  to: number,
  wire: number,
): { start: number; end: number } | undefined {
  if (wire === 1) return { start: at, end: at + 8 };
  if (wire === 5) return { start: at, end: at + 4 };
  if (wire === 0) {
    for (let end = at; end < Math.min(to, at + 10); end++)
      if ((bytes[end] as number) < 0x80) return { start: at, end: end + 1 };
    return undefined;
  }
  const length = wire === LEN ? readVarint(bytes, at, to) : undefined;
  return length && { start: length.end, end: length.end + length.value };
}

function readVarint(bytes: Uint8Array, at: number, to: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 5 && at + i < to; i++) {
    const byte = bytes[at + i] as number;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return undefined;
}

const TEXT_PREFIX = "otlp:";

/** For a transport that carries only text. */
export function otlpToText(value: Uint8Array): string {
  return TEXT_PREFIX + Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
}

/** @returns undefined for a text that {@link otlpToText} did not write */
export function otlpFromText(text: string): Uint8Array | undefined {
  if (!text.startsWith(TEXT_PREFIX)) return undefined;
  const bytes = Buffer.from(text.slice(TEXT_PREFIX.length), "base64");
  return otlpToText(bytes) === text ? new Uint8Array(bytes) : undefined;
}
