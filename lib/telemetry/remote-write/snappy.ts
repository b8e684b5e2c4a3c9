// Decompresses one snappy block (github.com/google/snappy, format_description.txt; remote write takes no frames). What
// it allocates is the declared length, which is checked first: against the limit, and against what so few bytes can
// unpack to. Every element of the block makes at least one byte of output, so time is bounded by the limit too.
import { MAX_DECODED_BYTES } from "../limits.ts";
import { ok, reject, type Result } from "../result.ts";

/** The densest element is a copy: 3 bytes that make 64. */
const MAX_COPY = { bytes: 3, output: 64 };

/** Below this length a loop is faster than making the view that `set` needs. */
const SHORT = 32;

/** The magic of the stream format, which some libraries make by default. */
const STREAM_MAGIC = [0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59];

export function decompressSnappy(source: Uint8Array, maxBytes = MAX_DECODED_BYTES): Result<Uint8Array> {
  if (STREAM_MAGIC.every((byte, i) => source[i] === byte)) {
    return malformed("is in snappy's stream format; send the block format");
  }
  const header = readLength(source);
  if (!header) return malformed("is not a snappy block: it breaks off in its length");
  const { length, at } = header;
  if (length * MAX_COPY.bytes > (source.length - at) * MAX_COPY.output) {
    return malformed("is not a snappy block: it declares more than its bytes can hold");
  }
  if (length > maxBytes) {
    return reject("body_too_large", "", `is larger than ${maxBytes} bytes when decompressed`);
  }
  const target = new Uint8Array(length);
  return decodeElements(source, at, target)
    ? ok(target)
    : malformed("is not a snappy block: an element is cut short or points outside");
}

function malformed(message: string): Result<never> {
  return reject("malformed_encoding", "", message);
}

/** The length of what was compressed: a varint of at most 32 bits. */
function readLength(source: Uint8Array): { length: number; at: number } | undefined {
  let length = 0;
  for (let at = 0; at < 5; at++) {
    const byte = source[at];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length < 2 ** 32 ? { length, at: at + 1 } : undefined;
  }
  return undefined;
}

/** @returns false where the elements do not make exactly what `target` takes */
function decodeElements(source: Uint8Array, start: number, target: Uint8Array): boolean {
  let at = start;
  let size = 0;
  while (at < source.length) {
    const tag = source[at++] as number;
    const kind = tag & 3;
    if (kind === 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const bytes = length - 59;
        if (at + bytes > source.length) return false;
        length = readLittleEndian(source, at, bytes);
        at += bytes;
      }
      length++;
      if (length > source.length - at || length > target.length - size) return false;
      if (length > SHORT) target.set(source.subarray(at, at + length), size);
      else for (let i = 0; i < length; i++) target[size + i] = source[at + i] as number;
      at += length;
      size += length;
      continue;
    }
    const bytes = kind === 3 ? 4 : kind;
    if (at + bytes > source.length) return false;
    const length = kind === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
    const distance = readLittleEndian(source, at, bytes) + (kind === 1 ? (tag >> 5) << 8 : 0);
    at += bytes;
    if (distance === 0 || distance > size || length > target.length - size) return false;
    // Byte by byte: a copy may read what it has just written.
    for (const end = size + length; size < end; size++) target[size] = target[size - distance] as number;
  }
  return size === target.length;
}

function readLittleEndian(source: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (source[at + i] as number);
  return value;
}
