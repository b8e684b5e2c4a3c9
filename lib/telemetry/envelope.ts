// The message Weir writes to Kafka: one per request and key, holding many entries. UTF-8 JSON, version 1:
//   {"v":1,"tenant","signal","batch","attempt"?,"received","agent_version"?,"indices":[…],"entries":[…]}
// `indices[i]` is the place of `entries[i]` in the client's request; (tenant, batch, index) is a record's identity.
// `attempt` tells one acceptance of a batch from another; a batch of which there can be but one has none.
import { z } from "zod";
import { hasMoreValuesThan } from "./json-scan.ts";
import { MAX_JSON_VALUES, MAX_MESSAGE_VALUE_BYTES } from "./limits.ts";
import { ok, reject, type Rejection, type Result } from "./result.ts";
import { utf8Bytes } from "./text.ts";
import { NATIVE_SIGNALS, type NativeSignal } from "./signal.ts";

const ENVELOPE_VERSION = 1;

/** Attempts are random numbers below this: 6 bytes in a store, and two of one batch are alike once in 10^14. */
export const MAX_ATTEMPT = 2 ** 48;

const utf8 = new TextEncoder();

/** A lone surrogate would be another text in every store. */
const text = z.string().refine((value) => value.isWellFormed(), "holds a lone surrogate");

/** Not by zod's arrays, which are copied element by element: there are as many as records. */
function isPlaces(value: unknown): boolean {
  return Array.isArray(value) && value.every((place) => Number.isSafeInteger(place) && place >= 0);
}

const envelopeShape = z
  .looseObject({
    v: z.literal(ENVELOPE_VERSION),
    tenant: text.min(1),
    signal: z.enum(NATIVE_SIGNALS),
    batch: text.min(1),
    attempt: z.int().nonnegative().lt(MAX_ATTEMPT).optional(),
    received: z.iso.datetime(),
    agent_version: text.optional(),
    indices: z.custom<number[]>(isPlaces, "must be an array of whole numbers from 0"),
    entries: z.custom<unknown[]>(Array.isArray, "must be an array"),
  })
  .refine(
    ({ indices, entries }) => indices.length === entries.length,
    "indices and entries differ in length",
  );

/** An envelope as read; `entries` are not checked yet (each has its own verdict). */
export type Envelope = z.output<typeof envelopeShape>;

export interface EnvelopeHeader {
  tenant: string;
  signal: NativeSignal;
  batch: string;
  /** Below MAX_ATTEMPT; 0: there can be but one. */
  attempt: number;
  /** ISO 8601 UTC, milliseconds. */
  received: string;
  agentVersion: string | undefined;
}

export interface Entry {
  /** Place in the client's request. */
  index: number;
  record: unknown;
}

/** One message's value and the places of the entries in it. */
export interface PackedEnvelope {
  value: Uint8Array;
  indices: number[];
}

/**
 * Packs entries into as few messages as fit `maxBytes` each, in order.
 * An entry that alone is larger is returned in `oversize`; the others go on.
 */
export function packEnvelopes(
  header: EnvelopeHeader,
  entries: readonly Entry[],
  maxBytes = MAX_MESSAGE_VALUE_BYTES,
): { envelopes: PackedEnvelope[]; oversize: { index: number; error: Rejection }[] } {
  const head = `{"v":${ENVELOPE_VERSION},"tenant":${JSON.stringify(header.tenant)},"signal":"${header.signal}","batch":${JSON.stringify(header.batch)}${header.attempt === 0 ? "" : `,"attempt":${header.attempt}`},"received":"${header.received}"${header.agentVersion === undefined ? "" : `,"agent_version":${JSON.stringify(header.agentVersion)}`}`;
  // `,"indices":[],"entries":[]}` and what a multi-byte tenant or version may add.
  const overhead = head.length * 3 + 32;
  const envelopes: PackedEnvelope[] = [];
  const oversize: { index: number; error: Rejection }[] = [];
  let parts: string[] = [];
  let indices: number[] = [];
  let bytes = overhead;
  // How many of `parts` are counted exactly; the others by an upper bound.
  let measured = 0;
  const flush = () => {
    if (parts.length === 0) return;
    const text = `${head},"indices":[${indices.join()}],"entries":[${parts.join()}]}`;
    envelopes.push({ value: utf8.encode(text), indices });
    parts = [];
    indices = [];
    bytes = overhead;
    measured = 0;
  };
  for (const { index, record } of entries) {
    const text = JSON.stringify(record);
    // A UTF-16 unit is at most three bytes: only where that might not fit is anything measured exactly.
    let size = text.length * 3 + 12;
    const mightNotFit = bytes + size > maxBytes;
    if (mightNotFit) {
      for (const part of parts.slice(measured)) bytes += utf8Bytes(part) - part.length * 3;
      measured = parts.length;
      size = utf8Bytes(text) + 12;
    }
    if (overhead + size > maxBytes) {
      oversize.push({
        index,
        error: reject(
          "record_too_large",
          "",
          `is larger than ${maxBytes} bytes as JSON, the most one message takes`,
        ).error,
      });
      continue;
    }
    if (bytes + size > maxBytes) flush();
    parts.push(text);
    if (mightNotFit) measured = parts.length;
    indices.push(index);
    bytes += size;
  }
  flush();
  return { envelopes, oversize };
}

/** What a message's value turned out to be. */
export type Decoded =
  | { kind: "envelope"; envelope: Envelope }
  /** A record, or an array of them, that some other producer wrote. */
  | { kind: "bare"; records: unknown[] };

/** Reads a message's value; what cannot be read is the message's own fault and is told as such. */
export function decodeMessage(value: Uint8Array | null): Result<Decoded> {
  if (value === null) return reject("missing_field", "", "the message has no value (a tombstone)");
  if (hasMoreValuesThan(value, MAX_JSON_VALUES)) {
    return reject("too_many_values", "", `the message holds more than ${MAX_JSON_VALUES} JSON values`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(value);
  } catch {
    return reject("invalid_utf8", "", "the message is not UTF-8");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return reject(
      "malformed_json",
      "",
      `the message is not JSON: ${String(error).slice(0, 200).toWellFormed()}`,
    );
  }
  if (Array.isArray(json)) return ok({ kind: "bare", records: json });
  if (typeof json === "object" && json !== null && "v" in json && "entries" in json) {
    const envelope = envelopeShape.safeParse(json);
    if (envelope.success) return ok({ kind: "envelope", envelope: envelope.data });
    const issue = envelope.error.issues[0];
    return reject(
      "wrong_type",
      issue?.path.join(".") ?? "",
      `not an envelope this version reads: ${issue?.message}`,
    );
  }
  return ok({ kind: "bare", records: [json] });
}
