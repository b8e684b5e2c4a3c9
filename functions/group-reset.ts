// Resets of consumer groups: over what is not read yet, to a new epoch at once, or to one that is built beside the present.
import { readerOf, type GroupStart, type TopicPlan } from "../lib/storage/groups.ts";
import { skipToEnd } from "../lib/stream/groups-move.ts";
import { planReset, startOfReset, type ResetTo } from "../lib/stream/groups-reset.ts";
import type { GroupDefinition } from "../lib/stream/groups-setting.ts";
import { ownedPartitions, wakeGroup, type OwnedPartition } from "./consume.ts";
import type { Deployment } from "./deployment.ts";
import { groupStoreOf, streamStoreOf } from "./storage.ts";
import { storedGroups, subscriptionsOf } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

export type ResetOutcome =
  | { outcome: "building"; epoch: number; topics: TopicPlan[] }
  | { outcome: "begun"; epoch: number; start: GroupStart }
  | { outcome: "skipped"; epoch: number; messages: number }
  | { outcome: "refused"; reason: string };

const BUSY = "a new epoch of it is being built: wait until it has taken over, or cancel it";

/** @throws KafkaError, StorageError */
export async function resetGroup(
  env: Env,
  deployment: Deployment,
  group: GroupDefinition,
  to: ResetTo | "latest",
): Promise<ResetOutcome> {
  const row = (await storedGroups(env, deployment)).find(({ name }) => name === group.name);
  if (row?.building) return { outcome: "refused", reason: BUSY };
  const epoch = row?.epoch ?? 0;
  const reader = readerOf(group.name, epoch);
  const read = (await subscriptionsOf(env, 0)).filter((one) => one.group === reader);
  const partitions = (await ownedPartitions(env, deployment)).filter((one) => one.group === reader);
  const transport = openTransport(env, deployment);
  const deps = { transport, store: streamStoreOf(env), now: Date.now };
  let done: ResetOutcome;
  try {
    if (to === "latest") done = await skip(partitions, epoch, deps);
    else if (group.isShown) {
      const plan = await planReset(partitions, to, deps);
      if (!plan.ok) return { outcome: "refused", reason: plan.reason };
      const topics = withAll(plan.topics, read);
      const built = await groupStoreOf(env).beginBuilding(group, epoch, topics, Date.now());
      if (built === undefined) return { outcome: "refused", reason: BUSY };
      done = { outcome: "building", epoch: built, topics };
    } else {
      // Nobody sees what it stores, so nothing need be kept in sight until a new epoch has it.
      const start = await startOfReset(partitions, to, deps);
      if (!start.ok) return { outcome: "refused", reason: start.reason };
      const begun = await groupStoreOf(env).beginAnew(group, epoch, start.start);
      if (begun === undefined) return { outcome: "refused", reason: BUSY };
      done = { outcome: "begun", epoch: begun, start: start.start };
    }
  } finally {
    await transport.close();
  }
  await subscriptionsOf(env, 0);
  await wakeGroup(env, group.name);
  return done;
}

/** A topic that could not be asked for, and was never read, may come yet: the new reader follows the old one there, too. */
function withAll(planned: readonly TopicPlan[], read: readonly { topic: string }[]): TopicPlan[] {
  const missing = read.filter(({ topic }) => !planned.some((plan) => plan.topic === topic));
  const unread = { incarnation: 0, start: "earliest", fromTimeMs: null } as const;
  return [...planned, ...missing.map(({ topic }) => ({ topic, ...unread }))];
}

async function skip(
  partitions: readonly OwnedPartition[],
  epoch: number,
  deps: Parameters<typeof skipToEnd>[1],
): Promise<ResetOutcome> {
  const skipped = await Promise.all(
    partitions.map(async (one) => await skipToEnd({ ...one, epoch, recentOffset: undefined }, deps)),
  );
  if (skipped.some((one) => one === undefined))
    return { outcome: "refused", reason: "it read on meanwhile: try again, or pause it first" };
  const messages = skipped.reduce((sum, one) => sum + (one?.skipped ?? 0), 0);
  return { outcome: "skipped", epoch, messages };
}
