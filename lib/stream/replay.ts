// From a dead letter back to a message of its topic: the same bytes, or the same record alone, under the same identity,
// as one more acceptance of it. So what is replayed twice, or was sent again by its client meanwhile, counts once.
// Edits nothing; what is not there any more cannot be replayed, and is told.
import { Buffer } from "node:buffer";
import type { FetchedRecord } from "../kafka/transport.ts";
import type { StoredDeadLetter } from "../storage/storage.ts";
import { decodeMessage } from "../telemetry/envelope.ts";
import { detailOf } from "../telemetry/otlp/detail.ts";
import { decodeOtlpMessage, isOtlpMessage, otlpToText } from "../telemetry/otlp/message.ts";
import { packRecord } from "../telemetry/otlp/pack.ts";
import { otlpRecords } from "../telemetry/otlp/records.ts";
import type { OtlpSignal } from "../telemetry/otlp/request.ts";
import { writeWeirField } from "../telemetry/otlp/weir-field.ts";
import type { Signal } from "../telemetry/signal.ts";
import { otlpOf } from "./decode.ts";
import { stringify } from "./dead-letter.ts";

export interface Replay {
  key: Uint8Array | null;
  value: Uint8Array;
  /** What is accepted once more by it; undefined where nobody accepted it in the first place. */
  acceptance: { tenant: string; signal: Signal; records: number } | undefined;
}

export type ReplayPlan = { ok: true; replay: Replay } | { ok: false; reason: string };

/** Whether the message in the log is needed: a letter of one record holds neither its batch nor its place therein. */
export function needsOriginal({ index, originalValue }: StoredDeadLetter): boolean {
  return index >= 0 || (originalValue ?? null) === null;
}

/**
 * @param letter with its value
 * @param signal of its topic
 * @param original the message at its offset, where the log still has it
 * @param attempt tells this acceptance from all others; below 2^48
 */
export function planReplay(
  letter: StoredDeadLetter,
  signal: Signal,
  original: FetchedRecord | undefined,
  attempt: number,
): ReplayPlan {
  const kept = bytesOf(letter.originalValue ?? null);
  const key = bytesOf(letter.originalKey);
  const message = original && isSameKey(original, key) ? original : undefined;
  if (letter.index >= 0) {
    if (!message) return { ok: false, reason: "the message that it stood in is no longer in the log" };
    const one = recordOf(message, letter, signal, kept, attempt);
    return one ?? { ok: false, reason: "another message lies at its place in the log" };
  }
  const value = kept ?? message?.value ?? null;
  if (value === null) return { ok: false, reason: "its bytes were not kept, and are no longer in the log" };
  return { ok: true, replay: wholeOf(key, value, signal, attempt) };
}

/** The message as it was, but for the acceptance. What nobody can read goes as it is. */
function wholeOf(key: Uint8Array | null, value: Uint8Array, signal: Signal, attempt: number): Replay {
  const otlp = otlpOf(value);
  if (otlp) {
    const read = signal === "events" ? undefined : decodeOtlpMessage(signal, otlp);
    const weir = read?.ok ? read.value.weir : undefined;
    if (!weir) return { key, value, acceptance: undefined };
    // Of two such fields the last is read.
    const again = Buffer.concat([otlp, writeWeirField({ ...weir, attempt })]);
    const { tenant, indices } = weir;
    return {
      key,
      value: inFormOf(value, again),
      acceptance: { tenant, signal, records: indices.length },
    };
  }
  const read = decodeMessage(value);
  if (!read.ok || read.value.kind === "bare") return { key, value, acceptance: undefined };
  const { envelope } = read.value;
  const { tenant, entries, signal: own } = envelope;
  return {
    key,
    value: written({ ...envelope, attempt }),
    acceptance: { tenant, signal: own, records: entries.length },
  };
}

/** @returns undefined where the message does not hold the record that died */
function recordOf(
  { key, value }: FetchedRecord,
  { index }: StoredDeadLetter,
  signal: Signal,
  kept: Uint8Array | null,
  attempt: number,
): ReplayPlan | undefined {
  if (value === null) return undefined;
  const isIt = (record: unknown) => {
    const text = stringify(record);
    return kept === null || (text !== undefined && Buffer.from(text).equals(kept));
  };
  const otlp = otlpOf(value);
  if (otlp) {
    if (signal === "events") return undefined;
    return otlpRecordOf(key, value, otlp, signal, index, isIt, attempt);
  }
  const read = decodeMessage(value);
  if (!read.ok) return undefined;
  if (read.value.kind === "bare") {
    const record = read.value.records[index];
    if (record === undefined || !isIt(record)) return undefined;
    return { ok: true, replay: { key, value: written(record), acceptance: undefined } };
  }
  const { envelope } = read.value;
  const { tenant, signal: own, indices, entries } = envelope;
  const place = indices[index];
  if (place === undefined || !isIt(entries[index])) return undefined;
  const one = { ...envelope, attempt, indices: [place], entries: [entries[index]] };
  return {
    ok: true,
    replay: { key, value: written(one), acceptance: { tenant, signal: own, records: 1 } },
  };
}

function otlpRecordOf(
  key: Uint8Array | null,
  value: Uint8Array,
  otlp: Uint8Array,
  signal: OtlpSignal,
  index: number,
  isIt: (record: unknown) => boolean,
  attempt: number,
): ReplayPlan | undefined {
  const read = decodeOtlpMessage(signal, otlp);
  if (!read.ok) return undefined;
  const { weir, request } = read.value;
  for (const placed of otlpRecords(request)) {
    if (placed.index !== index) continue;
    if (!isIt(detailOf(placed))) return undefined;
    const place = weir?.indices[index];
    const header = weir && place !== undefined ? { ...weir, attempt, indices: [place] } : undefined;
    const again = inFormOf(value, packRecord(placed, header));
    const acceptance = header ? { tenant: header.tenant, signal, records: 1 } : undefined;
    return { ok: true, replay: { key, value: again, acceptance } };
  }
  return undefined;
}

const written = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Text where the message was text, for a transport that carries nothing else. */
function inFormOf(before: Uint8Array, otlp: Uint8Array): Uint8Array {
  return isOtlpMessage(before) ? otlp : new TextEncoder().encode(otlpToText(otlp));
}

function bytesOf(base64: string | null): Uint8Array | null {
  return base64 === null ? null : new Uint8Array(Buffer.from(base64, "base64"));
}

function isSameKey({ key }: FetchedRecord, other: Uint8Array | null): boolean {
  if (key === null || other === null) return key === other;
  return Buffer.from(key).equals(other);
}
