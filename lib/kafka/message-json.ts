// A Kafka message as the HTTP API shows and takes it: text where its bytes are UTF-8, else base64 and `encoding` says so
// (`key_encoding` for the key). A text that holds JSON stays text. Null is null: a tombstone, or no key.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { MAX_LABEL_VALUE_BYTES, MAX_LABELS, MAX_MESSAGE_VALUE_BYTES } from "../telemetry/limits.ts";
import { ok, reject, type Rejection, type Result } from "../telemetry/result.ts";
import { exceedsBytes } from "../telemetry/text.ts";
import type { FetchedRecord, ProduceRecord, RecordHeader } from "./transport.ts";

/** Not ignoring the byte order mark would drop it: the text must be the bytes. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One element of GET …/messages, as JSON text. */
export function renderMessage(partition: number, record: FetchedRecord): { text: string; bytes: number } {
  const { offset, timestampMs, headers } = record;
  const key = toText(record.key);
  const value = toText(record.value);
  const text = JSON.stringify({
    partition,
    offset,
    timestamp: timestampMs === undefined ? null : isoTime(timestampMs),
    key: key.text,
    value: value.text,
    headers: headers?.map(renderHeader) ?? null,
    ...(key.isBase64 ? { key_encoding: "base64" } : {}),
    ...(value.isBase64 ? { encoding: "base64" } : {}),
  });
  return { text, bytes: Buffer.byteLength(text) };
}

function renderHeader({ name, value }: RecordHeader): object {
  const { text, isBase64 } = toText(value);
  return { name, value: text, ...(isBase64 ? { encoding: "base64" } : {}) };
}

function toText(bytes: Uint8Array | null): { text: string | null; isBase64: boolean } {
  if (bytes === null) return { text: null, isBase64: false };
  try {
    return { text: utf8.decode(bytes), isBase64: false };
  } catch {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
    return { text, isBase64: true };
  }
}

/** Kafka takes any 64 bits for a timestamp; -1 is none, and a Date ends in the year 275760. */
function isoTime(ms: number): string | null {
  return ms >= 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : null;
}

const text = z
  .string()
  .refine((value) => value.isWellFormed(), "holds a lone surrogate, which UTF-8 cannot carry");
const encoding = z.enum(["base64"]).optional();
const header = z.strictObject({ name: text.min(1), value: text.nullable(), encoding });

/** A message to be written, as JSON. */
export const messageShape = z
  .strictObject({
    value: text.nullable().describe("null: a tombstone"),
    key: text.nullish().describe("decides the partition where none is named"),
    partition: z.int().nonnegative().max(999_999).optional(),
    // As many as a metric has labels: a message's headers are its labels.
    headers: z.array(header).max(MAX_LABELS).optional(),
    encoding: encoding.describe("the value is base64"),
    key_encoding: encoding,
  })
  .meta({ id: "MessageInput", examples: [{ key: "api:web-1", value: '{"message":"by hand"}' }] });

/** A message to write; without `partition` its key decides, or without a key whoever writes it. */
export type MessageInput = Omit<ProduceRecord, "partition"> & { partition: number | undefined };

/** @param path where it stands in the request, as in `messages[3]` */
export function parseMessage(input: unknown, path: string): Result<MessageInput> {
  const parsed = messageShape.safeParse(input);
  if (!parsed.success) return { ok: false, error: rejectionOf(parsed.error, input, path) };
  const { partition, headers, encoding: valueEncoding, key_encoding: keyEncoding } = parsed.data;
  const value = toBytes(parsed.data.value, valueEncoding);
  const key = toBytes(parsed.data.key ?? null, keyEncoding);
  if (value === undefined || key === undefined)
    return reject("wrong_type", `${path}.${value === undefined ? "value" : "key"}`, "is not base64");
  if ((value?.length ?? 0) > MAX_MESSAGE_VALUE_BYTES)
    return reject("record_too_large", `${path}.value`, `is larger than ${MAX_MESSAGE_VALUE_BYTES} bytes`);
  if ((key?.length ?? 0) > MAX_LABEL_VALUE_BYTES)
    return reject("too_long", `${path}.key`, `is longer than ${MAX_LABEL_VALUE_BYTES} bytes`);
  const given: RecordHeader[] = [];
  for (const [i, one] of (headers ?? []).entries()) {
    const bytes = toBytes(one.value, one.encoding);
    const at = `${path}.headers[${i}]`;
    if (bytes === undefined) return reject("wrong_type", `${at}.value`, "is not base64");
    if (exceedsBytes(one.name, MAX_LABEL_VALUE_BYTES) || (bytes?.length ?? 0) > MAX_LABEL_VALUE_BYTES)
      return reject("too_long", at, `is longer than ${MAX_LABEL_VALUE_BYTES} bytes`);
    given.push({ name: one.name, value: bytes });
  }
  return ok({ partition, key, value, ...(given.length > 0 ? { headers: given } : {}) });
}

/** @returns undefined for what is not base64 */
function toBytes(value: string | null, how: "base64" | undefined): Uint8Array | null | undefined {
  if (value === null) return null;
  if (how === undefined) return new TextEncoder().encode(value);
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  return Buffer.from(value, "base64");
}

function rejectionOf(error: z.ZodError, input: unknown, path: string): Rejection {
  const [issue] = error.issues;
  if (!issue) return reject("wrong_type", path, "cannot be read").error;
  const at = issue.path.reduce<string>(
    (so, part) => (typeof part === "number" ? `${so}[${part}]` : `${so}.${String(part)}`),
    path,
  );
  if (issue.code === "unrecognized_keys")
    return reject(
      "unknown_field",
      `${at}.${issue.keys[0] ?? ""}`.toWellFormed(),
      "is not a field of a message",
    ).error;
  if (typeof input !== "object" || input === null || Array.isArray(input))
    return reject("not_an_object", path, "must be an object").error;
  const isMissing = issue.path.length === 1 && !Object.hasOwn(input, issue.path[0] as string);
  if (isMissing) return reject("missing_field", at, "is required").error;
  if (issue.code === "custom") return reject("invalid_unicode", at, issue.message).error;
  return reject("wrong_type", at, `cannot be taken: ${issue.message}`).error;
}
