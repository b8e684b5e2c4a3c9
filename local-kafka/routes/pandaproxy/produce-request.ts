/**
 * A produce request's body: {"records":[{"key"?, "value"?, "partition"?}]}. As in Redpanda, any other member, a null in
 * the binary format, or a key or value that is not base64 makes the whole request 422; in the json format key and value
 * are any JSON, kept as the text that was sent less its white space, so that a null is the four bytes "null" and "a" keeps its quotes.
 */
import { BINARY_V2, type RecordFormat } from "../../http/media-type.ts";
import type { LogRecord } from "../../log/log.ts";
import { JsonReader } from "./json-reader.ts";

export interface ProduceRecord extends LogRecord {
  /** undefined: the broker picks. */
  partition: number | undefined;
}

/** Throws JsonFault. */
export function parseProduceRequest(body: Buffer, format: RecordFormat): ProduceRecord[] {
  const reader = new JsonReader(body);
  const records: ProduceRecord[] = [];
  const members = reader.object((member) => {
    if (member !== "records") reader.fail();
    reader.array(() => records.push(parseRecord(reader, format)));
  });
  if (members === 0) reader.fail();
  reader.end();
  return records;
}

function parseRecord(reader: JsonReader, format: RecordFormat): ProduceRecord {
  const record: ProduceRecord = { key: null, value: null, partition: undefined };
  reader.object((member) => {
    if (member === "partition") record.partition = reader.integer();
    else if (member === "key") record.key = parseField(reader, format);
    else if (member === "value") record.value = parseField(reader, format);
    else reader.fail();
  });
  return record;
}

function parseField(reader: JsonReader, format: RecordFormat): Uint8Array {
  if (format !== BINARY_V2) return compact(reader.value());
  const text = reader.string();
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) reader.fail();
  return Buffer.from(text, "base64");
}

/** Leaves out the white space between a JSON value's tokens. */
export function compact(json: Buffer): Buffer {
  const result = Buffer.allocUnsafe(json.byteLength);
  let length = 0;
  let inString = false;
  for (let at = 0; at < json.byteLength; at += 1) {
    const c = json[at] ?? 0;
    if (!inString && (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09)) continue;
    result[length] = c;
    length += 1;
    if (c === 0x22) inString = !inString;
    if (c === 0x5c) {
      // An escape, hence in a string: the next byte is part of it, a quote included.
      at += 1;
      result[length] = json[at] ?? 0;
      length += 1;
    }
  }
  return result.subarray(0, length);
}
