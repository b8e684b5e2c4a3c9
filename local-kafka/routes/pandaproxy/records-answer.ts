/**
 * Records as Redpanda's proxy answers them: [{topic,key,value,partition,offset}]. An empty key or value reads as null.
 * In the json format key and value are embedded as they are stored; one that is not JSON fails the whole answer (408).
 */
import { ApiError } from "../../http/api-error.ts";
import { BINARY_V2, type RecordFormat } from "../../http/media-type.ts";
import type { RecordBatch } from "../../log/log.ts";
import { JsonFault, JsonReader } from "./json-reader.ts";

export interface PartitionBatches {
  topic: string;
  partition: number;
  batches: RecordBatch[];
  /** Records before this offset are left out; the whole of each batch when undefined. */
  fromOffset?: number;
}

export function encodeRecords(parts: readonly PartitionBatches[], format: RecordFormat): string {
  const encode = format === BINARY_V2 ? encodeBinary : encodeJson;
  const items: string[] = [];
  for (const { topic, partition, batches, fromOffset = 0 } of parts) {
    const head = `{"topic":${JSON.stringify(topic)},"key":`;
    const tail = `,"partition":${partition},"offset":`;
    for (const { baseOffset, records } of batches) {
      for (const [i, { key, value }] of records.entries()) {
        const offset = baseOffset + i;
        if (offset < fromOffset) continue;
        const where = `${offset} in topic:partition ${topic}:${partition}`;
        items.push(
          `${head}${encode(key, "key", where)},"value":${encode(value, "value", where)}${tail}${offset}}`,
        );
      }
    }
  }
  return `[${items.join(",")}]`;
}

function encodeBinary(field: Uint8Array | null): string {
  return field === null || field.byteLength === 0 ? "null" : `"${asBuffer(field).toString("base64")}"`;
}

function encodeJson(field: Uint8Array | null, name: string, where: string): string {
  if (field === null || field.byteLength === 0) return "null";
  const bytes = asBuffer(field);
  try {
    const reader = new JsonReader(bytes);
    reader.value();
    reader.end();
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new ApiError(40801, `Unable to serialize ${name} of record at offset ${where}`, { cause: error });
  }
  return bytes.toString("utf8");
}

function asBuffer(field: Uint8Array): Buffer {
  return Buffer.from(field.buffer, field.byteOffset, field.byteLength);
}
