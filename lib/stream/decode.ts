// From a message to its records: rows of what can be stored, and what is dead by a fault of its own, with its raw bytes.
// A record's fault never concerns the records beside it. Says also where they come from: what their identity is made of.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { DeadLetter, Row, Rows } from "../storage/storage.ts";
import { decodeMessage } from "../telemetry/envelope.ts";
import { detailOf } from "../telemetry/otlp/detail.ts";
import { keepOtlp } from "../telemetry/otlp/keep.ts";
import { decodeOtlpMessage, isOtlpMessage, otlpFromText } from "../telemetry/otlp/message.ts";
import { otlpRecords } from "../telemetry/otlp/records.ts";
import { noLastLabels, type ValidationContext } from "../telemetry/record.ts";
import { reject, type Rejection } from "../telemetry/result.ts";
import { validateRecord, type NativeSignal, type RecordOf, type Signal } from "../telemetry/signal.ts";
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import { utf8Bytes } from "../telemetry/text.ts";
import { textOfMs } from "./late.ts";
import { deadMessage, deadRecord, faultOf, MAX_ROW_BYTES, stringify, type Fault } from "./dead-letter.ts";

export interface DecodeContext {
  /** What a bare record of this topic is, and OTLP without Weir's own field. */
  signal: Signal;
  /** Whose a bare record is. */
  defaultTenant: string;
  nowMs: number;
}

/** The request in which a message's records were accepted. */
export interface Origin {
  batch: string;
  attempt: number;
  receivedMs: number;
  /** Of each record by its place in the message: its place in the request. */
  indices: readonly number[];
}

export type AnyRow = Row<Signal>;

/** A record that cannot be stored. */
export interface DeadRecord {
  /** Place in the message. */
  index: number;
  /** Its own id; undefined also where the record could not be read so far. */
  id: string | undefined;
  /** Undefined: told by the letter of the message as a whole. */
  letter: DeadLetter | undefined;
}

export interface DecodedMessage {
  message: FetchedRecord;
  tenant: string;
  signal: Signal;
  /** Undefined: someone else wrote the message, and each record of it has its place as identity. */
  origin: Origin | undefined;
  /** All of `signal`. */
  rows: AnyRow[];
  dead: DeadRecord[];
  /** The message itself is dead: what it held is not known (`dead` is empty), or is more than to be told singly. */
  whole: DeadLetter | undefined;
  /** About how many characters the rows are as JSON: each OTLP record has its resource with it, however often. */
  chars: number;
}

/** More faults than this in one message, and the message is kept once, whole, instead of a row for each. */
const MAX_DEAD_PER_MESSAGE = 100;

/**
 * How far ahead of the clock a record's time may be when it is read. The edge allows minutes; what others wrote to the
 * topic may be off by more, but each day ahead is a table that no retention comes to, and a newest value that stays so.
 */
const MAX_AHEAD_MS = 86_400_000;

/** A row's place, and the names of its fields. */
const ROW_CHARS = 100;

/** An OTLP record as JSON, flat and whole, without what it shares with others: some 4 to 8 times its bytes. */
const OTLP_GROWTH = 6;

/** What a byte of OTLP may come to as JSON, at the most: a packed count of one byte is `"0",` and its kind. */
const JSON_GROWTH = 16;

/** @param refused of records that decode, those that the store will not have, by their place in the message */
export function decode(
  message: FetchedRecord,
  context: DecodeContext,
  refused?: ReadonlyMap<number, Fault>,
): DecodedMessage {
  const otlp = otlpOf(message.value);
  const decoded: DecodedMessage = {
    message,
    tenant: context.defaultTenant,
    signal: context.signal,
    origin: undefined,
    rows: [],
    dead: [],
    whole: undefined,
    chars: (message.value?.length ?? 0) * (otlp ? OTLP_GROWTH : 1),
  };
  const faults = new Faults(decoded, refused);
  const unreadable = otlp ? readOtlp(decoded, otlp, context, faults) : readJson(decoded, context, faults);
  if (unreadable) {
    decoded.whole = deadMessage(message, context.defaultTenant, faultOf(unreadable));
    return decoded;
  }
  const count = decoded.rows.length + decoded.dead.length;
  decoded.chars += count * ROW_CHARS;
  faults.settle(count);
  return decoded;
}

