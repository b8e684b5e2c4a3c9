// OTLP's values as plain JSON, for the fields that people search: exact where JSON is, else a text (integers beyond
// 2^53, NaN, infinities, bytes as base64). What is lost of their types stands in a record's `detail`.
import type { AnyValue, KeyValue } from "../gen/opentelemetry/proto/common/v1/common_pb.ts";
import { checkKey, joinPath, type JsonObject, type JsonValue } from "../json-value.ts";
import { MAX_DEPTH } from "../limits.ts";
import { ok, reject, type Rejection, type Result } from "../result.ts";
import { textOfBytes } from "./json-encode.ts";

/** The first thing that is wrong inside a value. */
interface Faults {
  first?: Rejection;
}

/** @param path where the value stands in its record; the value itself is at depth 2 of it */
export function plainValue(value: AnyValue | undefined, path: string): Result<JsonValue> {
  const faults: Faults = {};
  const plain = plainAt(value, 2, path, faults);
  return faults.first ? { ok: false, error: faults.first } : ok(plain);
}

/** Where a key stands twice, the last one counts. */
export function plainAttributes(attributes: readonly KeyValue[], path: string): Result<JsonObject> {
  const faults: Faults = {};
  const plain = plainObject(attributes, 2, path, faults);
  return faults.first ? { ok: false, error: faults.first } : ok(plain);
}

/** A text as it is, any other value as compact JSON; nothing is the empty text. */
export function textOf(plain: JsonValue): string {
  if (typeof plain === "string") return plain;
  return plain === null ? "" : JSON.stringify(plain);
}

/** The last attribute of that name, as text; undefined where there is none, or an empty one. */
export function attributeText(attributes: readonly KeyValue[], key: string): string | undefined {
  const found = attributes.findLast((attribute) => attribute.key === key);
  if (found === undefined) return undefined;
  const plain = plainValue(found.value, key);
  const text = plain.ok ? textOf(plain.value) : "";
  return text === "" ? undefined : text;
}

// The recursion is as deep as the decoders let messages be.

function plainAt(value: AnyValue | undefined, depth: number, path: string, faults: Faults): JsonValue {
  const held = value?.value;
  switch (held?.case) {
    case "stringValue":
    case "boolValue":
      return held.value;
    case "intValue":
      return plainInteger(held.value);
    case "doubleValue":
      return Number.isFinite(held.value) ? held.value : String(held.value);
    case "bytesValue":
      return textOfBytes(held.value, "base64");
    case "arrayValue":
      if (isTooDeep(depth, path, faults)) return null;
      return held.value.values.map((element) => plainAt(element, depth + 1, path, faults));
    case "kvlistValue":
      return plainObject(held.value.values, depth, path, faults);
    // An index into a dictionary, which only profiles have.
    case "stringValueStrindex":
    case undefined:
      return null;
  }
}

function plainObject(entries: readonly KeyValue[], depth: number, path: string, faults: Faults): JsonObject {
  const plain: JsonObject = {};
  if (isTooDeep(depth, path, faults)) return plain;
  for (const { key, value } of entries) {
    if (key === "__proto__") {
      const fault = checkKey(key, () => joinPath(path, key));
      if (fault) faults.first ??= fault;
    } else plain[key] = plainAt(value, depth + 1, path, faults);
  }
  return plain;
}

function isTooDeep(depth: number, path: string, faults: Faults): boolean {
  if (depth <= MAX_DEPTH) return false;
  faults.first ??= reject("too_deep", path, `is nested deeper than ${MAX_DEPTH} levels`).error;
  return true;
}

const plainInteger = (value: bigint): number | string => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
};
