// What /metrics tells of the consumers, read when it is asked for: totals and watermarks from storage, lags from the
// logs' ends. Each part has a deadline; one that does not come is counted, and holds nothing else up.
import type { ConsumerReading, PartitionFigure } from "../lib/observability/consumer-metrics.ts";
import { logger } from "../lib/observability/logger.ts";
import { PROCESSING_BOUNDS_MS } from "../lib/storage/consumer-stats.ts";
import { isReaderOf } from "../lib/storage/groups.ts";
import type { Progress } from "../lib/storage/storage.ts";
import { ownedPartitions, type Owned } from "./consume.ts";
import type { Deployment } from "./deployment.ts";
import { callObject, type Failed } from "./object-call.ts";
import { statsStoreOf, streamStoreOf } from "./storage.ts";
import { openTransport } from "./transport.ts";

/** Of each part; Prometheus waits for ten seconds by default. */
const PART_DEADLINE_MS = 2_000;

/** The total needs no minutes. */
const NO_MINUTES = { from: 0, to: 0 };

export interface ConsumerRead {
  reading: ConsumerReading;
  /** Parts that did not come: of storage, or the ends of logs. */
  errors: number;
}

export async function readConsumers(
  env: Env,
  context: Pick<ExecutionContext, "waitUntil">,
  deployment: Deployment,
): Promise<ConsumerRead> {
  const prefix = `${deployment.config.KAFKA_CONSUMER_GROUP}-`;
  const [totals, progress] = await Promise.all([
    part("consumer_stats", () => statsStoreOf(env).consumerStats(prefix, NO_MINUTES)),
    part("progress", () => streamStoreOf(env).progress(prefix)),
  ]);
  const lags = await readLags(env, context, deployment, progress.ok ? progress.value : []);
  return {
    reading: {
      processingBoundsMs: PROCESSING_BOUNDS_MS,
      // Of topics that nobody reads any more, nothing is told.
      partitions: (totals.ok ? totals.value : []).flatMap(({ group, topic, partition, total, lagMs }) => {
        const signal = deployment.rawTopics.get(topic);
        const isStoring = isReaderOf(group, deployment.storageGroup);
        return signal ? [{ group, topic, signal, partition, isStoring, ...total, lagMs }] : [];
      }),
      lags: lags.known,
      watermarks: (progress.ok ? progress.value : [])
        .filter(({ watermarkMs }) => watermarkMs > 0)
        .map(({ group, topic, partition, watermarkMs }) => ({ group, topic, partition, value: watermarkMs })),
    },
    errors: Number(!totals.ok) + Number(!progress.ok) + lags.errors,
  };
}

async function readLags(
  env: Env,
  context: Pick<ExecutionContext, "waitUntil">,
  deployment: Deployment,
  progress: readonly Progress[],
): Promise<{ known: PartitionFigure[]; errors: number }> {
  const owned = await part("partitions", () => ownedPartitions(env, deployment));
  if (!owned.ok) return { known: [], errors: 1 };
  const read = new Map(progress.map((one) => [placeOf(one), one.nextOffset]));
  const transport = openTransport(env, deployment);
  // One look at a log for all groups that read it.
  const logs = new Map<string, Owned>(owned.value.map((one) => [`${one.topic}/${one.partition}`, one]));
  const looks = [...logs].map(
    async ([log, { topic, partition }]) =>
      [
        log,
        await part("log_end", () =>
          transport.latestOffset(topic, partition, newestRead(progress, topic, partition)),
        ),
      ] as const,
  );
  const ends = new Map(await Promise.all(looks));
  context.waitUntil(transport.close());
  const known = owned.value.flatMap((one): PartitionFigure[] => {
    const end = ends.get(`${one.topic}/${one.partition}`);
    const next = read.get(placeOf(one));
    if (!end?.ok || next === undefined) return [];
    const { group, topic, partition } = one;
    return [{ group, topic, partition, value: Math.max(0, end.value - next) }];
  });
  return { known, errors: [...ends.values()].filter(({ ok }) => !ok).length };
}

/** Where a transport has to search for the end, it begins there. */
function newestRead(progress: readonly Progress[], topic: string, partition: number): number | undefined {
  const offsets = progress.filter((one) => one.topic === topic && one.partition === partition);
  return offsets.length === 0 ? undefined : Math.max(...offsets.map(({ nextOffset }) => nextOffset));
}

/** A part that does not come in time is a value, too. */
async function part<T>(what: string, read: () => Promise<T>): Promise<{ ok: true; value: T } | Failed> {
  const answer = await callObject(PART_DEADLINE_MS, async () => ({ ok: true as const, value: await read() }));
  if (!answer.ok) logger.warn("scrape_part_failed", { part: what, message: answer.message });
  return answer;
}

const placeOf = ({ group, topic, partition }: { group: string; topic: string; partition: number }) =>
  `${group}/${topic}/${partition}`;
