// Until when claims may be dropped: by how far everything is read, never by the clock alone. A consumer may be a day
// behind, and what the spillway holds, or has just sent on, may have been received before an outage.
import type { PartitionId, Progress } from "../storage/storage.ts";

/** How long a retry counts once (contracts.md, Idempotency-Key). */
const DEDUPE_HORIZON_MS = 24 * 3_600_000;

/** By how much the clocks of the machines may differ. */
const CLOCKS_MS = 60_000;

/** Rows dropped by one statement. */
const DROP_ROWS = 10_000;
/** A run of them ends after this. */
const DROP_MS = 20_000;

/**
 * @param progress of all groups whose claims lie in the store
 * @param owned every partition that is read
 * @param oldestSpillMs receipt of the oldest message in the spillway; null: it is empty
 * @param drained what the spillway sent on, by the hour: held as well, until every partition is read beyond that
 * @returns claims of what was received before this may go; undefined: none may
 */
export function claimHorizonMs(
  progress: readonly Progress[],
  owned: readonly PartitionId[],
  oldestSpillMs: number | null,
  drained: readonly { untilMs: number; oldestMs: number }[],
): number | undefined {
  const readThrough = new Map(progress.map((one) => [nameOf(one), one.readThroughMs]));
  // A partition that was never read may hold anything.
  const readMs = Math.min(...owned.map((one) => readThrough.get(nameOf(one)) ?? 0));
  const unread = drained.filter(({ untilMs }) => readMs <= untilMs + CLOCKS_MS);
  const oldestMs = Math.min(readMs, oldestSpillMs ?? Infinity, ...unread.map((one) => one.oldestMs));
  if (oldestMs === Infinity || oldestMs <= DEDUPE_HORIZON_MS) return undefined;
  return oldestMs - DEDUPE_HORIZON_MS;
}

/**
 * Drops until nothing is left to be dropped, or the time is over.
 * @param drop at most `limit` rows; says how many
 * @returns rows dropped
 */
export async function dropInTime(
  drop: (limit: number) => Promise<number>,
  now: () => number,
): Promise<number> {
  const endMs = now() + DROP_MS;
  let dropped = 0;
  do {
    const rows = await drop(DROP_ROWS);
    dropped += rows;
    if (rows < DROP_ROWS) break;
  } while (now() < endMs);
  return dropped;
}

const nameOf = ({ group, topic, partition }: PartitionId) => JSON.stringify([group, topic, partition]);
