// The codecs of a record batch, by their number in it. Writes none, gzip, lz4, and zstd where the runtime has it
// (Node from 22.15; workerd, where a batch that stays large goes uncompressed). Reads those and snappy. A codec that is
// missing here is KafkaError `unsupported` and named.
import * as zlib from "node:zlib";
import type { Buffer } from "node:buffer";
import { KafkaError } from "../errors.ts";
import { lz4Compress, lz4Decompress } from "./lz4.ts";
import { snappyDecompress } from "./snappy.ts";

export type Compression = "none" | "gzip" | "lz4" | "zstd";

/** One batch unpacked; far above any broker's message.max.bytes, far below what a few kilobytes can claim to be. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

const NUMBERS: Record<Compression, number> = { none: 0, gzip: 1, lz4: 3, zstd: 4 };

/** node:zlib of Node 20, whose types we use, has no zstd yet. */
interface Zstd {
  zstdCompressSync?: (bytes: Uint8Array) => Buffer;
  zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer;
}
const { zstdCompressSync, zstdDecompressSync } = zlib as Zstd;

/** Packs a batch's records, or leaves them as they are where packing does not make them smaller. */
export type Compressor = (bytes: Buffer) => { codec: number; packed: Buffer };

/** @throws KafkaError `misconfigured` where this runtime cannot */
export function createCompressor(compression: Compression): Compressor {
  if (compression === "zstd" && !zstdCompressSync) {
    throw new KafkaError("misconfigured", "this runtime has no zstd; set KAFKA_COMPRESSION to lz4 or gzip");
  }
  const codec = NUMBERS[compression];
  return (bytes) => {
    const packed = codec === 0 ? undefined : pack(compression, bytes);
    return packed && packed.length < bytes.length ? { codec, packed } : { codec: 0, packed: bytes };
  };
}

function pack(compression: Compression, bytes: Buffer): Buffer | undefined {
  if (compression === "gzip") return zlib.gzipSync(bytes);
  if (compression === "lz4") return lz4Compress(bytes);
  try {
    return zstdCompressSync?.(bytes);
  } catch {
    // workerd's fails ("Unexpected end of file") where the result is over 64 KiB: seen in 1.20260426.
    return undefined;
  }
}

/** @throws KafkaError `unsupported` for a codec not known here, `bad_answer` for bytes that are not its */
export function decompress(codec: number, bytes: Buffer): Buffer {
  try {
    switch (codec) {
      case 0:
        return bytes;
      case 1:
        return zlib.gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
      case 2:
        return snappyDecompress(bytes, MAX_UNPACKED_BYTES);
      case 3:
        return lz4Decompress(bytes, MAX_UNPACKED_BYTES);
      case 4:
        if (zstdDecompressSync) return zstdDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
    }
  } catch (error) {
    const name = ["none", "gzip", "snappy", "lz4", "zstd"][codec];
    throw new KafkaError("bad_answer", `a record batch could not be unpacked as ${name}`, { cause: error });
  }
  const name = codec === 4 ? "zstd" : `codec ${codec}`;
  throw new KafkaError(
    "unsupported",
    `a record batch is compressed with ${name}, which this runtime cannot read`,
  );
}
