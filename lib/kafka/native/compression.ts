// The codecs of a record batch, by their number in it. Writes none, gzip, lz4, and zstd where the runtime has it
// (workerd, Node from 22.15). Reads those and snappy. A codec that is missing here is KafkaError `unsupported` and named.
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

export interface Compressor {
  /** Its number in a batch's attributes. */
  codec: number;
  compress(bytes: Buffer): Buffer;
}

/** @throws KafkaError `misconfigured` where this runtime cannot */
export function createCompressor(compression: Compression): Compressor {
  const codec = NUMBERS[compression];
  switch (compression) {
    case "none":
      return { codec, compress: (bytes) => bytes };
    case "gzip":
      return { codec, compress: (bytes) => zlib.gzipSync(bytes) };
    case "lz4":
      return { codec, compress: lz4Compress };
    case "zstd": {
      const compress = zstdCompressSync;
      if (compress) return { codec, compress: (bytes) => compress(bytes) };
      throw new KafkaError("misconfigured", "this runtime has no zstd; set KAFKA_COMPRESSION to lz4 or gzip");
    }
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
