// Reads a stretch of a partition once more: what a store needs to write again the very block that someone began to write
// and did not finish (lib/storage/intent.ts). Tells all records, stored or not: which of them it is about, the store knows.
import { KafkaError } from "../kafka/errors.ts";
import type { KafkaTransport } from "../kafka/transport.ts";
import type { Rows } from "../storage/storage.ts";
import { decode, rowsOf, type DecodeContext, type DecodedMessage } from "./decode.ts";

const FETCH_MAX_BYTES = 1024 * 1024;

/** @returns undefined where messages have expired, or the log is another one now */
export async function readAgain(
  transport: Pick<KafkaTransport, "fetch">,
  { topic, partition, fromOffset, toOffset }: Stretch,
  context: DecodeContext,
): Promise<Rows | undefined> {
  const decoded: DecodedMessage[] = [];
  for (let offset = fromOffset; offset < toOffset;) {
    const messages = await fetchOrNone(transport, { topic, partition, offset });
    const last = messages.at(-1);
    if (!last) return undefined;
    for (const message of messages) {
      if (message.offset >= toOffset) break;
      decoded.push(decode(message, context));
    }
    offset = last.offset + 1;
  }
  return rowsOf(decoded);
}

interface Stretch {
  topic: string;
  partition: number;
  /** From ≤ offset < to. */
  fromOffset: number;
  toOffset: number;
}

async function fetchOrNone(
  transport: Pick<KafkaTransport, "fetch">,
  from: { topic: string; partition: number; offset: number },
) {
  try {
    return await transport.fetch({ ...from, maxBytes: FETCH_MAX_BYTES, waitMs: 0 });
  } catch (error) {
    if (error instanceof KafkaError && error.code === "offset_out_of_range") return [];
    throw error;
  }
}
