// What becomes of what cannot be stored: kept with its raw bytes and the fault, and sent to the signal's `.dlq` topic in
// the form of the contract, under an id that stays the same however often it is sent.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { DeadLetter, OutboxEntry, PartitionId, Position } from "../storage/storage.ts";
import { MAX_MESSAGE_VALUE_BYTES } from "../telemetry/limits.ts";
import type { Rejection } from "../telemetry/result.ts";
import { utf8Bytes } from "../telemetry/text.ts";

/** Why something is dead. */
export interface Fault {
  /** A reason of the list, or `storage_rejected`, `internal_error`. */
  errorType: string;
  error: string;
  attempts: number;
}

/** A row's largest part: D1 takes values up to 2,000,000 bytes, and a record travels with its place. */
export const MAX_ROW_BYTES = 1_500_000;

/** A larger original is not taken apart for readers: its bytes are there. */
const MAX_READABLE_CHARS = 64 * 1024;

/** What came cannot be otherwise at the next try. */
export function faultOf({ reason, path, message }: Rejection): Fault {
  return { errorType: reason, error: path === "" ? message : `${path} ${message}`, attempts: 1 };
}

/** A message as a whole. */
export function deadMessage(message: FetchedRecord, tenant: string, fault: Fault): DeadLetter {
  return deadLetter(message, tenant, -1, message.value, fault);
}

/**
 * One record of a message: only its own JSON is kept, not the message once more for each.
 * @param record as it came
 */
export function deadRecord(
  message: FetchedRecord,
  tenant: string,
  index: number,
  record: unknown,
  fault: Fault,
): DeadLetter {
  const text = stringify(record);
  return deadLetter(message, tenant, index, text === undefined ? null : Buffer.from(text), fault);
}

/** JSON of a record that may be nested deeper than JSON.stringify goes. */
export function stringify(record: unknown): string | undefined {
  try {
    return JSON.stringify(record);
  } catch {
    return undefined;
  }
}

function deadLetter(
  message: FetchedRecord,
  tenant: string,
  index: number,
  original: Uint8Array | null,
  { errorType, error, attempts }: Fault,
): DeadLetter {
  const value = toBase64(original);
  const isKept = value === null || value.length <= MAX_ROW_BYTES;
  return {
    tenant,
    offset: message.offset,
    index,
    originalKey: toBase64(message.key),
    originalValue: isKept ? value : null,
    error: isKept ? error : `${error} (its ${original?.length} bytes are too many to be kept here)`,
    errorType,
    attempts,
  };
}

function toBase64(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

export interface DeadLetterPlace extends PartitionId {
  position: Position;
  /** Where dead letters of this topic go. */
  deadLetterTopic: string;
  nowMs: number;
}

/** @param timeMs of the original, where it is known */
export function deadLetterEntry(
  letter: DeadLetter,
  { group, topic, partition, position, deadLetterTopic, nowMs }: DeadLetterPlace,
  timeMs: number | undefined,
): OutboxEntry {
  const { offset, index, originalKey, originalValue, error, errorType, attempts } = letter;
  const id = `${group}/${topic}/${position.incarnation}/${partition}/${offset}/${index}`;
  const readable = readableOf(originalValue);
  const form = {
    id,
    original_topic: topic,
    original_partition: partition,
    original_offset: offset,
    original_key: originalKey,
    original_value: originalValue,
    original_encoding: "base64",
    ...(readable === undefined ? {} : { original_message: readable }),
    error,
    error_type: errorType,
    attempt: attempts,
    timestamp: timeMs === undefined ? null : new Date(timeMs).toISOString(),
    dlq_timestamp: new Date(nowMs).toISOString(),
    partition,
    offset,
    index,
    group,
  };
  let value = JSON.stringify(form);
  if (utf8Bytes(value) > MAX_MESSAGE_VALUE_BYTES) {
    const told = `${error} (too large for this topic; GET /api/v1/dlq has its bytes by the id)`;
    value = JSON.stringify({ ...form, original_value: null, original_message: undefined, error: told });
  }
  return { id, topic: deadLetterTopic, key: originalKey, value };
}

/** The original as JSON, where it is that. */
function readableOf(value: string | null): unknown {
  if (value === null || value.length > MAX_READABLE_CHARS) return undefined;
  const text = Buffer.from(value, "base64").toString();
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
