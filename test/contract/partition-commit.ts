// A commit as a test wants it: what it does not say is empty, and begins a partition that was never read.
import type {
  LedgerEntry,
  NewClaims,
  PartitionCommit,
  PartitionId,
  Position,
  Rows,
  WindowChanges,
} from "../../lib/storage/storage.ts";

export interface CommitFields extends Partial<
  Omit<PartitionCommit, keyof PartitionId | "rows" | "claims" | "windows">
> {
  rows?: Partial<Rows>;
  claims?: Partial<NewClaims>;
  windows?: Partial<WindowChanges>;
}

export function positionAt(nextOffset: number, fields: Partial<Position> = {}): Position {
  return { nextOffset, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0, ...fields };
}

export function partitionCommit(id: PartitionId, fields: CommitFields): PartitionCommit {
  return {
    group: id.group,
    topic: id.topic,
    partition: id.partition,
    from: undefined,
    next: positionAt(1),
    deadLetters: [],
    ledger: [],
    outbox: [],
    alertSamples: [],
    stats: undefined,
    rawFloorDay: 0,
    expired: 0,
    committedAtMs: Date.parse("2026-11-21T10:00:00.000Z"),
    ...fields,
    rows: { metrics: [], logs: [], events: [], traces: [], ...fields.rows },
    claims: { first: [], repeated: [], receivedMs: undefined, ...fields.claims },
    windows: { put: [], removed: [], series: [], ...fields.windows },
  };
}

export function ledgerEntry(tenant: string, fields: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    tenant,
    signal: "logs",
    stored: 0,
    dead: 0,
    late: 0,
    deduplicated: 0,
    redelivered: 0,
    foreign: 0,
    ...fields,
  };
}
