/**
 * Record batches as Kafka stores them (magic 2), keys and values byte for byte, null and empty told apart:
 *   baseOffset INT64, length INT32, leaderEpoch INT32, magic INT8, crc UINT32 (CRC-32C of all that follows), attributes
 *   INT16, lastOffsetDelta INT32, baseTimestamp INT64, maxTimestamp INT64, producerId INT64, producerEpoch INT16,
 *   baseSequence INT32, count INT32, records
 *   record: length, attributes INT8, timestampDelta, offsetDelta, key, value, headers (all else VARINT)
 * Grammar: https://kafka.apache.org/documentation/#recordbatch. Written without compression; read with any.
 */
import { crc32c } from "@platformatic/kafka";
import { KafkaError } from "../kafka-error.ts";
import type { LogRecord, RecordBatch } from "../log.ts";
import { decompress } from "./decompress.ts";
import { MAX_VARINT_BYTES, VarintReader, writeVarint } from "./varint.ts";

const HEADER_BYTES = 61;
const LENGTH_AT = 8;
const BEFORE_LENGTH_BYTES = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const COUNT_AT = 57;

const COMPRESSION = 0b111;
const LOG_APPEND_TIME = 0b1000;
const CONTROL = 0b10_0000;

/** What one record takes at most, without its length. */
export function recordBytes({ key, value, headers = [] }: LogRecord): number {
  let bytes = 1 + 5 * MAX_VARINT_BYTES + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const header of headers) {
    bytes += 2 * MAX_VARINT_BYTES + Buffer.byteLength(header.name) + (header.value?.byteLength ?? 0);
  }
  return bytes;
}

/** Records without a timestamp of their own get `nowMs`. */
export function encodeBatch(records: readonly LogRecord[], nowMs: number): Buffer {
  const sizes = records.map(recordBytes);
  const buffer = Buffer.allocUnsafe(
    HEADER_BYTES + sizes.reduce((sum, size) => sum + size + MAX_VARINT_BYTES, 0),
  );
  const scratch = Buffer.allocUnsafe(sizes.reduce((most, size) => Math.max(most, size), 0));
  const times = records.map(({ timestampMs }) => timestampMs ?? nowMs);
  const [baseTime = nowMs] = times;
  let at = HEADER_BYTES;
  for (const [i, record] of records.entries()) {
    const length = writeRecord(scratch, record, i, (times[i] ?? nowMs) - baseTime);
    at = writeVarint(buffer, length, at);
    at += scratch.copy(buffer, at, 0, length);
  }
  buffer.writeBigInt64BE(0n, 0);
  buffer.writeInt32BE(at - BEFORE_LENGTH_BYTES, LENGTH_AT);
  buffer.writeInt32BE(-1, 12);
  buffer.writeInt8(2, MAGIC_AT);
  buffer.writeInt16BE(0, ATTRIBUTES_AT);
  buffer.writeInt32BE(records.length - 1, 23);
  buffer.writeBigInt64BE(BigInt(baseTime), 27);
  buffer.writeBigInt64BE(BigInt(times.reduce((most, time) => Math.max(most, time), baseTime)), 35);
  buffer.writeBigInt64BE(-1n, 43);
  buffer.writeInt16BE(-1, 51);
  buffer.writeInt32BE(-1, 53);
  buffer.writeInt32BE(records.length, COUNT_AT);
  buffer.writeUInt32BE(crc32c(buffer.subarray(ATTRIBUTES_AT, at)), CRC_AT);
  return buffer.subarray(0, at);
}

function writeRecord(buffer: Buffer, record: LogRecord, offsetDelta: number, timeDelta: number): number {
  buffer[0] = 0;
  let at = writeVarint(buffer, timeDelta, 1);
  at = writeVarint(buffer, offsetDelta, at);
  at = writeBytes(buffer, record.key, at);
  at = writeBytes(buffer, record.value, at);
  const headers = record.headers ?? [];
  at = writeVarint(buffer, headers.length, at);
  for (const { name, value } of headers) {
    at = writeBytes(buffer, Buffer.from(name), at);
    at = writeBytes(buffer, value, at);
  }
  return at;
}

function writeBytes(buffer: Buffer, bytes: Uint8Array | null, at: number): number {
  if (bytes === null) return writeVarint(buffer, -1, at);
  const start = writeVarint(buffer, bytes.byteLength, at);
  buffer.set(bytes, start);
  return start + bytes.byteLength;
}

export interface DecodedBatches {
  /** Runs of consecutive offsets: compaction, and markers of transactions, leave holes in Kafka's own batches. */
  batches: RecordBatch[];
  /** The offset behind the last whole batch, markers included; undefined when there was none. */
  nextOffset: number | undefined;
}

/** Reads whole batches; one that is cut at the end, as a fetch may leave it, is not there yet. */
export function decodeBatches(buffer: Buffer): DecodedBatches {
  const batches: RecordBatch[] = [];
  let nextOffset: number | undefined;
  for (let at = 0; at + BEFORE_LENGTH_BYTES <= buffer.length;) {
    const end = at + BEFORE_LENGTH_BYTES + buffer.readInt32BE(at + LENGTH_AT);
    if (end > buffer.length || end < at + HEADER_BYTES) break;
    const batch = buffer.subarray(at, end);
    batches.push(...decodeBatch(batch));
    nextOffset = Number(batch.readBigInt64BE(0)) + batch.readInt32BE(23) + 1;
    at = end;
  }
  return { batches, nextOffset };
}

function decodeBatch(buffer: Buffer): RecordBatch[] {
  if (buffer.readInt8(MAGIC_AT) !== 2) throw damaged("it is older than Kafka 0.11");
  if (crc32c(buffer.subarray(ATTRIBUTES_AT)) !== buffer.readUInt32BE(CRC_AT))
    throw damaged("its checksum is wrong");
  const attributes = buffer.readInt16BE(ATTRIBUTES_AT);
  if ((attributes & CONTROL) !== 0) return [];
  const baseOffset = Number(buffer.readBigInt64BE(0));
  const baseTime = Number(buffer.readBigInt64BE(27));
  const maxTime = Number(buffer.readBigInt64BE(35));
  const reader = new VarintReader(decompress(attributes & COMPRESSION, buffer.subarray(HEADER_BYTES)));
  const runs: RecordBatch[] = [];
  for (let left = buffer.readInt32BE(COUNT_AT); left > 0; left--) {
    const { offsetDelta, timeDelta, record } = readRecord(reader);
    record.timestampMs = (attributes & LOG_APPEND_TIME) === 0 ? baseTime + timeDelta : maxTime;
    const offset = baseOffset + offsetDelta;
    const run = runs.at(-1);
    if (run !== undefined && run.baseOffset + run.records.length === offset) run.records.push(record);
    else runs.push({ baseOffset: offset, appendedMs: maxTime, records: [record] });
  }
  return runs;
}

function readRecord(reader: VarintReader): { offsetDelta: number; timeDelta: number; record: LogRecord } {
  reader.varint();
  reader.skip(1);
  const timeDelta = reader.varint();
  const offsetDelta = reader.varint();
  const key = reader.nullableBytes();
  const value = reader.nullableBytes();
  const headers = Array.from({ length: reader.varint() }, () => {
    const name = reader.nullableBytes()?.toString() ?? "";
    return { name, value: reader.nullableBytes() };
  });
  return { offsetDelta, timeDelta, record: headers.length === 0 ? { key, value } : { key, value, headers } };
}

function damaged(reason: string): KafkaError {
  return new KafkaError("kafka_storage_error", `a record batch cannot be read: ${reason}`);
}
