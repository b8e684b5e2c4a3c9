// Counts the records in what reached the sink: the raw bodies of the floors and the Kafka REST requests of Weir. Counts
// by a mark, which is cheap enough to do for every request; a full decoding checks a sample. Pure.
import { Buffer } from "node:buffer";
import { RECORD_MARK } from "./payload.ts";

export type ProducedMessage = { partition: number; value: Buffer };

const mark = Buffer.from(RECORD_MARK);

export function countRecords(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) count++;
  return count;
}

/** @throws SyntaxError or TypeError when it is no produce request of the REST API's binary form */
export function readProduceRequest(body: Buffer): ProducedMessage[] {
  const { records } = JSON.parse(body.toString()) as { records: { partition: number; value: string }[] };
  return records.map(({ partition, value }) => ({ partition, value: Buffer.from(value, "base64") }));
}

/** What is wrong with a message; undefined when it is an envelope that holds as many records as were counted in it. */
export function faultOf({ value }: ProducedMessage): string | undefined {
  const envelope = JSON.parse(value.toString()) as { indices: number[]; entries: { timestamp?: string }[] };
  const counted = countRecords(value);
  const { indices, entries } = envelope;
  if (entries.length !== counted) return `an envelope of ${entries.length} entries was counted as ${counted}`;
  if (new Set(indices).size !== entries.length)
    return `${entries.length} entries with ${indices.join()} as indices`;
  if (entries.some(({ timestamp }) => timestamp === undefined)) return "an entry has no timestamp";
  return undefined;
}
