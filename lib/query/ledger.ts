// The ledger's arithmetic: what the edge accepted, against what became of it. The two sides are counted apart, so their
// difference proves something; where a side is not known, or records are on their way, nothing is claimed.
//   accepted + foreign = stored + late + dead + deduplicated + expired + spilled + waiting
import type { Signal } from "../telemetry/signal.ts";

interface Of {
  tenant: string;
  signal: Signal;
}

interface Committed {
  stored: number;
  late: number;
  dead: number;
  deduplicated: number;
  /** Stored once, and dropped at their age since. */
  expired: number;
  redelivered: number;
  foreign: number;
}

export interface LedgerSources {
  /** As the edge counted; undefined: not all of it could be read. */
  accepted: readonly (Of & { accepted: number; unconfirmed: number })[] | undefined;
  /** Accepted records that may be missing there at most, whosever they are: isolates ended with them. */
  lostAtMost: number;
  /** As the readers of the log committed; what others wrote to the topics (`foreign`) is in the other terms. */
  committed: readonly (Of & Committed)[];
  spilled: readonly (Of & { records: number })[] | undefined;
  /** Records in the log that nobody has read, but for those of others. */
  waiting: readonly (Of & { records: number })[] | undefined;
  /** What clients say they threw away; no part of the balance. */
  discarded: readonly (Of & { quantity: number })[];
  /** Signals of whose topics Kafka's retention removed messages unread: whose records they held is not known. */
  expiredUnread: ReadonlySet<Signal>;
  /** Nothing was accepted while the sources were read. */
  isQuiet: boolean;
}

export interface LedgerLine extends Of, Committed {
  accepted: number | null;
  spilled: number | null;
  waiting: number | null;
  difference: number | null;
  uncertain: { lost_counts_at_most: number; unconfirmed: number };
  /** Nothing of it is on its way, so that the difference means something. */
  settled: boolean;
  /** Whether the difference lies where it must; null: it cannot be known, or not yet. */
  balanced: boolean | null;
  client_discarded: number;
}

const TERMS = ["stored", "late", "dead", "deduplicated", "expired", "redelivered", "foreign"] as const;

/** One line for each tenant and signal of which anything is known, in their order. */
export function balance(sources: LedgerSources): LedgerLine[] {
  const sums = new Map<string, Sums>();
  const sumsOf = ({ tenant, signal }: Of): Sums => {
    const name = `${tenant} ${signal}`;
    const known = sums.get(name) ?? emptySums(tenant, signal);
    sums.set(name, known);
    return known;
  };
  for (const row of sources.accepted ?? []) {
    const sum = sumsOf(row);
    sum.accepted += row.accepted;
    sum.unconfirmed += row.unconfirmed;
  }
  for (const row of sources.committed) {
    const sum = sumsOf(row);
    for (const term of TERMS) sum[term] += row[term];
  }
  for (const row of sources.spilled ?? []) sumsOf(row).spilled += row.records;
  for (const row of sources.waiting ?? []) sumsOf(row).waiting += row.records;
  for (const row of sources.discarded) sumsOf(row).discarded += row.quantity;
  return [...sums.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => lineOf(sum, sources));
}

/** One word for all lines; of a part that is not known a line may be missing. */
export function verdictOf(
  sources: LedgerSources,
  lines: readonly LedgerLine[],
): { settled: boolean; balanced: boolean | null } {
  const { isQuiet, accepted, spilled, waiting } = sources;
  const isKnown = accepted !== undefined && spilled !== undefined && waiting !== undefined;
  const settled = isQuiet && isKnown && lines.every((line) => line.settled);
  if (lines.some(({ balanced }) => balanced === false)) return { settled, balanced: false };
  return { settled, balanced: settled && lines.every(({ balanced }) => balanced === true) ? true : null };
}

interface Sums extends Of, Committed {
  accepted: number;
  unconfirmed: number;
  spilled: number;
  waiting: number;
  discarded: number;
}

function emptySums(tenant: string, signal: Signal): Sums {
  const committed = { stored: 0, late: 0, dead: 0, deduplicated: 0, expired: 0, redelivered: 0, foreign: 0 };
  return { tenant, signal, ...committed, accepted: 0, unconfirmed: 0, spilled: 0, waiting: 0, discarded: 0 };
}

function lineOf(sum: Sums, sources: LedgerSources): LedgerLine {
  const { tenant, signal, stored, late, dead, deduplicated, expired, redelivered, foreign, unconfirmed } =
    sum;
  const accepted = sources.accepted ? sum.accepted : null;
  const spilled = sources.spilled ? sum.spilled : null;
  const waiting = sources.waiting ? sum.waiting : null;
  const isKnown = accepted !== null && spilled !== null && waiting !== null;
  const difference = isKnown
    ? accepted + foreign - (stored + late + dead + deduplicated + expired + spilled + waiting)
    : null;
  const settled = isKnown && sources.isQuiet && spilled === 0 && waiting === 0;
  const uncertain = { lost_counts_at_most: sources.lostAtMost, unconfirmed };
  return {
    tenant,
    signal,
    accepted,
    stored,
    late,
    dead,
    deduplicated,
    expired,
    spilled,
    waiting,
    difference,
    uncertain,
    settled,
    balanced: settled ? verdict(difference, uncertain, sources.expiredUnread.has(signal)) : null,
    redelivered,
    foreign,
    client_discarded: sum.discarded,
  };
}

/**
 * Accepted records that an isolate did not tell, and records in the log that were not answered as accepted, make
 * `accepted` too small; nothing makes it too large.
 */
function verdict(
  difference: number | null,
  { lost_counts_at_most: lost, unconfirmed }: LedgerLine["uncertain"],
  hasExpired: boolean,
): boolean | null {
  if (difference === null) return null;
  if (difference > 0) return hasExpired ? null : false;
  return difference >= -(lost + unconfirmed);
}
