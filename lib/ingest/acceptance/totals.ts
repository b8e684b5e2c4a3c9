// What is known of all that the edge accepted: sums, and what isolates that ended without a word leave uncertain.
import type { Accepted } from "./tally.ts";

export interface AcceptanceTotals {
  /** One for each tenant and signal. */
  counts: Accepted[];
  /** Intervals of isolates at work, whose records are not in the sums yet. */
  open: number;
  /** When the oldest interval without a delivery began, of an isolate that ended, too; epoch ms. */
  oldestOpenMs: number | null;
  /** Isolates that gave no delivery for their interval within a minute: they ended, or cannot reach the keeper. */
  lostIsolates: number;
  /** So many accepted records at most are not in the sums because of these isolates. */
  lostAtMost: number;
  /** Records in deliveries that came too late to tell whether they had been added: they are not in the sums. */
  refused: number;
  /** Records that were answered before the keeper knew of their interval; in the sums, as they were delivered. */
  unregistered: number;
}

export function emptyTotals(): AcceptanceTotals {
  return {
    counts: [],
    open: 0,
    oldestOpenMs: null,
    lostIsolates: 0,
    lostAtMost: 0,
    refused: 0,
    unregistered: 0,
  };
}

/** Adds what another shard has. */
export function addTotals(sum: AcceptanceTotals, one: AcceptanceTotals): void {
  for (const counts of one.counts) {
    const known = sum.counts.find(
      ({ tenant, signal }) => tenant === counts.tenant && signal === counts.signal,
    );
    if (known) {
      known.accepted += counts.accepted;
      known.unconfirmed += counts.unconfirmed;
    } else sum.counts.push({ ...counts });
  }
  sum.open += one.open;
  sum.lostIsolates += one.lostIsolates;
  sum.lostAtMost += one.lostAtMost;
  sum.refused += one.refused;
  sum.unregistered += one.unregistered;
  if (one.oldestOpenMs !== null) sum.oldestOpenMs = Math.min(sum.oldestOpenMs ?? Infinity, one.oldestOpenMs);
}
