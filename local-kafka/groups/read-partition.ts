/** One read of one partition for a group's instance: from where it stands, or where its settings say. */
import { KafkaError } from "../log/kafka-error.ts";
import type { FetchOptions, Log, RecordBatch } from "../log/log.ts";
import type { KnownPartition, TopicPartition } from "./committed-offsets.ts";
import { type Instance, type OffsetReset, positionKey } from "./instance.ts";

/** What a read returns: batches, of which records before `fromOffset` are not new. */
export interface ConsumerBatches extends TopicPartition {
  fromOffset: number;
  batches: RecordBatch[];
}

/** `due`: the offset to read next, when one is known. */
export async function readPartition(
  log: Log,
  { settings: { reset }, positions }: Instance,
  place: KnownPartition,
  due: number | undefined,
  options: FetchOptions,
): Promise<ConsumerBatches> {
  const { topic, partition } = place;
  const start = async (): Promise<number> => {
    const offset = startOfRead(due, await log.bounds(topic, partition), reset);
    // What "latest" means must not move while nothing arrives.
    if (reset === "latest") positions.set(positionKey(place), { ...place, offset });
    return offset;
  };
  let fromOffset = due ?? (await start());
  let batches: RecordBatch[];
  try {
    batches = await log.fetch(topic, partition, fromOffset, options);
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== "offset_out_of_range") throw error;
    fromOffset = await start();
    batches = await log.fetch(topic, partition, fromOffset, options);
  }
  return { topic, partition, fromOffset, batches };
}

/** Where a read begins: retention may have passed the offset that is due, a commit may lie beyond the end. */
function startOfRead(
  due: number | undefined,
  { start, end }: { start: number; end: number },
  reset: OffsetReset,
): number {
  if (reset === "clamp") return Math.min(Math.max(due ?? start, start), end);
  if (due !== undefined && due >= start && due <= end) return due;
  if (reset === "none") throw new KafkaError("offset_out_of_range", "there is no offset to start from");
  return reset === "earliest" ? start : end;
}
