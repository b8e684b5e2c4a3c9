// From a request to the messages of its topic. One message is a whole Export…ServiceRequest of one resource, so that any
// reader of OTLP reads it, with Weir's field behind. It holds accepted records only; a resource too large for one
// message is split by whole records, with resource, scope and metric in each part. Encoding is O(bytes).
import { toBinary } from "@bufbuild/protobuf";
import { MAX_MESSAGE_VALUE_BYTES } from "../limits.ts";
import { reject, type Rejection } from "../result.ts";
import { utf8Bytes } from "../text.ts";
import { Nested } from "./nested.ts";
import { otlpRecords, type Origin, type OtlpRecord } from "./records.ts";
import type { OtlpRequest } from "./request.ts";
import { encodeResource, enterShells, recordSchemaOf, type OpenShells } from "./shells.ts";
import { writeWeirField, type OtlpHeader, type WeirField } from "./weir-field.ts";

export interface PackedOtlp {
  key: string;
  value: Uint8Array;
  /** The records' places in the request, in order. */
  indices: number[];
}

export interface Packed {
  messages: PackedOtlp[];
  /** Records that do not fit a message; the others go on. */
  oversize: { index: number; error: Rejection }[];
}

/** @param keyOf a message's key, by the `service.name` and `host.name` of its resource */
export function packOtlp(
  header: OtlpHeader,
  request: OtlpRequest,
  isAccepted: (index: number) => boolean,
  keyOf: (origin: Origin) => string,
  maxBytes = MAX_MESSAGE_VALUE_BYTES,
): Packed {
  const packed: Packed = { messages: [], oversize: [] };
  let group: OtlpRecord[] = [];
  const flush = () => {
    const first = group[0];
    if (first) packGroup(packed, header, keyOf(first.origin), group, maxBytes);
    group = [];
  };
  for (const placed of otlpRecords(request)) {
    if (!isAccepted(placed.index)) continue;
    if (group[0]?.origin !== placed.origin) flush();
    group.push(placed);
  }
  flush();
  return packed;
}

/** A message of one record alone, with its resource and scope. @param header undefined: without Weir's field */
export function packRecord(placed: OtlpRecord, header: WeirField | undefined): Uint8Array {
  const nested = new Nested();
  nested.add([], { head: encodeResource([placed]), field: 1 });
  return nested.finish(header ? writeWeirField(header) : new Uint8Array(0));
}

/** @param group records of one resource */
function packGroup(
  packed: Packed,
  header: OtlpHeader,
  key: string,
  group: readonly OtlpRecord[],
  maxBytes: number,
): void {
  const indices = group.map(({ index }) => index);
  const whole = new Nested();
  whole.add([], { head: encodeResource(group), field: 1 });
  // Encoding all records at once takes half the time of encoding each; few requests need the latter.
  const value = whole.finish(writeWeirField({ ...header, indices }));
  if (value.length <= maxBytes) packed.messages.push({ key, value, indices });
  else splitGroup(packed, header, key, group, maxBytes);
}

/** What Weir's field takes at most beside its texts, and for each index. */
const FIELD_BYTES = 48;
const INDEX_BYTES = 5;

function splitGroup(
  packed: Packed,
  header: OtlpHeader,
  key: string,
  group: readonly OtlpRecord[],
  maxBytes: number,
): void {
  const fieldBytes = FIELD_BYTES + utf8Bytes(header.tenant + header.batch + (header.agentVersion ?? ""));
  let open: OpenShells | undefined;
  let nested = new Nested();
  let indices: number[] = [];
  const flush = () => {
    if (indices.length === 0) return;
    const value = nested.finish(writeWeirField({ ...header, indices }));
    packed.messages.push({ key, value, indices });
    nested = new Nested();
    indices = [];
  };
  for (const placed of group) {
    open = enterShells(open, placed);
    const record = { head: toBinary(recordSchemaOf(placed), placed.record), field: open.recordField };
    const alone = fieldBytes + INDEX_BYTES + Nested.boundOf(open.shells, record);
    const fault = checkSize(alone, alone - record.head.length, maxBytes);
    if (fault) {
      packed.oversize.push({ index: placed.index, error: fault });
      continue;
    }
    const withIt = nested.boundWith(open.shells, record) + fieldBytes + INDEX_BYTES * (indices.length + 1);
    if (withIt > maxBytes) flush();
    nested.add(open.shells, record);
    indices.push(placed.index);
  }
  flush();
}

/**
 * `shared` is what stands in every part again; if it could take up nearly all of a message, the parts of one request
 * would come to hundreds of times its size.
 */
function checkSize(alone: number, shared: number, maxBytes: number): Rejection | undefined {
  if (alone > maxBytes) {
    const message = `is larger than ${maxBytes} bytes with its resource, the most one message takes`;
    return reject("record_too_large", "", message).error;
  }
  if (shared <= maxBytes / 2) return undefined;
  const message = `stands in a resource, scope and metric of ${shared} bytes, more than half of what one message takes`;
  return reject("record_too_large", "", message).error;
}
