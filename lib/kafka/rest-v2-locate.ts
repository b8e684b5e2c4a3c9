// Finds where messages without a value lie, after Karapace has stored them and reported partition 0 and offset -1: reads
// each partition from where it ended before, and takes the messages with the same key and no value, in order. Messages
// that are equal in key and value cannot be told apart; then the offset is that of one of them.
import { Buffer } from "node:buffer";
import { KafkaError } from "./errors.ts";
import type { RestV2Outcome } from "./rest-v2-produce.ts";
import type { FetchedRecord, FetchRequest, ProduceOutcome, ProduceRecord } from "./transport.ts";

const MAX_READS = 50;
const READ_BYTES = 1 << 20;

export type Reader = (request: FetchRequest) => Promise<FetchedRecord[]>;

/** True where the answer may hide the offset. */
export function isValueless(record: ProduceRecord): boolean {
  return record.value === null || record.value.length === 0;
}

/**
 * @param endsBefore of each partition with such a message, asked before the produce
 * @returns what it got, with `stored` made an offset; `timeout` (it may be tried again) where none was found
 */
export async function locate(
  read: Reader,
  topic: string,
  records: readonly ProduceRecord[],
  outcomes: readonly RestV2Outcome[],
  endsBefore: ReadonlyMap<number, number>,
): Promise<ProduceOutcome[]> {
  const found = new Map<number, number>();
  const sought = new Map<number, number[]>();
  outcomes.forEach(({ ok }, i) => {
    const partition = records[i]?.partition ?? 0;
    if (ok === "stored") sought.set(partition, [...(sought.get(partition) ?? []), i]);
  });
  await Promise.all(
    [...sought].map(async ([partition, positions]) => {
      const missing = [...positions];
      let offset = endsBefore.get(partition) ?? 0;
      for (let reads = 0; missing.length > 0 && reads < MAX_READS; reads++) {
        const batch = await read({ topic, partition, offset, maxBytes: READ_BYTES, waitMs: 0 }).catch(orNone);
        if (batch.length === 0) return;
        for (const message of batch) {
          offset = message.offset + 1;
          if (message.value !== null && message.value.length > 0) continue;
          const at = missing.findIndex((position) => isSameKey(records[position]?.key, message.key));
          const [position] = at === -1 ? [] : missing.splice(at, 1);
          if (position !== undefined) found.set(position, message.offset);
        }
      }
    }),
  );
  return outcomes.map((outcome, i): ProduceOutcome => {
    if (outcome.ok !== "stored") return outcome;
    const partition = records[i]?.partition ?? 0;
    const offset = found.get(i);
    return offset === undefined
      ? { ok: false, error: unlocated(topic, partition) }
      : { ok: true, partition, offset };
  });
}

function orNone(error: unknown): FetchedRecord[] {
  if (error instanceof KafkaError) return [];
  throw error;
}

/** An empty key reads back as none. */
function isSameKey(ours: Uint8Array | null | undefined, theirs: Uint8Array | null): boolean {
  return Buffer.from(ours ?? []).equals(Buffer.from(theirs ?? []));
}

function unlocated(topic: string, partition: number): KafkaError {
  return new KafkaError(
    "timeout",
    `producing to ${topic}/${partition}: the proxy took a message without a value and does not tell where; it was not found by reading`,
  );
}
