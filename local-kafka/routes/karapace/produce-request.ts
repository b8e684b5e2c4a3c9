/**
 * A produce request's body as Karapace checks it. Values that Python calls false (0, false, "", [], {}) are stored as
 * nothing; a null value is a tombstone. JSON is kept as the text that was sent, less its white space.
 * There is no schema registry here: the formats that need one are refused.
 */
import { ApiError } from "../../http/api-error.ts";
import { BINARY_V2, JSON_V2 } from "../../http/media-type.ts";
import { JsonReader } from "../pandaproxy/json-reader.ts";
import { type ProduceRecord, compact } from "../pandaproxy/produce-request.ts";
import { type JsonObject, isObject, optionalInteger } from "./request.ts";

const REQUEST_MEMBERS = ["records", "value_schema", "value_schema_id", "key_schema", "key_schema_id"];
const RECORD_MEMBERS = ["key", "value", "partition"];
const EMPTY = Buffer.alloc(0);

/** Format of keys and values; the two that need no registry. */
type Format = typeof BINARY_V2 | typeof JSON_V2;

export function parseProduce(json: JsonObject, bytes: Buffer, embedded: string): ProduceRecord[] {
  const { records } = json;
  const isEmpty = Array.isArray(records) ? records.length === 0 : !isTruthy(records);
  if (isEmpty || Object.keys(json).some((key) => !REQUEST_MEMBERS.includes(key))) throw invalidFormat();
  if (!Array.isArray(records)) throw new ApiError(400, "'records' must be an array");
  const objects = records.map((record: unknown) => {
    if (!isObject(record)) throw new ApiError(400, "Produce record must be an object");
    const partition = optionalInteger(record, "partition");
    if (Object.keys(record).some((key) => !RECORD_MEMBERS.includes(key))) throw invalidFormat();
    return { ...record, partition };
  });
  const format = checkFormat(embedded, json, objects);
  const texts = format === JSON_V2 ? readTexts(bytes) : [];
  return objects.map((record: JsonObject & { partition: number | undefined }, i) => ({
    key: serialize(record["key"], texts[i]?.["key"], format),
    value: serialize(record["value"], texts[i]?.["value"], format),
    partition: record.partition,
  }));
}

function checkFormat(embedded: string, json: JsonObject, records: readonly JsonObject[]): Format {
  if (embedded === "binary") return BINARY_V2;
  if (embedded === "json") return JSON_V2;
  for (const [member, code] of [
    ["key", 42201],
    ["value", 42202],
  ] as const) {
    const used = records.some((record) => record[member] !== undefined && record[member] !== null);
    if (!used || isTruthy(json[`${member}_schema_id`]) || typeof json[`${member}_schema`] === "string")
      continue;
    const message = `Request includes ${member}s and uses a format that requires schemas but does not include the ${member}_schema or ${member}_schema_id fields`;
    throw new ApiError(code, message);
  }
  throw new ApiError(40801, `There is no schema registry here, which the format ${embedded} needs.`);
}

/** The JSON text of each record's members. */
function readTexts(bytes: Buffer): Record<string, Buffer>[] {
  const reader = new JsonReader(bytes);
  let texts: Record<string, Buffer>[] = [];
  reader.object((member) => {
    if (member !== "records") {
      reader.value();
      return;
    }
    texts = [];
    reader.array(() => {
      const text: Record<string, Buffer> = {};
      reader.object((key) => {
        text[key] = compact(reader.value());
      });
      texts.push(text);
    });
  });
  return texts;
}

function serialize(value: unknown, text: Buffer | undefined, format: Format): Uint8Array | null {
  if (value === undefined || value === null) return null;
  if (!isTruthy(value)) return EMPTY;
  if (format === JSON_V2) return text ?? EMPTY;
  // Python's decoder skips what is not of the alphabet and then minds the padding.
  const base64 = typeof value === "string" ? value.replaceAll(/[^A-Za-z0-9+/=]/g, "") : "=";
  if (base64.length % 4 !== 0) {
    throw new ApiError(400, `data=${JSON.stringify(value)}  is not a base64 string.`);
  }
  return Buffer.from(base64, "base64");
}

/** As Python sees it. */
function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) ? Object.keys(value).length > 0 : Boolean(value);
}

function invalidFormat(): ApiError {
  return new ApiError(422, "Invalid request format");
}
