// Retention: the cron drops what is past its time, once an hour, and tells how full the store is. A failure is logged, and
// tried again an hour later; nothing of it is on the way of a request.
import { logger } from "../lib/observability/logger.ts";
import { DAY_MS, dayText } from "../lib/storage/day.ts";
import { dropClientReports } from "../lib/storage/d1-client-reports.ts";
import { createD1RetentionStore } from "../lib/storage/d1-retention.ts";
import { createPostgresRetentionStore } from "../lib/storage/postgres/retention.ts";
import { retireOld, shareOf, WARN_SHARE, type RetireReport } from "../lib/storage/retire.ts";
import type { RetentionStore, StorageSize } from "../lib/storage/retention.ts";
import { deploymentOf } from "./deployment.ts";
import { storeBy, type Closable } from "./storage.ts";

/** At minute 23 of each hour: the cron has no memory. */
export const RETIRE_MINUTE = 23;

const REPORTS_AT_ONCE = 1_000;

/** Never throws. */
export async function retireOldData(env: Env, now = () => Date.now()): Promise<void> {
  let store: (RetentionStore & Closable) | undefined;
  try {
    const { config } = deploymentOf(env);
    const kept = { rawDays: config.RETENTION_RAW_DAYS, windowsDays: config.RETENTION_WINDOWS_DAYS };
    store = retentionStoreOf(env);
    tell(await retireOld(store, kept, now));
    await dropClientReports(env.DB, now() - kept.windowsDays * DAY_MS, REPORTS_AT_ONCE);
  } catch (error) {
    logger.error("retention_failed", { message: error instanceof Error ? error.message : String(error) });
  } finally {
    store?.close();
  }
}

/** Undefined: the store has no bound of its own. @throws StorageError, ConfigError */
export async function storageSize(env: Env): Promise<StorageSize | undefined> {
  const store = retentionStoreOf(env);
  try {
    return await store.size();
  } finally {
    store.close();
  }
}

const retentionStoreOf = (env: Env): RetentionStore & Closable =>
  storeBy(env, createD1RetentionStore, createPostgresRetentionStore);

function tell({ retired, early, deadLetters, series, size, isDone }: RetireReport): void {
  for (const { kind, day, records } of retired)
    logger.info("day_expired", { kind, day: dayText(day), records });
  for (const { kind, day, records } of early)
    logger.warn("day_expired_early", {
      kind,
      day: dayText(day),
      records,
      message: "the database is nearly full",
    });
  if (deadLetters > 0 || series > 0) logger.info("old_rows_dropped", { dead_letters: deadLetters, series });
  if (!isDone) logger.warn("retention_unfinished", { message: "goes on in an hour" });
  if (size && shareOf(size) >= WARN_SHARE) {
    logger.warn("storage_nearly_full", {
      bytes: size.bytes,
      limit_bytes: size.maxBytes,
      message: "see docs/retention.md",
    });
  }
}