/** A message of which nothing is told but that it is dead. */
export function unreadable(message: FetchedRecord, context: DecodeContext, fault: Fault): DecodedMessage {
  const { signal, defaultTenant: tenant } = context;
  const whole = deadMessage(message, tenant, fault);
  return { message, tenant, signal, origin: undefined, rows: [], dead: [], whole, chars: 0 };
}

/** The same message with none of its records stored, and told as one. */
export function allDead(decoded: DecodedMessage, fault: Fault): DecodedMessage {
  const { message, tenant, rows } = decoded;
  const dead = rows.map(({ index, record }) => ({ index, id: idOf(record), letter: undefined }));
  for (const { index, id } of decoded.dead) dead.push({ index, id, letter: undefined });
  return { ...decoded, rows: [], dead, whole: deadMessage(message, tenant, fault) };
}

/** The rows of all messages, copies of each other among them. */
export function rowsOf(messages: readonly DecodedMessage[]): Rows {
  const rows: Rows = { metrics: [], logs: [], events: [], traces: [] };
  for (const { signal, rows: own } of messages) {
    const into: AnyRow[] = rows[signal];
    for (const row of own) into.push(row);
  }
  return rows;
}

/** A record's own id; metrics and spans have none. */
export function idOf(record: RecordOf[Signal]): string | undefined {
  return "id" in record ? record.id : undefined;
}

/** The records of one message that are dead. */
class Faults {
  readonly #decoded: DecodedMessage;
  readonly #refused: ReadonlyMap<number, Fault> | undefined;
  #first: Fault | undefined;

  constructor(decoded: DecodedMessage, refused: ReadonlyMap<number, Fault> | undefined) {
    this.#decoded = decoded;
    this.#refused = refused;
  }

  refusalOf(index: number): Fault | undefined {
    return this.#refused?.get(index);
  }

  /** @param original the record as it came; asked for only where it is kept */
  add(index: number, id: string | undefined, fault: Fault, original: () => unknown): void {
    const { message, tenant, dead } = this.#decoded;
    this.#first ??= fault;
    const isTold = dead.length < MAX_DEAD_PER_MESSAGE;
    const letter = isTold ? deadRecord(message, tenant, index, original(), fault) : undefined;
    dead.push({ index, id, letter });
  }

