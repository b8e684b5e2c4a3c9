// What Weir adds to an OTLP message on a topic: one field behind the request's own, of a number that OTLP does not use,
// which other readers skip.
//   20001: { 1 version = 1, 2 tenant, 3 batch, 4 received (unix ms), 5 indices (packed), 6 agent version, 7 attempt }
// (tenant, batch, index) is a record's identity; `indices` are the records' places in the client's request.
import type { UnknownField } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MAX_ATTEMPT } from "../envelope.ts";
import { ok, reject, type Result } from "../result.ts";

export const WEIR_FIELD = 20_001;
const VERSION = 1;

/** What the field says of the whole request. */
export interface OtlpHeader {
  tenant: string;
  batch: string;
  receivedMs: number;
  /** Tells one acceptance of the batch from another; 0: there can be but one. */
  attempt: number;
  agentVersion?: string | undefined;
}

export interface WeirField extends OtlpHeader {
  indices: number[];
}

/** The field with its tag, to be put behind a request's bytes. */
export function writeWeirField({
  tenant,
  batch,
  receivedMs,
  attempt,
  agentVersion,
  indices,
}: WeirField): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(WEIR_FIELD, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).uint32(VERSION);
  writer.tag(2, WireType.LengthDelimited).string(tenant);
  writer.tag(3, WireType.LengthDelimited).string(batch);
  writer.tag(4, WireType.Varint).uint64(receivedMs);
  writer.tag(5, WireType.LengthDelimited).fork();
  for (const index of indices) writer.uint32(index);
  writer.join();
  if (agentVersion !== undefined) writer.tag(6, WireType.LengthDelimited).string(agentVersion);
  if (attempt !== 0) writer.tag(7, WireType.Varint).uint64(attempt);
  return writer.join().finish();
}

/** Of a request's unknown fields, Weir's; undefined where another producer wrote the message. */
export function findWeirField(unknown: readonly UnknownField[]): Result<WeirField> | undefined {
  const field = unknown.findLast(
    ({ no, wireType }) => no === WEIR_FIELD && wireType === WireType.LengthDelimited,
  );
  if (!field) return undefined;
  try {
    return readWeirField(new BinaryReader(field.data).bytes());
  } catch {
    return reject("wrong_type", "", `field ${WEIR_FIELD} is not what Weir writes into it`);
  }
}

/** @throws where the bytes end within a value */
function readWeirField(bytes: Uint8Array): Result<WeirField> {
  const reader = new BinaryReader(bytes);
  const field: WeirField = { tenant: "", batch: "", receivedMs: NaN, attempt: 0, indices: [] };
  let version = 0;
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    switch ((number << 3) | wire) {
      case (1 << 3) | WireType.Varint:
        version = reader.uint32();
        break;
      case (2 << 3) | WireType.LengthDelimited:
        field.tenant = reader.string(true);
        break;
      case (3 << 3) | WireType.LengthDelimited:
        field.batch = reader.string(true);
        break;
      case (4 << 3) | WireType.Varint:
        field.receivedMs = Number(reader.uint64());
        break;
      case (5 << 3) | WireType.LengthDelimited:
        field.indices = readIndices(reader.bytes());
        break;
      case (6 << 3) | WireType.LengthDelimited:
        field.agentVersion = reader.string(true);
        break;
      case (7 << 3) | WireType.Varint:
        field.attempt = Number(reader.uint64());
        break;
      default:
        reader.skip(wire, number);
    }
  }
  if (version !== VERSION)
    return reject("wrong_type", "", `field ${WEIR_FIELD} has version ${version}, not ${VERSION}`);
  if (field.tenant === "" || field.batch === "" || !(Math.abs(field.receivedMs) <= MAX_DATE_MS)) {
    return reject("missing_field", "", `field ${WEIR_FIELD} lacks a tenant, a batch or a time of receipt`);
  }
  if (field.attempt >= MAX_ATTEMPT)
    return reject("wrong_type", "", `field ${WEIR_FIELD} has an attempt beyond ${MAX_ATTEMPT}`);
  return ok(field);
}

/** What a Date holds. */
const MAX_DATE_MS = 8.64e15;

function readIndices(bytes: Uint8Array): number[] {
  const reader = new BinaryReader(bytes);
  const indices: number[] = [];
  while (reader.pos < reader.len) indices.push(reader.uint32());
  return indices;
}
