// Reads snappy: the bare block (github.com/google/snappy, format_description.txt), and the Java client's stream of
// them (xerial: a magic of eight bytes, two versions, then length and block). Cut short or pointing outside: RangeError.
import { Buffer } from "node:buffer";

const STREAM_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const STREAM_HEADER_BYTES = 16;

export function snappyDecompress(source: Buffer, maxBytes: number): Buffer {
  if (!source.subarray(0, STREAM_MAGIC.length).equals(STREAM_MAGIC)) return decompressBlock(source, maxBytes);
  const blocks: Buffer[] = [];
  let size = 0;
  for (let at = STREAM_HEADER_BYTES; at < source.length;) {
    const length = source.readUInt32BE(at);
    at += 4;
    if (at + length > source.length) throw new RangeError("snappy block cut short");
    const block = decompressBlock(source.subarray(at, at + length), maxBytes - size);
    blocks.push(block);
    size += block.length;
    at += length;
  }
  return Buffer.concat(blocks);
}

function decompressBlock(source: Buffer, maxBytes: number): Buffer {
  let at = 0;
  let declared = 0;
  for (let shift = 0, byte = 128; byte >= 128; shift += 7) {
    if (shift > 28) throw new RangeError("snappy length");
    byte = source.readUInt8(at++);
    declared += (byte & 127) * 2 ** shift;
  }
  if (declared > maxBytes) throw new RangeError("snappy block over the limit");
  const target = Buffer.allocUnsafe(declared);
  let size = 0;
  while (at < source.length) {
    const tag = source[at++] as number;
    let length: number;
    let distance: number;
    switch (tag & 3) {
      case 0: {
        length = tag >> 2;
        if (length >= 60) {
          const bytes = length - 59;
          length = source.readUIntLE(at, bytes);
          at += bytes;
        }
        length++;
        if (at + length > source.length || size + length > declared) throw new RangeError("snappy literal");
        target.set(source.subarray(at, at + length), size);
        at += length;
        size += length;
        continue;
      }
      case 1:
        length = 4 + ((tag >> 2) & 7);
        distance = ((tag >> 5) << 8) | source.readUInt8(at++);
        break;
      case 2:
        length = 1 + (tag >> 2);
        distance = source.readUInt16LE(at);
        at += 2;
        break;
      default:
        length = 1 + (tag >> 2);
        distance = source.readUInt32LE(at);
        at += 4;
    }
    if (distance === 0 || distance > size || size + length > declared) throw new RangeError("snappy copy");
    for (const end = size + length; size < end; size++) target[size] = target[size - distance] as number;
  }
  if (size !== declared) throw new RangeError("snappy block cut short");
  return target;
}
