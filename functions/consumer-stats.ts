// Where the figures of the consumers are read, and the line that tells them each minute. They lie in storage, so that no
// restart begins them anew.
import { logger } from "../lib/observability/logger.ts";
import { statsLine, uptimeSeconds, type Bounds } from "../lib/query/stats.ts";
import {
  minuteOf,
  PROCESSING_BOUNDS_MS,
  WAITING_BOUNDS_MS,
  type ConsumerStats,
} from "../lib/storage/consumer-stats.ts";
import { isReaderOf } from "../lib/storage/groups.ts";
import type { Deployment } from "./deployment.ts";
import { statsStoreOf } from "./storage.ts";

export const STATS_BOUNDS: Bounds = { processingMs: PROCESSING_BOUNDS_MS, waitingMs: WAITING_BOUNDS_MS };

const MINUTE_MS = 60_000;
const KEPT_MINUTES = 1_440;

/** The cron's: one line of the last whole minute, and no minutes older than a day. Never throws: it is done again. */
export async function tellConsumerStats(
  env: Env,
  deployment: Deployment,
  now: () => number = () => Date.now(),
): Promise<void> {
  try {
    const minute = minuteOf(now());
    const store = statsStoreOf(env);
    const all = await store.consumerStats(deployment.storageGroup, { from: minute - 1, to: minute });
    const rows = all.filter(({ group }) => isReaderOf(group, deployment.storageGroup));
    const span = { fromMs: (minute - 1) * MINUTE_MS, toMs: minute * MINUTE_MS };
    const line = statsLine(rows, span, STATS_BOUNDS);
    logger.info("consumer_stats", {
      ...Object.fromEntries(Object.entries(line).map(([name, figure]) => [name, figure ?? undefined])),
      uptime_sec: uptimeSeconds(rows, now()),
      lag_ms: newestLagMs(rows, span.fromMs),
    });
    await store.pruneStats(minute - KEPT_MINUTES);
  } catch (error) {
    logger.error("consumer_stats_failed", {
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

/** The longest that a batch had waited, of the newest ones of partitions that were read since. */
function newestLagMs(rows: readonly ConsumerStats[], sinceMs: number): number {
  return Math.max(0, ...rows.filter((row) => row.committedAtMs >= sinceMs).map(({ lagMs }) => lagMs));
}
