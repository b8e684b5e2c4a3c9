// From messages to rows: what can be stored, and what is dead by a fault of its own, with its raw bytes. A record's
// fault never concerns the records beside it.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { DeadLetter, Row, Rows } from "../storage/storage.ts";
import { decodeMessage, type Envelope } from "../telemetry/envelope.ts";
import { detailOf } from "../telemetry/otlp/detail.ts";
import { keepOtlp } from "../telemetry/otlp/keep.ts";
import { decodeOtlpMessage, isOtlpMessage, otlpFromText } from "../telemetry/otlp/message.ts";
import { otlpRecords } from "../telemetry/otlp/records.ts";
import type { OtlpRequest } from "../telemetry/otlp/request.ts";
import type { ValidationContext } from "../telemetry/record.ts";
import { ok, reject, type Rejection, type Result } from "../telemetry/result.ts";
import { validateRecord, type NativeSignal, type Signal } from "../telemetry/signal.ts";
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import { utf8Bytes } from "../telemetry/text.ts";

export interface DecodeContext {
  /** What a bare record of this topic is, and OTLP without Weir's own field. */
  signal: Signal;
  /** Whose a bare record is. */
  defaultTenant: string;
  nowMs: number;
}

export interface DecodedBatch {
  rows: Rows;
  deadLetters: DeadLetter[];
  /** About how many characters the rows are as JSON: each OTLP record has its resource with it, however often. */
  chars: number;
}

export function emptyBatch(): DecodedBatch {
  return { rows: { metrics: [], logs: [], events: [], traces: [] }, deadLetters: [], chars: 0 };
}

/** More faults than this in one message, and the message is kept once, whole, instead of a row for each. */
const MAX_DEAD_PER_MESSAGE = 100;

/** A row's place, and the names of its fields. */
const ROW_CHARS = 100;

/** An OTLP record as JSON, flat and whole, without what it shares with others: some 4 to 8 times its bytes. */
const OTLP_GROWTH = 6;

/** A row's largest part: D1 takes values up to 2,000,000 bytes, and a record travels with its place. */
const MAX_ROW_BYTES = 1_500_000;

export function decodeMessages(messages: readonly FetchedRecord[], context: DecodeContext): DecodedBatch {
  const batch = emptyBatch();
  for (const message of messages) decodeInto(batch, message, context);
  return batch;
}

/** Adds what a message holds to the batch. */
export function decodeInto(batch: DecodedBatch, message: FetchedRecord, context: DecodeContext): void {
  const otlp = otlpOf(message.value);
  batch.chars += (message.value?.length ?? 0) * (otlp ? OTLP_GROWTH : 1);
  const read = otlp ? readOtlp(otlp, context) : readJson(message, context);
  if (!read.ok) {
    batch.deadLetters.push(deadMessage(message, context.defaultTenant, read.error));
    return;
  }
  const { tenant, records } = read.value;
  const dead: DeadLetter[] = [];
  let count = 0;
  let faults = 0;
  let firstFault: Rejection | undefined;
  for (const { push, original } of records) {
    const place = { tenant, offset: message.offset, index: count++ };
    const fault = push(batch, place);
    if (!fault) continue;
    firstFault ??= fault;
    if (++faults <= MAX_DEAD_PER_MESSAGE) dead.push(deadRecord(message, place, original(), fault));
  }
  batch.chars += count * ROW_CHARS;
  if (faults <= MAX_DEAD_PER_MESSAGE || !firstFault) {
    batch.deadLetters.push(...dead);
    return;
  }
  const whole = deadMessage(message, tenant, firstFault);
  batch.deadLetters.push({
    ...whole,
    error: `${faults} of ${count} records; the first: ${whole.error}`,
  });
}

/** A message's records, each still to be judged. */
interface ReadMessage {
  tenant: string;
  records: Iterable<ReadRecord>;
}

interface ReadRecord {
  /** @returns the fault that keeps the record from being stored */
  push: (batch: DecodedBatch, place: Place) => Rejection | undefined;
  /** The record as it came, for its dead letter. */
  original: () => unknown;
}

type Place = Pick<Row<Signal>, "tenant" | "offset" | "index">;

