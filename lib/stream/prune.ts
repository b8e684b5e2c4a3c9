// Until when claims may be dropped: by how far everything is read, never by the clock alone. A consumer may be a day
// behind, and the spillway may hold what was received before its outage.
import type { PartitionId, Progress } from "../storage/storage.ts";

/** How long a retry counts once (contracts.md, Idempotency-Key). */
const DEDUPE_HORIZON_MS = 24 * 3_600_000;

/**
 * @param progress of all groups whose claims lie in the store
 * @param owned every partition that is read
 * @param oldestSpillMs receipt of the oldest message in the spillway; null: it is empty
 * @returns claims of what was received before this may go; undefined: none may
 */
export function claimHorizonMs(
  progress: readonly Progress[],
  owned: readonly PartitionId[],
  oldestSpillMs: number | null,
): number | undefined {
  const readThrough = new Map(progress.map((one) => [nameOf(one), one.readThroughMs]));
  let oldestMs = oldestSpillMs ?? Infinity;
  // A partition that was never read may hold anything.
  for (const one of owned) oldestMs = Math.min(oldestMs, readThrough.get(nameOf(one)) ?? 0);
  if (oldestMs === Infinity || oldestMs <= DEDUPE_HORIZON_MS) return undefined;
  return oldestMs - DEDUPE_HORIZON_MS;
}

const nameOf = ({ group, topic, partition }: PartitionId) => JSON.stringify([group, topic, partition]);
