// Who is woken to read: one PartitionConsumer for each group, topic and partition. The cron wakes all of them, the
// intake pokes those whose log grew; neither a lost poke nor a lost alarm matters.
import { logger } from "../lib/observability/logger.ts";
import type { PartitionId } from "../lib/storage/storage.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import type { PartitionConsumer } from "./objects/partition-consumer.ts";
import { streamStoreOf } from "./storage.ts";
import { knownSubscriptions } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

export interface Owned extends PartitionId {
  signal: Signal;
}

export interface OwnedPartition extends Owned {
  /** The group, of which `group` is the reader. */
  name: string;
}

/**
 * An owner that was poked reads again at the earliest this long after the last poke (partition-consumer.ts), so an
 * isolate need not poke it twice within the time.
 */
export const POKE_WINDOW_MS = 100;

/** What groups there are changes seldom, and a poke that goes to the wrong reader costs nothing. */
const POKE_KNOWN_MS = 5_000;

export function ownerOf(
  env: Env,
  { group, topic, partition }: PartitionId,
): DurableObjectStub<PartitionConsumer> {
  return env.PARTITION_CONSUMER.getByName(`${group}/${topic}/${partition}`);
}

/** Every partition that is read. While a topic cannot be asked for, the partitions already read stand for it. */
export async function ownedPartitions(env: Env, deployment: Deployment): Promise<OwnedPartition[]> {
  const subscriptions = await knownSubscriptions(env);
  const transport = openTransport(env, deployment);
  const failures = new Map<string, string[]>();
  const owners = async () =>
    await Promise.all(
      subscriptions.map(async ({ group, name, topic, signal }) => {
        try {
          const count = await deployment.partitionCounts.of(transport, topic, Date.now());
          return Array.from({ length: count }, (_, partition): OwnedPartition => ({
            group,
            name,
            topic,
            signal,
            partition,
          }));
        } catch (error) {
          const message = messageOf(error);
          failures.set(message, [...(failures.get(message) ?? []), topic]);
          const progress = await streamStoreOf(env).progress(group);
          return progress
            .filter((row) => row.group === group && row.topic === topic)
            .map(({ partition }): OwnedPartition => ({ group, name, topic, signal, partition }));
        }
      }),
    );
  let owned: OwnedPartition[][];
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

/** Has all readers of a group read now, from where the store says. */
export async function wakeGroup(env: Env, name: string): Promise<void> {
  const owned = await ownedPartitions(env, deploymentOf(env));
  await wakeOwners(
    env,
    owned.filter((one) => one.name === name),
  );
}

export async function wakeOwners(env: Env, owned: readonly Owned[]): Promise<void> {
  await Promise.all(owned.map((one) => tell("wake", one, () => ownerOf(env, one).wake(one))));
}

/** What their group is to do has changed: none is at a batch any more that it began before. */
export async function haltOwners(env: Env, owned: readonly Owned[]): Promise<void> {
  await Promise.all(owned.map((one) => tell("halt", one, () => ownerOf(env, one).halt())));
}

/** What the scheduled handler is called with, in place of a cron, by what runs the worker on one machine and ends now. */
export const REST = "rest";

/** Lets every owner finish the batch in hand; none begins another. */
export async function restAll(env: Env): Promise<void> {
  const owned = await ownedPartitions(env, deploymentOf(env));
  await Promise.all(owned.map((one) => tell("rest", one, () => ownerOf(env, one).rest())));
}

const lastPokeMs = new Map<string, number>();

/** Tells the owners that their log grew. Off the critical path; a failure costs a minute of delay at most. */
export async function pokeOwners(
  env: Env,
  grown: readonly { topic: string; partition: number; offset: number }[],
): Promise<void> {
  const nowMs = Date.now();
  const pokes: Promise<void>[] = [];
  for (const { group, topic, signal, isPaused } of await knownSubscriptions(env, POKE_KNOWN_MS)) {
    if (isPaused) continue;
    for (const { topic: grownTopic, partition, offset } of grown) {
      const name = `${group}/${topic}/${partition}`;
      // Of a clock that was set back, the last poke lies ahead: that is no reason to wait for it.
      const sinceMs = Math.abs(nowMs - (lastPokeMs.get(name) ?? 0));
      if (grownTopic !== topic || sinceMs < POKE_WINDOW_MS) continue;
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
