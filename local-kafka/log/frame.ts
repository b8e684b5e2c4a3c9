/**
 * The codec of segment files. A segment is frames and nothing else; a frame is one record batch:
 *
 *   segment := frame*
 *   frame   := magic       4 bytes "WRB1"
 *              length      u32   bytes of the whole frame, magic included
 *              checksum    u32   CRC-32 (node:zlib) of every byte after this field, started from the partition's seed
 *              count       u32   records, at least 1
 *              baseOffset  u64   offset of the first record
 *              appendedMs  u64   broker's clock at append, ms since the epoch, never before the previous frame's
 *              record*count
 *   record  := keyLength i32 (-1: null)  key  valueLength i32 (-1: null)  value
 *
 * A batch in which any record has headers or a timestamp of its own is a frame of version 2, which differs in this:
 *
 *              magic       4 bytes "WRB2", and the checksum starts from the seed's CRC-32 over these four
 *   record  := keyLength i32  key  valueLength i32  value
 *              timestampMs u64 (2^53 - 1: the frame's appendedMs)  headers u32  header*headers
 *   header  := nameLength i32  name (UTF-8)  valueLength i32 (-1: null)  value
 *
 * Integers are little-endian; u64 holds at most 2^53 - 1. The seed is a hash of topic incarnation and partition: bytes
 * of another partition, or a frame that somebody wrote into a record's value, never pass for a frame of this one.
 */
import { crc32 } from "node:zlib";
import type { LogRecord, RecordBatch, RecordHeader } from "./log.ts";

/** What the magics of all versions start with. */
export const FRAME_MAGIC_PREFIX = Buffer.from("WRB", "latin1");
const MAGIC_1 = Buffer.from("WRB1", "latin1");
const MAGIC_2 = Buffer.from("WRB2", "latin1");
const NO_TIMESTAMP = Number.MAX_SAFE_INTEGER;
export const FRAME_HEADER_BYTES = 32;
/** A length above this is not a frame of ours: requests are far smaller. */
const MAX_FRAME_BYTES = 1 << 30;
const CHECKSUM_END = 12;
const TWO_32 = 2 ** 32;

export interface FrameHeader {
  length: number;
  count: number;
  baseOffset: number;
  appendedMs: number;
}

/** Why bytes are not a frame: `short` when more bytes could make it one, `bad` when none could. */
export type FrameFault = { fault: "short"; needBytes: number } | { fault: "bad"; reason: string };

/** The checksum seed of a partition. */
export function checksumSeed(incarnation: string, partition: number): number {
  return crc32(`${incarnation}/${partition}`);
}

/** Bytes a batch takes in a segment. */
export function frameBytes(records: readonly LogRecord[]): number {
  const extended = isExtended(records);
  let bytes = FRAME_HEADER_BYTES;
  for (const { key, value, headers = [] } of records) {
    bytes += 8 + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
    if (!extended) continue;
    bytes += 12;
    for (const header of headers) {
      bytes += 8 + Buffer.byteLength(header.name) + (header.value?.byteLength ?? 0);
    }
  }
  return bytes;
}

/** Writes the batch, all but offset, time and checksum: those are known only when it is its turn (`sealFrame`). */
export function encodeFrame(records: readonly LogRecord[]): Buffer {
  const extended = isExtended(records);
  const frame = Buffer.allocUnsafe(frameBytes(records));
  (extended ? MAGIC_2 : MAGIC_1).copy(frame, 0);
  frame.writeUInt32LE(frame.byteLength, 4);
  frame.writeUInt32LE(records.length, 12);
  let at = FRAME_HEADER_BYTES;
  for (const { key, value, timestampMs = NO_TIMESTAMP, headers = [] } of records) {
    at = writeField(frame, key, at);
    at = writeField(frame, value, at);
    if (!extended) continue;
    writeU64(frame, timestampMs, at);
    frame.writeUInt32LE(headers.length, at + 8);
    at += 12;
    for (const header of headers) {
      at = writeField(frame, Buffer.from(header.name), at);
      at = writeField(frame, header.value, at);
    }
  }
  return frame;
}

