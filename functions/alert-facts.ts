// What rules of the deployment look at: lag, dead letters, produce times, the spillway. Each is asked for at most once a
// judgement, and not at all where no rule looks at it; what cannot be had is null, and no alert changes by it.
import type { DeploymentFacts } from "../lib/alerts/evaluate.ts";
import type { BucketCounts, ProduceLatency } from "../lib/alerts/produce-latency.ts";
import { logger } from "../lib/observability/logger.ts";
import { readConsumers } from "./consumer-reading.ts";
import { deploymentOf } from "./deployment.ts";
import { readTotals } from "./edge-metrics.ts";
import { spillStatus } from "./spill.ts";
import { queryStoreOf } from "./storage.ts";
import { subscriptionsOf } from "./subscriptions.ts";

/** More than so many dead letters are told as so many. */
const MAX_DEAD_LETTERS = 1_000;

/** Facts that can be told of, and why one cannot, by what a rule calls it. */
export interface AskedFacts extends DeploymentFacts {
  faults: ReadonlyMap<string, string>;
}

const PRODUCE_TIMES = "kafka_produce_time_seconds{";

export function deploymentFacts(
  env: Env,
  context: Pick<ExecutionContext, "waitUntil">,
  latency: ProduceLatency,
  nowMs: number,
): AskedFacts {
  const faults = new Map<string, string>();
  const once = <T>(fact: string, read: () => Promise<T | null>) => asked(fact, read, faults);
  return {
    faults,
    lag: once("lag", async () => {
      const { reading, errors } = await readConsumers(env, context, deploymentOf(env));
      // What is being built anew is behind, as it must be.
      const builds = new Set(
        (await subscriptionsOf(env)).filter(({ building }) => building).map(({ group }) => group),
      );
      // A group of which a log's end is missing must not pass for one that is gone, whose alert would be resolved.
      if (errors > 0) {
        faults.set("lag", "not all ends of logs, or what was read of them, could be asked for");
        return null;
      }
      const byGroup = new Map<string, number>();
      for (const { group, value } of reading.lags)
        if (!builds.has(group)) byGroup.set(group, (byGroup.get(group) ?? 0) + value);
      return [...byGroup].map(([group, lag]) => ({ group, lag }));
    }),
    async deadLetters(rangeMs) {
      return await once("dead_letters", async () => {
        const store = queryStoreOf(env);
        const from = new Date(nowMs - rangeMs).toISOString();
        const all = {
          tenant: undefined,
          topic: undefined,
          errorType: undefined,
          to: undefined,
          after: undefined,
        };
        const found = await store
          .deadLetters({ ...all, from, limit: MAX_DEAD_LETTERS })
          .finally(() => store.close());
        return found.length;
      })();
    },
    produceP99Ms: once("produce_p99", async () => {
      const { counts, errors } = await readTotals(env);
      if (errors > 0) faults.set("produce_p99", "not all counters of writes to Kafka answered");
      return errors > 0 ? null : latency.p99(produceTimes(counts), nowMs);
    }),
    spillAgeMs: once("spill_age", async () => {
      const { isComplete, oldestMs } = await spillStatus(env, deploymentOf(env));
      if (oldestMs !== null) return Math.max(0, nowMs - oldestMs);
      if (isComplete) return 0;
      faults.set("spill_age", "not all of the spillway answered");
      return null;
    }),
  };
}

/** Asks the first time only; what failed is told in the log. */
function asked<T>(
  fact: string,
  read: () => Promise<T | null>,
  faults: Map<string, string>,
): () => Promise<T | null> {
  let answer: Promise<T | null> | undefined;
  return () =>
    (answer ??= read().catch((error: unknown) => {
      faults.set(fact, "it could not be asked for; the operator's log tells why");
      logger.warn("alert_fact_unknown", {
        fact,
        message: error instanceof Error ? error.message : String(error),
      });
      return null;
    }));
}

/** Of all topics together. A family's name ends with its buckets' bounds in seconds (lib/observability/counts.ts). */
function produceTimes(counts: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>): BucketCounts {
  for (const [family, series] of counts) {
    if (!family.startsWith(PRODUCE_TIMES)) continue;
    const boundsMs = (family.split(" ")[1] ?? "").split(",").map((bound) => Number(bound) * 1_000);
    const sums = Array.from({ length: boundsMs.length + 1 }, () => 0);
    for (const figures of series.values())
      for (const i of sums.keys()) sums[i] = (sums[i] ?? 0) + (figures[i] ?? 0);
    return { boundsMs, counts: sums };
  }
  return { boundsMs: [], counts: [0] };
}
