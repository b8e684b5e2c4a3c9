// One call of retention: drops days that are past their time, then what lies beside them, and on a store that is nearly
// full the oldest day of raw rows before its time (expiry comes early rather than a database that takes nothing more).
// Does as much as its time allows; the rest is done at the next call.
import { DAY_MS, dayOf } from "./day.ts";
import type { KindGroup, RetentionStore, Retired, StorageSize } from "./retention.ts";

export interface KeptDays {
  rawDays: number;
  windowsDays: number;
}

export interface RetireReport {
  retired: Retired[];
  /** Before their time. */
  early: Retired[];
  deadLetters: number;
  series: number;
  /** As it is now; undefined: the store has no bound. */
  size: StorageSize | undefined;
  /** Nothing was left for the next call. */
  isDone: boolean;
}

/** Of its largest size: from here on it is told, and from there on days go early. */
export const WARN_SHARE = 0.7;
const EARLY_SHARE = 0.9;

/**
 * Long enough to find a fault, mend it and write the letters to their topics again, once a month's end has passed; what
 * is older nobody asks for, and it may hold anything.
 */
const DEAD_LETTER_DAYS = 30;

/** Of a cron's 15 minutes, and of what D1 may do in one call. */
const BUDGET_MS = 20_000;

const ROWS_AT_ONCE = 1_000;

/** @throws StorageError */
export async function retireOld(
  store: RetentionStore,
  { rawDays, windowsDays }: KeptDays,
  now: () => number,
): Promise<RetireReport> {
  const startMs = now();
  const today = dayOf(startMs);
  const hasTime = () => now() - startMs < BUDGET_MS;
  const retire = async (group: KindGroup, floorDay: number): Promise<Retired[]> => {
    const retired: Retired[] = [];
    while (hasTime()) {
      const one = await store.retire(group, floorDay);
      if (!one) break;
      retired.push(one);
    }
    return retired;
  };
  const inSlices = async (drop: (limit: number) => Promise<number>): Promise<number> => {
    let dropped = 0;
    while (hasTime()) {
      const count = await drop(ROWS_AT_ONCE);
      dropped += count;
      if (count < ROWS_AT_ONCE) break;
    }
    return dropped;
  };

  // Today and so many whole days before it: what the intake takes is at most seven days old.
  const retired = await retire("raw", today - rawDays);
  retired.push(...(await retire("windows", today - windowsDays)));
  const early = await retireEarly(store, today, retire);
  const deadLetters = await inSlices((limit) =>
    store.dropDeadLetters(startMs - DEAD_LETTER_DAYS * DAY_MS, limit),
  );
  const series = await inSlices((limit) => store.dropSeries(today - windowsDays, limit));
  await store.dropSources(startMs - (windowsDays + 1) * DAY_MS);
  return { retired, early, deadLetters, series, size: await store.size(), isDone: hasTime() };
}

export const shareOf = ({ bytes, maxBytes }: StorageSize) => bytes / maxBytes;

/** One day at most: a store that told its size wrong must not lose all of them at once. Never today's. */
async function retireEarly(
  store: RetentionStore,
  today: number,
  retire: (group: KindGroup, floorDay: number) => Promise<Retired[]>,
): Promise<Retired[]> {
  const size = await store.size();
  if (!size || shareOf(size) < EARLY_SHARE) return [];
  const oldest = await store.oldestRawDay();
  return oldest === undefined || oldest >= today ? [] : await retire("raw", oldest + 1);
}
