// Where the ends of a topic's partitions are thought to be, from how far its consumers have read. It only makes probing
// cheaper, so a store that does not answer is no reason to fail.
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { streamStoreOf } from "./storage.ts";
import { StorageError } from "../lib/storage/storage.ts";
import type { Deployment } from "./deployment.ts";

/** @returns by partition; empty where Kafka tells the ends itself, or nothing is known */
export async function endHints(
  env: Env,
  { rawTopics, storageGroup }: Deployment,
  transport: KafkaTransport,
  topic: string,
): Promise<Map<number, number>> {
  const hints = new Map<number, number>();
  if (!rawTopics.has(topic) || (await transport.capabilities()).endOffsets === "exact") return hints;
  try {
    // Of all epochs of the group: the furthest.
    for (const row of await streamStoreOf(env).progress(storageGroup)) {
      if (row.topic !== topic) continue;
      hints.set(row.partition, Math.max(row.nextOffset, hints.get(row.partition) ?? 0));
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
  }
  return hints;
}
