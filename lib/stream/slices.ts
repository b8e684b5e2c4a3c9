// Cuts what a read gave into commits, decoding as it goes, so that no more than a commit's rows are there at a time.
import type { FetchedRecord } from "../kafka/transport.ts";
import type { Metric } from "../telemetry/metric.ts";
import { decode, type DecodeContext, type DecodedMessage } from "./decode.ts";
import { bucketsOf } from "./sample-bins.ts";

/**
 * Messages of at most this many bytes go into one commit (a single larger one stands alone), whatever a read gave. More
 * than a read asks for: the little that a broker gives beyond that makes no commit of its own.
 */
const COMMIT_MAX_BYTES = 3 * 1024 * 1024;

/** A commit ends with the message that brings its rows to so many characters: one of 50 KB can come to 40 million. */
const COMMIT_MAX_CHARS = 16_000_000;

/** What a bucket of one byte comes to in the states of three windows, at the most: five values, two bytes each, base64. */
const BUCKET_CHARS = 40;

/**
 * @param cut the slice ends before this offset
 * @returns none where our own code throws on the first message
 */
export function nextSlice(
  messages: readonly FetchedRecord[],
  from: number,
  context: DecodeContext,
  cut: number,
): DecodedMessage[] {
  const decoded: DecodedMessage[] = [];
  let bytes = 0;
  let chars = 0;
  for (let at = from; at < messages.length; at++) {
    const message = messages[at] as FetchedRecord;
    const size = message.value?.length ?? 0;
    if (decoded.length > 0) {
      const isFull = bytes + size > COMMIT_MAX_BYTES || chars > COMMIT_MAX_CHARS;
      if (isFull || message.offset >= cut) break;
    }
    let one: DecodedMessage;
    try {
      one = decode(message, context);
    } catch {
      // It is looked into when it is the first.
      break;
    }
    decoded.push(one);
    bytes += size;
    chars += one.chars + histogramChars(one);
  }
  return decoded;
}

function histogramChars({ signal, rows }: DecodedMessage): number {
  if (signal !== "metrics") return 0;
  let buckets = 0;
  for (const { record } of rows) {
    const metric = record as Metric;
    if (metric.value === null) buckets += bucketsOf(metric.detail);
  }
  return buckets * BUCKET_CHARS;
}