function readJson(message: FetchedRecord, context: DecodeContext): Result<ReadMessage> {
  const decoded = decodeMessage(message.value);
  if (!decoded.ok) return decoded;
  if (decoded.value.kind === "envelope") return ok(fromEnvelope(message, decoded.value.envelope));
  const { signal, defaultTenant: tenant, nowMs } = context;
  // Spans come as OTLP only.
  if (signal === "traces") return reject("wrong_type", "", "is JSON; spans are read as OTLP protobuf");
  const times = { receivedMs: nowMs, enforceTimeRange: false };
  return ok({ tenant, records: jsonRecords(message, signal, decoded.value.records, times) });
}

function fromEnvelope(message: FetchedRecord, { tenant, signal, received, entries }: Envelope): ReadMessage {
  const times = { receivedMs: Date.parse(received), enforceTimeRange: false, isKept: true };
  return { tenant, records: jsonRecords(message, signal, entries, times) };
}

function* jsonRecords(
  message: FetchedRecord,
  signal: NativeSignal,
  records: readonly unknown[],
  times: ValidationContext,
): Generator<ReadRecord> {
  for (const record of records) {
    yield {
      push: ({ rows }, place) => checkSize(message, record) ?? pushValid(rows, signal, record, times, place),
      original: () => record,
    };
  }
}

/** The bytes of an OTLP message, also of one that a transport for text alone carried. */
function otlpOf(value: Uint8Array | null): Uint8Array | undefined {
  if (value === null) return undefined;
  if (isOtlpMessage(value)) return value;
  // `otlp:`
  if (value[0] !== 0x6f || value[4] !== 0x3a) return undefined;
  return otlpFromText(Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1"));
}

function readOtlp(value: Uint8Array, { signal, defaultTenant, nowMs }: DecodeContext): Result<ReadMessage> {
  if (signal === "events") return reject("wrong_type", "", "is OTLP; events are read as JSON");
  const decoded = decodeOtlpMessage(signal, value);
  if (!decoded.ok) return decoded;
  const { weir, request } = decoded.value;
  const times = { receivedMs: weir?.receivedMs ?? nowMs, enforceTimeRange: false };
  return ok({
    tenant: weir?.tenant ?? defaultTenant,
    records: otlpReadRecords(request, value.length, times),
  });
}

/** What a byte of OTLP may come to as JSON, at the most: a packed count of one byte is `"0",` and its kind. */
const JSON_GROWTH = 16;

function* otlpReadRecords(
  request: OtlpRequest,
  messageBytes: number,
  times: ValidationContext,
): Generator<ReadRecord> {
  const mayBeLarge = messageBytes * JSON_GROWTH > MAX_ROW_BYTES;
  for (const placed of otlpRecords(request)) {
    yield {
      push(batch, place) {
        const kept = keepOtlp(placed, times);
        if (!kept.ok) return kept.error;
        if (mayBeLarge && utf8Bytes(JSON.stringify(kept.value)) > MAX_ROW_BYTES) return tooLargeForRow();
        const row = { ...place, record: kept.value };
        (batch.rows[placed.signal] as (typeof row)[]).push(row);
        batch.chars += contextChars(kept.value.detail);
        return undefined;
      },
      original: () => detailOf(placed),
    };
  }
}

const measured = new WeakMap<object, number>();

/** What a record has in common with its neighbours: they share the objects, so each is measured once. */
function contextChars(detail: JsonObject | undefined): number {
  const { resource, scope, metric } = (detail?.otlp ?? {}) as Partial<Record<string, JsonValue>>;
  let chars = 0;
  for (const shared of [resource, scope, metric]) {
    if (typeof shared !== "object" || shared === null) continue;
    const known = measured.get(shared) ?? JSON.stringify(shared).length;
    measured.set(shared, known);
    chars += known;
  }
  return chars;
}

/** Only a message that is itself too large for a row can hold a record that is. */
function checkSize(message: FetchedRecord, record: unknown): Rejection | undefined {
  if ((message.value?.length ?? 0) <= MAX_ROW_BYTES) return undefined;
  const text = stringify(record);
  if (text !== undefined && utf8Bytes(text) <= MAX_ROW_BYTES) return undefined;
  return tooLargeForRow();
}

const tooLargeForRow = () =>
  reject("record_too_large", "", `is larger than ${MAX_ROW_BYTES} bytes as JSON, the most a row takes`).error;

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
  place: Place,
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
function deadRecord(message: FetchedRecord, place: Place, record: unknown, fault: Rejection): DeadLetter {
  const text = stringify(record);
  return deadLetter(message, place, text === undefined ? null : Buffer.from(text), fault);
}

function deadLetter(
  message: FetchedRecord,
  place: Place,
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