  settle(count: number): void {
    const { message, tenant, dead } = this.#decoded;
    if (dead.length <= MAX_DEAD_PER_MESSAGE || !this.#first) return;
    const error = `${dead.length} of ${count} records; the first: ${this.#first.error}`;
    this.#decoded.whole = deadMessage(message, tenant, { ...this.#first, error });
    for (const one of dead) one.letter = undefined;
  }
}

/** @returns the fault that makes the message dead as a whole */
function readJson(decoded: DecodedMessage, context: DecodeContext, faults: Faults): Rejection | undefined {
  const read = decodeMessage(decoded.message.value);
  if (!read.ok) return read.error;
  if (read.value.kind === "bare") {
    // Spans come as OTLP only.
    if (context.signal === "traces")
      return reject("wrong_type", "", "is JSON; spans are read as OTLP protobuf").error;
    const times = { receivedMs: context.nowMs, enforceTimeRange: false, labels: noLastLabels() };
    readRecords(decoded, context.signal, read.value.records, times, faults, context.nowMs);
    return undefined;
  }
  const { tenant, signal, batch, attempt = 0, received, indices, entries } = read.value.envelope;
  const receivedMs = Date.parse(received);
  decoded.tenant = tenant;
  decoded.signal = signal;
  decoded.origin = { batch, attempt, receivedMs, indices };
  const times = { receivedMs, enforceTimeRange: false, isKept: true, labels: noLastLabels() };
  readRecords(decoded, signal, entries, times, faults, context.nowMs);
  return undefined;
}

function readRecords(
  { message, tenant, rows }: DecodedMessage,
  signal: NativeSignal,
  records: readonly unknown[],
  times: ValidationContext,
  faults: Faults,
  nowMs: number,
): void {
  const latest = textOfMs(nowMs + MAX_AHEAD_MS);
  // Only a message that is itself too large for a row can hold a record that is.
  const mayBeLarge = (message.value?.length ?? 0) > MAX_ROW_BYTES;
  const { offset } = message;
  for (let index = 0; index < records.length; index++) {
    const input = records[index];
    const valid =
      mayBeLarge && isTooLarge(stringify(input)) ? tooLargeForRow : validateRecord(signal, input, times);
    const record = valid.ok ? valid.value : undefined;
    const fault = valid.ok
      ? (aheadFault(valid.value, latest) ?? faults.refusalOf(index))
      : faultOf(valid.error);
    if (fault) faults.add(index, record && idOf(record), fault, () => input);
    else rows.push({ tenant, offset, index, record: record as RecordOf[NativeSignal] });
  }
}

/** The bytes of an OTLP message, also of one that a transport for text alone carried. */
export function otlpOf(value: Uint8Array | null): Uint8Array | undefined {
  if (value === null) return undefined;
  if (isOtlpMessage(value)) return value;
  // `otlp:`
  if (value[0] !== 0x6f || value[4] !== 0x3a) return undefined;
  return otlpFromText(Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1"));
}

/** @returns the fault that makes the message dead as a whole */
function readOtlp(
  decoded: DecodedMessage,
  value: Uint8Array,
  { signal, nowMs }: DecodeContext,
  faults: Faults,
): Rejection | undefined {
  if (signal === "events") return reject("wrong_type", "", "is OTLP; events are read as JSON").error;
  const read = decodeOtlpMessage(signal, value);
  if (!read.ok) return read.error;
  const { weir, request } = read.value;
  if (weir) {
    decoded.tenant = weir.tenant;
    decoded.origin = weir;
  }
  const { tenant, rows, message } = decoded;
  const { offset } = message;
  const times = { receivedMs: weir?.receivedMs ?? nowMs, enforceTimeRange: false };
  const mayBeLarge = value.length * JSON_GROWTH > MAX_ROW_BYTES;
  const latest = textOfMs(nowMs + MAX_AHEAD_MS);
  for (const placed of otlpRecords(request)) {
    const { index } = placed;
    const kept = keepOtlp(placed, times);
    const valid = kept.ok && mayBeLarge && isTooLarge(JSON.stringify(kept.value)) ? tooLargeForRow : kept;
    const fault = valid.ok
      ? (aheadFault(valid.value, latest) ?? faults.refusalOf(index))
      : faultOf(valid.error);
    if (fault || !valid.ok) {
      faults.add(index, undefined, fault as Fault, () => detailOf(placed));
      continue;
    }
    rows.push({ tenant, offset, index, record: valid.value });
    decoded.chars += contextChars(valid.value.detail);
  }
  return undefined;
}

/** @param latest the timestamp that none may be above, as a text */
function aheadFault({ timestamp }: { timestamp: string }, latest: string): Fault | undefined {
  return timestamp > latest ? tooFarAhead : undefined;
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

/** @param text undefined for what is nested too deep to be written */
function isTooLarge(text: string | undefined): boolean {
  return text === undefined || utf8Bytes(text) > MAX_ROW_BYTES;
}

const tooFarAhead = faultOf(
  reject("timestamp_out_of_range", "timestamp", "is more than a day ahead of the time at which it was read")
    .error,
);

const tooLargeForRow = reject(
  "record_too_large",
  "",
  `is larger than ${MAX_ROW_BYTES} bytes as JSON, the most a row takes`,
);
