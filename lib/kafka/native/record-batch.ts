// Record batches, format version 2 (kafka.apache.org/documentation, "Record Batch"):
//   baseOffset:int64 batchLength:int32 partitionLeaderEpoch:int32 magic:int8=2 crc:uint32 attributes:int16
//   lastOffsetDelta:int32 baseTimestamp:int64 maxTimestamp:int64 producerId:int64 producerEpoch:int16
//   baseSequence:int32 recordCount:int32 records, which alone are compressed; crc (Castagnoli) covers all after itself.
// Our own, because the library's writes a null key or value as an empty one. Older formats are refused by name.
import { crc32c } from "@platformatic/kafka";
import { Buffer } from "node:buffer";
import { KafkaError } from "../errors.ts";
import type { FetchedRecord, ProduceRecord, RecordHeader } from "../transport.ts";
import { decompress, type Compressor } from "./compression.ts";
import { bytesSize, Cursor, varintSize } from "./varint.ts";

const HEADER_BYTES = 61;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
/** Key of an ABORT marker: version 0, type 0. */
const ABORT = 0;

export interface BatchIdentity {
  producerId: bigint;
  producerEpoch: number;
  sequence: number;
}

export function encodeBatch(
  records: readonly ProduceRecord[],
  identity: BatchIdentity,
  compressor: Compressor,
  nowMs: number,
): Buffer {
  const times = records.map(({ timestampMs }) => timestampMs ?? nowMs);
  const baseTimeMs = times[0] ?? nowMs;
  const { codec, packed } = compressor(encodeRecords(records, times, baseTimeMs));
  const batch = Buffer.allocUnsafe(HEADER_BYTES + packed.length);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(codec, ATTRIBUTES_AT);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(baseTimeMs), 27);
  batch.writeBigInt64BE(BigInt(times.reduce((a, b) => Math.max(a, b))), 35);
  batch.writeBigInt64BE(identity.producerId, 43);
  batch.writeInt16BE(identity.producerEpoch, 51);
  batch.writeInt32BE(identity.sequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.set(packed, HEADER_BYTES);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT);
  return batch;
}

/** What a record takes before compression, lengths of lengths included; its deltas taken at their longest. */
export function recordBytes({ key, value, headers }: ProduceRecord): number {
  const ofHeaders = (headers ?? []).reduce(
    (sum, header) => sum + bytesSize(Buffer.from(header.name)) + bytesSize(header.value),
    0,
  );
  return 25 + bytesSize(key) + bytesSize(value) + ofHeaders;
}

function encodeRecords(records: readonly ProduceRecord[], times: number[], baseTimeMs: number): Buffer {
  const target = new Cursor(
    Buffer.allocUnsafe(records.reduce((sum, record) => sum + recordBytes(record), 0)),
  );
  records.forEach(({ key, value, headers = [] }, i) => {
    const timeDelta = (times[i] as number) - baseTimeMs;
    const named = headers.map((header) => ({ name: Buffer.from(header.name), value: header.value }));
    const size =
      1 +
      varintSize(timeDelta) +
      varintSize(i) +
      bytesSize(key) +
      bytesSize(value) +
      varintSize(named.length);
    target.writeVarint(
      named.reduce((sum, { name, value }) => sum + bytesSize(name) + bytesSize(value), size),
    );
    target.writeByte(0);
    target.writeVarint(timeDelta);
    target.writeVarint(i);
    target.writeBytes(key);
    target.writeBytes(value);
    target.writeVarint(named.length);
    for (const header of named) {
      target.writeBytes(header.name);
      target.writeBytes(header.value);
    }
  });
  return target.written();
}

/** A transaction whose records are not to be seen: they begin at `firstOffset` and end at the producer's ABORT marker. */
export interface AbortedTransaction {
  producerId: bigint;
  firstOffset: number;
}

export interface DecodedBatches {
  /** From `fromOffset` on, without markers and without what was aborted. */
  records: FetchedRecord[];
  /** Where reading goes on, which is further than the last record where the tail was skipped. */
  nextOffset: number;
}

/** A last batch that is cut off by the fetch's limit is left out. @throws KafkaError `bad_answer`, `unsupported` */
export function decodeBatches(
  bytes: Buffer,
  fromOffset: number,
  abortedTransactions: readonly AbortedTransaction[] = [],
): DecodedBatches {
  const decoded: DecodedBatches = { records: [], nextOffset: fromOffset };
  const pending = abortedTransactions.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborted = new Set<bigint>();
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readInt32BE(at + 8) + 12;
    if (bytes.readInt8(at + 16) !== 2) {
      throw new KafkaError("unsupported", "the log holds messages in a format from before Kafka 0.11");
    }
    if (length < HEADER_BYTES) throw broken("a record batch's length");
    if (at + length > bytes.length) break;
    const batch = bytes.subarray(at, at + length);
    at += length;
    const lastOffset = Number(batch.readBigInt64BE(0)) + batch.readInt32BE(23);
    if (lastOffset < fromOffset) continue;
    decoded.nextOffset = lastOffset + 1;
    const attributes = batch.readInt16BE(ATTRIBUTES_AT);
    const producerId = batch.readBigInt64BE(43);
    for (; pending[0] && pending[0].firstOffset <= lastOffset; pending.shift())
      aborted.add(pending[0].producerId);
    if ((attributes & CONTROL) !== 0) {
      if (markerType(batch) === ABORT) aborted.delete(producerId);
      continue;
    }
    if ((attributes & TRANSACTIONAL) !== 0 && aborted.has(producerId)) continue;
    decodeRecords(batch, attributes, fromOffset, decoded.records);
  }
  return decoded;
}

function decodeRecords(batch: Buffer, attributes: number, fromOffset: number, into: FetchedRecord[]): void {
  if (crc32c(batch.subarray(ATTRIBUTES_AT)) !== batch.readUInt32BE(CRC_AT))
    throw broken("a record batch's checksum");
  const baseOffset = Number(batch.readBigInt64BE(0));
  const baseTimeMs = Number(batch.readBigInt64BE(27));
  const appendTimeMs = (attributes & LOG_APPEND_TIME) === 0 ? undefined : Number(batch.readBigInt64BE(35));
  const source = new Cursor(decompress(attributes & 7, batch.subarray(HEADER_BYTES)));
  try {
    for (let count = batch.readInt32BE(57); count > 0; count--) {
      const end = source.readVarint() + source.at;
      source.readByte();
      const timestampMs = baseTimeMs + source.readVarint();
      const offset = baseOffset + source.readVarint();
      const key = source.readBytes();
      const value = source.readBytes();
      const headers: RecordHeader[] = [];
      for (let left = source.readVarint(); left > 0; left--) {
        const name = source.readBytes();
        headers.push({ name: name ? name.toString() : "", value: source.readBytes() });
      }
      source.at = end;
      if (offset >= fromOffset) {
        into.push({ offset, key, value, headers, timestampMs: appendTimeMs ?? timestampMs });
      }
    }
  } catch (error) {
    if (error instanceof RangeError) throw broken("a record", error);
    throw error;
  }
}

function markerType(batch: Buffer): number {
  const source = new Cursor(batch);
  source.at = HEADER_BYTES;
  source.readVarint();
  source.readByte();
  source.readVarint();
  source.readVarint();
  return source.readBytes()?.readInt16BE(2) ?? -1;
}

function broken(what: string, cause?: unknown): KafkaError {
  return new KafkaError("bad_answer", `${what} as read makes no sense`, { cause });
}
