// From messages to rows: what can be stored, and what is dead by a fault of its own, with its raw bytes. A record's
// fault never concerns the records beside it.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { DeadLetter, Rows } from "../storage/storage.ts";
import { decodeMessage, type Envelope } from "../telemetry/envelope.ts";
import type { ValidationContext } from "../telemetry/record.ts";
import { reject, type Rejection } from "../telemetry/result.ts";
import { validateRecord, type NativeSignal } from "../telemetry/signal.ts";
import { utf8Bytes } from "../telemetry/text.ts";

export interface DecodeContext {
  /** What a bare record of this topic is. */
  signal: NativeSignal;
  /** Whose a bare record is. */
  defaultTenant: string;
  nowMs: number;
}

export interface DecodedBatch {
  rows: Rows;
  deadLetters: DeadLetter[];
}

export function decodeMessages(messages: readonly FetchedRecord[], context: DecodeContext): DecodedBatch {
  const batch: DecodedBatch = { rows: { metrics: [], logs: [], events: [] }, deadLetters: [] };
  for (const message of messages) decodeInto(batch, message, context);
  return batch;
}

/** More faults than this in one message, and the message is kept once, whole, instead of a row for each. */
const MAX_DEAD_PER_MESSAGE = 100;

/** A row's largest part: D1 takes values up to 2,000,000 bytes, and a record travels with its place. */
const MAX_ROW_BYTES = 1_500_000;

function decodeInto(batch: DecodedBatch, message: FetchedRecord, context: DecodeContext): void {
  const decoded = decodeMessage(message.value);
  if (!decoded.ok) {
    batch.deadLetters.push(deadMessage(message, context.defaultTenant, decoded.error));
    return;
  }
  const { tenant, signal, received, records } =
    decoded.value.kind === "envelope"
      ? fromEnvelope(decoded.value.envelope)
      : {
          tenant: context.defaultTenant,
          signal: context.signal,
          received: context.nowMs,
          records: decoded.value.records,
        };
  const times = { receivedMs: received, enforceTimeRange: false };
  const dead: DeadLetter[] = [];
  let faults = 0;
  let firstFault: Rejection | undefined;
  records.forEach((record, index) => {
    const place = { tenant, offset: message.offset, index };
    const fault = checkSize(message, record) ?? pushValid(batch.rows, signal, record, times, place);
    if (!fault) return;
    firstFault ??= fault;
    if (++faults <= MAX_DEAD_PER_MESSAGE) dead.push(deadRecord(message, place, record, fault));
  });
  if (faults <= MAX_DEAD_PER_MESSAGE || !firstFault) {
    batch.deadLetters.push(...dead);
    return;
  }
  const whole = deadMessage(message, tenant, firstFault);
  batch.deadLetters.push({
    ...whole,
    error: `${faults} of ${records.length} records; the first: ${whole.error}`,
  });
}

function fromEnvelope({ tenant, signal, received, entries }: Envelope): {
  tenant: string;
  signal: NativeSignal;
  received: number;
  records: unknown[];
} {
  return { tenant, signal, received: Date.parse(received), records: entries };
}

/** Only a message that is itself too large for a row can hold a record that is. */
function checkSize(message: FetchedRecord, record: unknown): Rejection | undefined {
  if ((message.value?.length ?? 0) <= MAX_ROW_BYTES) return undefined;
  const text = stringify(record);
  if (text !== undefined && utf8Bytes(text) <= MAX_ROW_BYTES) return undefined;
  return reject("record_too_large", "", `is larger than ${MAX_ROW_BYTES} bytes as JSON, the most a row takes`)
    .error;
}

/** JSON of a record that may be nested deeper than JSON.stringify goes. */
function stringify(record: unknown): string | undefined {
  try {
    return JSON.stringify(record);
  } catch {
    return undefined;
  }
}

function pushValid<S extends NativeSignal>(
  rows: Pick<Rows, S>,
  signal: S,
  input: unknown,
  times: ValidationContext,
  place: { tenant: string; offset: number; index: number },
): Rejection | undefined {
  const valid = validateRecord(signal, input, times);
  if (!valid.ok) return valid.error;
  rows[signal].push({ ...place, record: valid.value });
  return undefined;
}

function deadMessage(message: FetchedRecord, tenant: string, fault: Rejection): DeadLetter {
  return deadLetter(message, { tenant, offset: message.offset, index: -1 }, message.value, fault);
}

/** One record of a message: only its own JSON is kept, not the message once more for each. */
function deadRecord(
  message: FetchedRecord,
  place: { tenant: string; offset: number; index: number },
  record: unknown,
  fault: Rejection,
): DeadLetter {
  const text = stringify(record);
  return deadLetter(message, place, text === undefined ? null : Buffer.from(text), fault);
}

function deadLetter(
  message: FetchedRecord,
  place: { tenant: string; offset: number; index: number },
  original: Uint8Array | null,
  { reason, path, message: why }: Rejection,
): DeadLetter {
  const value = toBase64(original);
  const isKept = value === null || value.length <= MAX_ROW_BYTES;
  const error = path === "" ? why : `${path} ${why}`;
  return {
    ...place,
    originalKey: toBase64(message.key),
    originalValue: isKept ? value : null,
    error: isKept ? error : `${error} (its ${original?.length} bytes are too many to be kept here)`,
    errorType: reason,
  };
}

function toBase64(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
