// A stopped partition goes on by a person's word that its topic is another one now: from the start of the log, as a new
// incarnation, which is part of every row's key. What was read before stays as it is.
import type { KafkaTransport } from "../kafka/transport.ts";
import type { PartitionId, StreamStore } from "../storage/storage.ts";
import { emptyCommit } from "./empty-commit.ts";

/** `never_read`: there is nothing to go on from. `fenced`: someone else has moved the position meanwhile. */
export type Resumed =
  | { outcome: "resumed"; incarnation: number; nextOffset: number }
  | { outcome: "never_read" }
  | { outcome: "fenced" };

/**
 * `recentOffset` is of a message that was just written, where one is known
 * @throws KafkaError, StorageError
 */
export async function resumePartition(
  { group, topic, partition, recentOffset }: PartitionId & { recentOffset: number | undefined },
  { transport, store, now }: { transport: KafkaTransport; store: StreamStore; now: () => number },
): Promise<Resumed> {
  const from = await store.position({ group, topic, partition });
  if (!from) return { outcome: "never_read" };
  const nextOffset = await transport.earliestOffset(topic, partition, recentOffset);
  const incarnation = from.incarnation + 1;
  const next = { ...from, nextOffset, incarnation, mark: null };
  for (;;) {
    const rawFloorDay = await store.rawFloorDay();
    const commit = emptyCommit({ group, topic, partition }, from, next, { rawFloorDay, nowMs: now() });
    const outcome = await store.commit(commit);
    // The floor moves once a day.
    if (outcome === "conflict") continue;
    return outcome === "committed" ? { outcome: "resumed", incarnation, nextOffset } : { outcome: "fenced" };
  }
}
