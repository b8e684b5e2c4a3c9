// What the cron does each minute, on Workers and in `npm start`: wakes who reads, who drains and who judges, and at some
// minutes drops what is past its time. It has no memory, and whatever fails is done again.
import { logger } from "../lib/observability/logger.ts";
import { claimHorizonMs, dropInTime } from "../lib/stream/prune.ts";
import { wakeAlerts } from "./alert-tick.ts";
import { ownedPartitions, wakeGroup, wakeOwners } from "./consume.ts";
import { tellConsumerStats } from "./consumer-stats.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import { advanceSwitches } from "./group-switch.ts";
import { RETIRE_MINUTE, retireOldData } from "./retention.ts";
import { spillStatus, wakeSpill } from "./spill.ts";
import { streamStoreOf } from "./storage.ts";
import { subscriptionsOf } from "./subscriptions.ts";

/** Claims are pruned at minutes 7, 17, 27 and so on: the cron has no memory. */
const PRUNE_EVERY_MINUTES = 10;
const PRUNE_MINUTE = 7;

/** Re-arms every owner and the spillway first: neither a lost alarm nor a lost poke matters. */
export async function wakeAll(env: Env, now = () => Date.now()): Promise<void> {
  const minute = new Date(now()).getUTCMinutes();
  const deployment = deploymentOf(env);
  const [owned] = await Promise.all([ownedPartitions(env, deployment), wakeSpill(env, deployment)]);
  await wakeOwners(env, owned);
  await advanceSwitches(env, wakeGroup);
  await tellConsumerStats(env, deployment, now);
  await wakeAlerts(env, now);
  if (minute % PRUNE_EVERY_MINUTES === PRUNE_MINUTE) await pruneClaims(env, deployment, now);
  if (minute === RETIRE_MINUTE) await retireOldData(env, now);
}

/** Never throws: it is done again in ten minutes. */
async function pruneClaims(env: Env, deployment: Deployment, now: () => number): Promise<void> {
  try {
    const store = streamStoreOf(env);
    // A reader that nobody knows of would miss its claims: not by old knowledge.
    await subscriptionsOf(env, 0);
    const owned = await ownedPartitions(env, deployment);
    // The spillway first: what leaves it meanwhile is still seen in it, however far its partition is read by then.
    const spill = await spillStatus(env, deployment);
    // What a shard that could not be asked holds may be older than anything else.
    if (!spill.isComplete)
      return logger.warn("claims_not_pruned", { message: "the spillway could not be asked" });
    // Of all groups: each has its own claims, and a claim does not tell whose it is.
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

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
