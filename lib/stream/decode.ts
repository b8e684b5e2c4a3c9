// From messages to rows: what can be stored, and what is dead by a fault of its own, with its raw bytes. A record's
// fault never concerns the records beside it.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { DeadLetter, Rows } from "../storage/storage.ts";
import { decodeMessage } from "../telemetry/envelope.ts";
import type { ValidationContext } from "../telemetry/record.ts";
import type { Rejection } from "../telemetry/result.ts";
import { validateRecord, type NativeSignal } from "../telemetry/signal.ts";

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

function decodeInto(batch: DecodedBatch, message: FetchedRecord, context: DecodeContext): void {
  const decoded = decodeMessage(message.value);
  if (!decoded.ok) {
    batch.deadLetters.push(deadLetter(message, -1, context.defaultTenant, decoded.error));
    return;
  }
  if (decoded.value.kind === "bare") {
    const times = { receivedMs: context.nowMs, enforceTimeRange: false };
    decoded.value.records.forEach((record, index) => {
      addRecord(batch, message, {
        index,
        record,
        tenant: context.defaultTenant,
        signal: context.signal,
        times,
      });
    });
    return;
  }
  const { tenant, signal, received, entries } = decoded.value.envelope;
  const times = { receivedMs: Date.parse(received), enforceTimeRange: false };
  entries.forEach((record, index) => {
    addRecord(batch, message, { index, record, tenant, signal, times });
  });
}

interface Candidate {
  index: number;
  record: unknown;
  tenant: string;
  signal: NativeSignal;
  times: ValidationContext;
}

function addRecord(batch: DecodedBatch, message: FetchedRecord, candidate: Candidate): void {
  const { index, record, tenant, signal, times } = candidate;
  const place = { tenant, offset: message.offset, index };
  const fault = pushValid(batch.rows, signal, record, times, place);
  if (fault) batch.deadLetters.push(deadLetter(message, index, tenant, fault));
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

function deadLetter(message: FetchedRecord, index: number, tenant: string, fault: Rejection): DeadLetter {
  return {
    tenant,
    offset: message.offset,
    index,
    originalKey: toBase64(message.key),
    originalValue: toBase64(message.value),
    error: fault.path === "" ? fault.message : `${fault.path} ${fault.message}`,
    errorType: fault.reason,
  };
}

function toBase64(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
