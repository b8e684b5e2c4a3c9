/**
 * One record of a v3 produce request. `data` of type BINARY is base64, STRING is text, JSON is kept as it was sent less
 * its white space; null, or no data, is a null. The types that need a schema registry are refused: there is none here.
 */
import { z } from "zod";
import { ApiError } from "../../http/api-error.ts";
import type { LogRecord } from "../../log/log.ts";
import { JsonReader } from "../pandaproxy/json-reader.ts";
import { compact } from "../pandaproxy/produce-request.ts";

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, "not base64");

const field = z.object({ type: z.string().optional(), data: z.unknown().optional() }).nullish();

const recordRequest = z.object({
  partition_id: z.int().nullish(),
  headers: z.array(z.object({ name: z.string(), value: base64.nullish() })).nullish(),
  key: field,
  value: field,
  timestamp: z.iso.datetime({ offset: true }).nullish(),
});

type Field = z.infer<typeof field>;

export interface RecordRequest {
  /** undefined: the broker picks. */
  partition: number | undefined;
  record: LogRecord;
  keyType: string | undefined;
  valueType: string | undefined;
}

/** Parses one whole JSON object. Throws ApiError. */
export function parseRecordRequest(bytes: Buffer): RecordRequest {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch (error) {
    throw new ApiError(400, `Error processing message: ${(error as Error).message}`, { cause: error });
  }
  return toRecord(json, bytes);
}

/** `bytes` is the text that `json` was read from. */
export function toRecord(json: unknown, bytes: Buffer): RecordRequest {
  const request = recordRequest.safeParse(json);
  if (!request.success) {
    throw new ApiError(400, `Error processing message: ${z.prettifyError(request.error)}`);
  }
  const { partition_id: partition, headers, key, value, timestamp } = request.data;
  const record: LogRecord = {
    key: serialize(key, "key", bytes),
    value: serialize(value, "value", bytes),
  };
  if (typeof timestamp === "string") record.timestampMs = Math.max(0, Date.parse(timestamp));
  if (headers && headers.length > 0) {
    record.headers = headers.map((header) => ({
      name: header.name,
      value: typeof header.value === "string" ? Buffer.from(header.value, "base64") : null,
    }));
  }
  return { partition: partition ?? undefined, record, keyType: typeOf(key), valueType: typeOf(value) };
}

function typeOf(of: Field): string | undefined {
  return of === null || of === undefined ? undefined : (of.type ?? "BINARY");
}

function serialize(of: Field, member: "key" | "value", bytes: Buffer): Uint8Array | null {
  if (of?.data === undefined || of.data === null) return null;
  switch (typeOf(of)) {
    case "BINARY": {
      const data = base64.safeParse(of.data);
      if (!data.success)
        throw new ApiError(400, `Bad Request: data=${JSON.stringify(of.data)} is not a base64 string.`);
      return Buffer.from(data.data, "base64");
    }
    case "STRING":
      if (typeof of.data !== "string") {
        throw new ApiError(400, `Bad Request: data=${JSON.stringify(of.data)} is not a string.`);
      }
      return Buffer.from(of.data);
    case "JSON":
      return jsonText(bytes, member);
    default:
      throw new ApiError(42206, `There is no schema registry here, which the type ${of.type} needs.`);
  }
}

/** The text of `member`'s data. */
function jsonText(bytes: Buffer, member: "key" | "value"): Uint8Array | null {
  const reader = new JsonReader(bytes);
  let text: Buffer | null = null;
  reader.object((name) => {
    if (name !== member) {
      reader.value();
      return;
    }
    reader.object((inner) => {
      const value = reader.value();
      if (inner === "data") text = compact(value);
    });
  });
  return text;
}
