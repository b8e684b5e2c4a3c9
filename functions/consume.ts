// Who is woken to read: one PartitionConsumer for each group, topic and partition. The cron wakes all of them, the
// intake pokes those whose log grew; neither a lost poke nor a lost alarm matters.
import { logger } from "../lib/observability/logger.ts";
import type { PartitionId } from "../lib/storage/storage.ts";
import { claimHorizonMs, dropInTime } from "../lib/stream/prune.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import type { PartitionConsumer } from "./objects/partition-consumer.ts";
import { spillStatus, wakeSpill } from "./spill.ts";
import { streamStoreOf } from "./storage.ts";
import { openTransport } from "./transport.ts";

export interface Owned extends PartitionId {
  signal: Signal;
}

/**
 * An owner that was poked reads again at the earliest this long after the last poke (partition-consumer.ts), so an
 * isolate need not poke it twice within the time.
 */
export const POKE_WINDOW_MS = 100;

export function ownerOf(
  env: Env,
  { group, topic, partition }: PartitionId,
): DurableObjectStub<PartitionConsumer> {
  return env.PARTITION_CONSUMER.getByName(`${group}/${topic}/${partition}`);
}

/** Every partition that is read. While a topic cannot be asked for, the partitions already read stand for it. */
export async function ownedPartitions(env: Env, deployment: Deployment): Promise<Owned[]> {
  const transport = openTransport(env, deployment);
  const failures = new Map<string, string[]>();
  const owners = async () =>
    await Promise.all(
      deployment.subscriptions.map(async ({ group, topic, signal }) => {
        try {
          const count = await deployment.partitionCounts.of(transport, topic, Date.now());
          return Array.from({ length: count }, (_, partition): Owned => ({
            group,
            topic,
            signal,
            partition,
          }));
        } catch (error) {
          const message = messageOf(error);
          failures.set(message, [...(failures.get(message) ?? []), topic]);
          const progress = await streamStoreOf(env).progress(group);
          return progress
            .filter((row) => row.topic === topic)
            .map(({ partition }): Owned => ({ group, topic, signal, partition }));
        }
      }),
    );
  let owned: Owned[][];
  try {
    owned = await owners();
  } finally {
    await transport.close();
  }
  // One line for one cause, however many topics it hits.
  for (const [message, topics] of failures)
    logger.error("partitions_unknown", { topics: topics.join(), message });
  return owned.flat();
}

/** Claims are pruned at minutes 7, 17, 27 and so on: the cron has no memory. */
const PRUNE_EVERY_MINUTES = 10;
const PRUNE_MINUTE = 7;

/** The cron: re-arms every owner and the spillway, and every ten minutes drops claims that nothing can meet any more. */
export async function wakeAll(env: Env, now = () => Date.now()): Promise<void> {
  const minute = new Date(now()).getUTCMinutes();
  const deployment = deploymentOf(env);
  const [owned] = await Promise.all([ownedPartitions(env, deployment), wakeSpill(env, deployment)]);
  await Promise.all(owned.map((one) => tell("wake", one, () => ownerOf(env, one).wake(one))));
  if (minute % PRUNE_EVERY_MINUTES === PRUNE_MINUTE) await pruneClaims(env, deployment, owned, now);
}

/** What the scheduled handler is called with, in place of a cron, by what runs the worker on one machine and ends now. */
export const REST = "rest";

/** Lets every owner finish the batch in hand; none begins another. */
export async function restAll(env: Env): Promise<void> {
  const owned = await ownedPartitions(env, deploymentOf(env));
  await Promise.all(owned.map((one) => tell("rest", one, () => ownerOf(env, one).rest())));
}

/** Never throws: it is done again in ten minutes. */
async function pruneClaims(
  env: Env,
  deployment: Deployment,
  owned: readonly Owned[],
  now: () => number,
): Promise<void> {
  try {
    const store = streamStoreOf(env);
    // The spillway first: what leaves it meanwhile is still seen in it, however far its partition is read by then.
    const spill = await spillStatus(env, deployment);
    // What a shard that could not be asked holds may be older than anything else.
    if (!spill.isComplete)
      return logger.warn("claims_not_pruned", { message: "the spillway could not be asked" });
    const progress = await store.progress(deployment.config.KAFKA_CONSUMER_GROUP);
    const beforeMs = claimHorizonMs(progress, owned, spill.oldestMs, spill.drained);
    if (beforeMs === undefined) return;
    const dropped = await dropInTime((limit) => store.dropClaims(beforeMs, limit), now);
    if (dropped > 0)
      logger.info("claims_pruned", { rows: dropped, before: new Date(beforeMs).toISOString() });
  } catch (error) {
    logger.error("claims_not_pruned", { message: messageOf(error) });
  }
}

const lastPokeMs = new Map<string, number>();

/** Tells the owners that their log grew. Off the critical path; a failure costs a minute of delay at most. */
export async function pokeOwners(
  env: Env,
  grown: readonly { topic: string; partition: number; offset: number }[],
): Promise<void> {
  const nowMs = Date.now();
  const pokes: Promise<void>[] = [];
  for (const { group, topic, signal } of deploymentOf(env).subscriptions) {
    for (const { topic: grownTopic, partition, offset } of grown) {
      const name = `${group}/${topic}/${partition}`;
      if (grownTopic !== topic || nowMs - (lastPokeMs.get(name) ?? 0) < POKE_WINDOW_MS) continue;
      lastPokeMs.set(name, nowMs);
      const owned = { group, topic, signal, partition };
      pokes.push(tell("poke", owned, () => ownerOf(env, owned).poke(owned, offset)));
    }
  }
  await Promise.all(pokes);
}

async function tell(
  what: string,
  { group, topic, partition }: Owned,
  call: () => Promise<void>,
): Promise<void> {
  try {
    await call();
  } catch (error) {
    logger.warn(`${what}_failed`, { group, topic, partition, message: messageOf(error) });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
