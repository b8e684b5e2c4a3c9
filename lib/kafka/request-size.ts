// How large a produce request gets as it is sent, reckoned before it is built: base64 and JSON around each record, as
// the REST transports write it. What is to be written is cut by it into requests of at most 1,000,000 bytes.
import { MAX_PRODUCE_REQUEST_BYTES } from "../telemetry/limits.ts";
import type { ProduceRecord } from "./transport.ts";

/** `{"key":"…","value":"…","partition":123456},` around the base64 of a record, and as much around a header or the whole. */
export const FRAMING_BYTES = 64;

/** What a record adds to a request, at most. */
export function sentBytesOf({ key, value, headers = [] }: ProduceRecord): number {
  let bytes = FRAMING_BYTES + base64Length(key) + base64Length(value);
  // In UTF-8 a name may take three bytes for each unit.
  for (const header of headers) bytes += FRAMING_BYTES + header.name.length * 3 + base64Length(header.value);
  return bytes;
}

/** Cuts what carries records into produce requests, in order; one that is too large by itself stands alone. */
export function* produceRequests<T extends { record: ProduceRecord }>(items: Iterable<T>): Generator<T[]> {
  let chunk: T[] = [];
  let bytes = FRAMING_BYTES;
  for (const item of items) {
    const size = sentBytesOf(item.record);
    if (chunk.length > 0 && bytes + size > MAX_PRODUCE_REQUEST_BYTES) {
      yield chunk;
      chunk = [];
      bytes = FRAMING_BYTES;
    }
    chunk.push(item);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function base64Length(bytes: Uint8Array | null): number {
  return Math.ceil((bytes?.length ?? 0) / 3) * 4;
}
