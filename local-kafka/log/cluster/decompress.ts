/** The record part of a batch that another producer compressed: gzip, snappy (both framings), lz4, zstd. */
import { compressionsAlgorithmsByBitmask } from "@platformatic/kafka";
import { KafkaError } from "../kafka-error.ts";

const SNAPPY = 2;
/** The Java client's framing: this, two INT32 versions, then chunks behind their INT32 length. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;

export function decompress(codec: number, bytes: Buffer): Buffer {
  if (codec === 0) return bytes;
  try {
    const algorithm = compressionsAlgorithmsByBitmask[codec];
    if (algorithm === undefined) throw new Error(`codec ${codec} is unknown`);
    if (codec !== SNAPPY || !bytes.subarray(0, XERIAL.length).equals(XERIAL)) {
      return algorithm.decompressSync(bytes);
    }
    const chunks: Buffer[] = [];
    for (let at = XERIAL_HEADER_BYTES; at < bytes.length;) {
      const end = at + 4 + bytes.readInt32BE(at);
      chunks.push(algorithm.decompressSync(bytes.subarray(at + 4, end)));
      at = end;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new KafkaError("kafka_storage_error", `a record batch cannot be decompressed: ${reason}`, {
      cause: error,
    });
  }
}
