// Weir's own JSON forms: from the bytes of a body to a list of records, each still unchecked or already refused.
// Every form that the contract names for /api/v1/logs, /metrics and /events, NDJSON and CloudEvents among them.
import { BATCHED, fromBinary, fromStructured, STRUCTURED } from "./cloudevents.ts";
import { fromCollectd } from "./collectd.ts";
import { hasMoreValuesThan, locateSyntaxError } from "./json-scan.ts";
import { MAX_JSON_VALUES, MAX_RECORDS } from "./limits.ts";
import { isPlainObject } from "./record.ts";
import { ok, reject, type Rejection, type Result } from "./result.ts";
import type { NativeSignal } from "./signal.ts";

export interface DecodedBody {
  /** In the request's order: a value to check, or why this one could not even be read. */
  records: Result<unknown>[];
  agentVersion: string | undefined;
}

/** The field that holds the list, where a body wraps it. */
const LIST_FIELD: Record<NativeSignal, string> = { logs: "entries", metrics: "metrics", events: "events" };

const NDJSON = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
]);

/** Media types taken; a missing one is read as JSON, and so is what `curl -d` says by default. */
const JSON_TYPES = new Set([
  "",
  "application/json",
  "text/json",
  "text/plain",
  "application/x-www-form-urlencoded",
]);

/** @returns a fault of the whole body, or its records */
export function decodeNativeBody(
  signal: NativeSignal,
  headers: Headers,
  bytes: Uint8Array,
): Result<DecodedBody> {
  const mediaType = mediaTypeOf(headers.get("content-type"));
  const isCloudEvents = signal === "events" && (mediaType === STRUCTURED || mediaType === BATCHED);
  // The media type goes first: a structured event may repeat its attributes as headers (HTTP binding, 3.2.3).
  const isBinaryCloudEvent = signal === "events" && !isCloudEvents && headers.has("ce-specversion");
  if (!isCloudEvents && !isBinaryCloudEvent && !NDJSON.has(mediaType) && !JSON_TYPES.has(mediaType)) {
    return reject(
      "unsupported_media_type",
      "",
      `takes application/json or application/x-ndjson, not ${mediaType}`,
    );
  }
  if (hasMoreValuesThan(bytes, MAX_JSON_VALUES)) {
    return reject("too_many_values", "", `must hold at most ${MAX_JSON_VALUES} JSON values`);
  }
  const text = decodeUtf8(bytes);
  if (!text.ok) return text;
  if (isBinaryCloudEvent) return decodeBinaryCloudEvent(headers, mediaType, text.value);
  if (NDJSON.has(mediaType)) return decodeLines(text.value);
  const json = parseJson(text.value);
  if (!json.ok) return json;
  if (mediaType === BATCHED) {
    if (!Array.isArray(json.value)) return reject("wrong_type", "", "must be an array of CloudEvents");
    return bounded(json.value, undefined, fromStructured);
  }
  if (mediaType === STRUCTURED) return ok({ records: [fromStructured(json.value)], agentVersion: undefined });
  return decodeJson(signal, json.value);
}

/** `Application/JSON; charset=utf-8` → `application/json`; empty when there is none. */
export function mediaTypeOf(contentType: string | null): string {
  return (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function decodeUtf8(bytes: Uint8Array): Result<string> {
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    return reject("invalid_utf8", "", "must be UTF-8; it holds bytes that are not");
  }
}

function parseJson(text: string): Result<unknown> {
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    if (text.trim() === "") return reject("malformed_json", "", "is empty; send at least one record");
    const hint = looksLikeLines(text)
      ? "; several records on lines need Content-Type: application/x-ndjson"
      : "";
    return reject("malformed_json", "", `is not JSON: it breaks ${locateSyntaxError(text, error)}${hint}`);
  }
}

function looksLikeLines(text: string): boolean {
  const end = text.indexOf("\n");
  if (end === -1 || !text.startsWith("{")) return false;
  try {
    JSON.parse(text.slice(0, end));
    return true;
  } catch {
    return false;
  }
}

function decodeJson(signal: NativeSignal, json: unknown): Result<DecodedBody> {
  if (Array.isArray(json)) {
    return bounded(signal === "metrics" ? fromCollectd(json, MAX_RECORDS) : json, undefined, ok);
  }
  const listField = LIST_FIELD[signal];
  if (isPlainObject(json) && Object.hasOwn(json, listField)) {
    const list = json[listField];
    if (!Array.isArray(list)) return reject("wrong_type", listField, "must be an array of records");
    const agentVersion = json.agent_version ?? undefined;
    if (agentVersion !== undefined && (typeof agentVersion !== "string" || agentVersion.length > 100)) {
      return reject("wrong_type", "agent_version", "must be a text of at most 100 characters");
    }
    if (agentVersion?.isWellFormed() === false) {
      return reject("invalid_unicode", "agent_version", "holds a lone surrogate, which UTF-8 cannot carry");
    }
    for (const field of Object.keys(json)) {
      if (field !== listField && field !== "agent_version") {
        return reject(
          "unknown_field",
          field.toWellFormed().slice(0, 100),
          `is not a field beside ${listField}`,
        );
      }
    }
    return bounded(list, agentVersion, ok);
  }
  return ok({ records: [ok(json)], agentVersion: undefined });
}

function decodeLines(text: string): Result<DecodedBody> {
  const lines: string[] = [];
  // Not by `split`: ten million line ends would make as many texts.
  for (let start = 0; start < text.length && lines.length <= MAX_RECORDS;) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end);
    if (line.trim() !== "") lines.push(line);
    start = end + 1;
  }
  if (lines.length === 0) return reject("malformed_json", "", "is empty; send at least one record");
  return bounded(lines, undefined, parseJson);
}

function decodeBinaryCloudEvent(headers: Headers, mediaType: string, text: string): Result<DecodedBody> {
  const isJson = mediaType === "" || mediaType.endsWith("/json") || mediaType.endsWith("+json");
  const data: Result<unknown> = text === "" ? ok(null) : isJson ? parseJson(text) : ok(text);
  if (!data.ok) return data;
  return ok({ records: [fromBinary(headers, data.value)], agentVersion: undefined });
}

function bounded<T>(
  list: readonly T[],
  agentVersion: string | undefined,
  read: (item: T) => Result<unknown>,
): Result<DecodedBody> | { ok: false; error: Rejection } {
  if (list.length > MAX_RECORDS) {
    return reject(
      "too_many_records",
      "",
      `holds more than ${MAX_RECORDS} records; send them in several requests`,
    );
  }
  return ok({ records: list.map(read), agentVersion });
}
