// One owner of a partition in its plainest form, for tests of stores: reads from where the store says, plans, commits,
// and plans again on a conflict, until the log's end. How many messages go into a commit it decides by itself.
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import type { PartitionId, StreamStore } from "../../lib/storage/storage.ts";
import { decode } from "../../lib/stream/decode.ts";
import { emptyCommit } from "../../lib/stream/empty-commit.ts";
import { planBatch } from "../../lib/stream/plan.ts";

export const OWNER_TIME_MS = Date.parse("2026-11-21T10:00:00.000Z");

/** A conflict may stand until another owner gets on: then this one gives up, and is to come again. */
const MAX_CONFLICTS = 3;
/** More commits than any test needs. */
const MAX_ROUNDS = 200;

export interface OwnerDeps {
  transport: KafkaTransport;
  store: StreamStore;
  messagesPerCommit: number;
}

/** @returns why it ended */
export async function ownPartition(
  id: PartitionId,
  { transport, store, messagesPerCommit }: OwnerDeps,
): Promise<"caught-up" | "conflict"> {
  const { group, topic, partition } = id;
  let conflicts = 0;
  for (let rounds = 0; rounds < MAX_ROUNDS; rounds++) {
    const from = await store.position(id);
    const position = from ?? { nextOffset: 0, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0 };
    const read = await transport.fetch({
      topic,
      partition,
      offset: position.nextOffset,
      maxBytes: 1_000_000,
      waitMs: 0,
    });
    const messages = read
      .slice(0, messagesPerCommit)
      .map((message) => decode(message, { signal: "logs", defaultTenant: "dev", nowMs: OWNER_TIME_MS }));
    const last = messages.at(-1);
    if (!last) return "caught-up";
    const next = { ...position, nextOffset: last.message.offset + 1 };
    const commit = async (known: Awaited<ReturnType<StreamStore["claimed"]>>) => {
      const context = {
        group,
        topic,
        partition,
        position,
        deadLetterTopic: "logs.dlq",
        lateTopic: "logs.late",
        rawFloorDay: 0,
        nowMs: OWNER_TIME_MS,
      };
      const { keys, newestMs: _, ...plan } = planBatch(messages, { ...context, known });
      const empty = emptyCommit(id, from, next, { rawFloorDay: 0, nowMs: OWNER_TIME_MS });
      const batch = { ...empty, ...plan };
      return { keys, outcome: await store.commit(batch) };
    };
    let { keys, outcome } = await commit([]);
    while (outcome === "conflict" && conflicts++ < MAX_CONFLICTS) {
      ({ keys, outcome } = await commit(await store.claimed(keys)));
    }
    if (outcome === "conflict") return "conflict";
    if (outcome === "committed") conflicts = 0;
  }
  throw new Error(`${topic}/${partition} does not get on`);
}
