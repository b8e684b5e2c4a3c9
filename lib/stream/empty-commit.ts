// A commit that moves a partition's position and does nothing else: what every other one is made of.
import type { PartitionCommit, PartitionId, Position } from "../storage/storage.ts";

export function emptyCommit(
  { group, topic, partition }: PartitionId,
  from: Position | undefined,
  next: Position,
  { rawFloorDay, nowMs }: { rawFloorDay: number; nowMs: number },
): PartitionCommit {
  return {
    group,
    topic,
    partition,
    from,
    next,
    rows: { metrics: [], logs: [], events: [], traces: [] },
    deadLetters: [],
    claims: { first: [], repeated: [], receivedMs: undefined },
    ledger: [],
    outbox: [],
    windows: { put: [], removed: [], series: [] },
    alertSamples: [],
    stats: undefined,
    rawFloorDay,
    expired: 0,
    committedAtMs: nowMs,
  };
}