/** Gives an encoded frame its offset and time, and its checksum. May be called again with other values. */
export function sealFrame(frame: Buffer, baseOffset: number, appendedMs: number, seed: number): void {
  writeU64(frame, baseOffset, 16);
  writeU64(frame, appendedMs, 24);
  frame.writeUInt32LE(checksum(frame, seed), 8);
}

/** Records in an encoded frame. */
export function frameRecordCount(frame: Buffer): number {
  return frame.readUInt32LE(12);
}

/** Checks the frame that starts at `at` of `bytes` and returns its header. */
export function readFrame(bytes: Buffer, at: number, seed: number): FrameHeader | FrameFault {
  const available = bytes.byteLength - at;
  if (available < FRAME_HEADER_BYTES) return { fault: "short", needBytes: FRAME_HEADER_BYTES };
  if (!hasMagic(bytes, at, MAGIC_1) && !hasMagic(bytes, at, MAGIC_2))
    return { fault: "bad", reason: "no frame starts here" };
  const length = bytes.readUInt32LE(at + 4);
  if (length < FRAME_HEADER_BYTES + 8 || length > MAX_FRAME_BYTES) {
    return { fault: "bad", reason: `impossible frame length ${length}` };
  }
  if (available < length) return { fault: "short", needBytes: length };
  if (checksum(bytes.subarray(at, at + length), seed) !== bytes.readUInt32LE(at + 8)) {
    return { fault: "bad", reason: "checksum does not match" };
  }
  return {
    length,
    count: bytes.readUInt32LE(at + 12),
    baseOffset: readU64(bytes, at + 16),
    appendedMs: readU64(bytes, at + 24),
  };
}

/** The records of a frame that `readFrame` accepted. They are views into `bytes`. */
export function decodeFrame(bytes: Buffer, at: number, header: FrameHeader): RecordBatch {
  const extended = hasMagic(bytes, at, MAGIC_2);
  const records: LogRecord[] = Array.from({ length: header.count });
  let position = at + FRAME_HEADER_BYTES;
  const field = (): Buffer | null => {
    const length = bytes.readInt32LE(position);
    position += 4;
    if (length < 0) return null;
    position += length;
    return bytes.subarray(position - length, position);
  };
  for (let i = 0; i < header.count; i += 1) {
    const record: LogRecord = { key: field(), value: field() };
    records[i] = record;
    if (!extended) continue;
    const timestampMs = readU64(bytes, position);
    if (timestampMs !== NO_TIMESTAMP) record.timestampMs = timestampMs;
    const headers: RecordHeader[] = Array.from({ length: bytes.readUInt32LE(position + 8) });
    position += 12;
    for (let j = 0; j < headers.length; j += 1) {
      headers[j] = { name: field()?.toString() ?? "", value: field() };
    }
    if (headers.length > 0) record.headers = headers;
  }
  return { baseOffset: header.baseOffset, appendedMs: header.appendedMs, records };
}

function isExtended(records: readonly LogRecord[]): boolean {
  return records.some(
    ({ timestampMs, headers }) => timestampMs !== undefined || (headers !== undefined && headers.length > 0),
  );
}

function hasMagic(bytes: Buffer, at: number, magic: Buffer): boolean {
  return bytes.compare(magic, 0, magic.byteLength, at, at + magic.byteLength) === 0;
}

function checksum(frame: Buffer, seed: number): number {
  const start = hasMagic(frame, 0, MAGIC_2) ? crc32(MAGIC_2, seed) : seed;
  return crc32(frame.subarray(CHECKSUM_END), start);
}

function writeField(frame: Buffer, field: Uint8Array | null, at: number): number {
  frame.writeInt32LE(field === null ? -1 : field.byteLength, at);
  if (field === null) return at + 4;
  frame.set(field, at + 4);
  return at + 4 + field.byteLength;
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % TWO_32, at);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * TWO_32;
}
