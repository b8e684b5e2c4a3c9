// LZ4 in the frame that Kafka uses: blocks of 64 KiB that stand alone, no checksums but the header's
// (github.com/lz4/lz4, doc/lz4_Frame_format.md and lz4_Block_format.md). Reads any version 1 frame, linked blocks too;
// what is cut short or points outside of itself throws RangeError.
import { Buffer } from "node:buffer";

const MAGIC = 0x184d2204;
/** Version 1, independent blocks; 64 KiB; the byte of xxHash32 that goes with exactly these two. */
const HEADER = Uint8Array.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const BLOCK_BYTES = 65_536;
const STORED = 0x8000_0000;
const MIN_MATCH = 4;
/** The block format keeps the last five bytes literal, and starts no match in the last twelve. */
const LAST_LITERALS = 5;
const MATCH_LIMIT = 12;
const HASH_BITS = 13;

export function lz4Compress(source: Uint8Array): Buffer {
  const blocks = Math.ceil(source.length / BLOCK_BYTES);
  // A block is stored where compressing makes it longer, so four bytes a block are the most that is added.
  const target = Buffer.allocUnsafe(HEADER.length + source.length + 4 * blocks + 4);
  target.set(HEADER);
  let at = HEADER.length;
  const table = new Int32Array(1 << HASH_BITS);
  const scratch = Buffer.allocUnsafe(BLOCK_BYTES + Math.ceil(BLOCK_BYTES / 255) + 16);
  for (let start = 0; start < source.length; start += BLOCK_BYTES) {
    const block = Buffer.from(
      source.buffer,
      source.byteOffset + start,
      Math.min(BLOCK_BYTES, source.length - start),
    );
    const size = compressBlock(block, scratch, table.fill(-1));
    const isSmaller = size < block.length;
    at = target.writeUInt32LE(isSmaller ? size : STORED + block.length, at);
    target.set(isSmaller ? scratch.subarray(0, size) : block, at);
    at += isSmaller ? size : block.length;
  }
  at = target.writeUInt32LE(0, at);
  return target.subarray(0, at);
}

/** Greedy, one candidate a hash; gives up looking closely where nothing repeats. @returns bytes written */
function compressBlock(source: Buffer, target: Buffer, table: Int32Array): number {
  let at = 0;
  let literalsFrom = 0;
  let position = 0;
  let misses = 0;
  while (position < source.length - MATCH_LIMIT) {
    const sequence = source.readUInt32LE(position);
    const hash = Math.imul(sequence, 2_654_435_761) >>> (32 - HASH_BITS);
    const candidate = table[hash] as number;
    table[hash] = position;
    if (candidate < 0 || source.readUInt32LE(candidate) !== sequence) {
      position += 1 + (misses++ >> 6);
      continue;
    }
    misses = 0;
    let length = MIN_MATCH;
    const longest = source.length - LAST_LITERALS - position;
    while (length < longest && source[candidate + length] === source[position + length]) length++;
    at = writeSequence(source.subarray(literalsFrom, position), length - MIN_MATCH, target, at);
    at = target.writeUInt16LE(position - candidate, at);
    at = writeLength(length - MIN_MATCH, target, at);
    position += length;
    literalsFrom = position;
  }
  return writeSequence(source.subarray(literalsFrom), 0, target, at);
}

function writeSequence(literals: Buffer, matchLength: number, target: Buffer, at: number): number {
  target[at++] = (Math.min(literals.length, 15) << 4) | Math.min(matchLength, 15);
  at = writeLength(literals.length, target, at);
  target.set(literals, at);
  return at + literals.length;
}

/** What a token's four bits cannot hold. */
function writeLength(length: number, target: Buffer, at: number): number {
  if (length < 15) return at;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) target[at++] = 255;
  target[at++] = rest;
  return at;
}

export function lz4Decompress(source: Buffer, maxBytes: number): Buffer {
  if (source.readUInt32LE(0) !== MAGIC) throw new RangeError("no LZ4 frame");
  const flags = source.readUInt8(4);
  const hasBlockChecksum = (flags & 0x10) !== 0;
  let at = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0);
  let target: Buffer = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(BLOCK_BYTES, source.length * 4)));
  let size = 0;
  for (;;) {
    const head = source.readUInt32LE(at);
    at += 4;
    if (head === 0) return target.subarray(0, size);
    const length = head % STORED;
    if (at + length > source.length) throw new RangeError("LZ4 block cut short");
    const block = source.subarray(at, at + length);
    at += length + (hasBlockChecksum ? 4 : 0);
    // Blocks are at most 4 MiB; linked ones look back into what is already there.
    const most = head >= STORED ? length : Math.min(4_194_304, length * 255);
    target = withRoom(target, size, Math.min(size + most, maxBytes));
    if (head < STORED) size = decompressBlock(block, target, size);
    else if (size + length > target.length) throw new RangeError("LZ4 frame over the limit");
    else {
      target.set(block, size);
      size += length;
    }
  }
}

function withRoom(target: Buffer, size: number, wanted: number): Buffer {
  if (target.length >= wanted) return target;
  const wider = Buffer.allocUnsafe(Math.max(wanted, size));
  wider.set(target.subarray(0, size));
  return wider;
}

function decompressBlock(source: Buffer, target: Buffer, start: number): number {
  let at = 0;
  let size = start;
  while (at < source.length) {
    const token = source[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      for (let more = 255; more === 255; literals += more) more = source.readUInt8(at++);
    }
    if (at + literals > source.length || size + literals > target.length)
      throw new RangeError("LZ4 literals");
    target.set(source.subarray(at, at + literals), size);
    at += literals;
    size += literals;
    if (at === source.length) return size;
    const distance = source.readUInt16LE(at);
    at += 2;
    let length = token & 15;
    if (length === 15) {
      for (let more = 255; more === 255; length += more) more = source.readUInt8(at++);
    }
    length += MIN_MATCH;
    if (distance === 0 || distance > size || size + length > target.length) throw new RangeError("LZ4 match");
    // Byte by byte: a match may overlap what it writes.
    for (const end = size + length; size < end; size++) target[size] = target[size - distance] as number;
  }
  return size;
}
