// Retention of the store in memory.
import { dayOfNanos, SIGNAL_OF } from "./day.ts";
import type { MemoryTables } from "./memory-tables.ts";
import { KINDS, type RetentionStore } from "./retention.ts";

export function createMemoryRetention(tables: MemoryTables): RetentionStore {
  const oldestRaw = () => {
    let oldest: { kind: (typeof KINDS.raw)[number]; day: number } | undefined;
    for (const kind of KINDS.raw) {
      for (const { key } of tables.rows[SIGNAL_OF[kind]].values()) {
        const day = dayOfNanos(key.time);
        if (!oldest || day < oldest.day) oldest = { kind, day };
      }
    }
    return oldest;
  };

  return {
    async retire(group, floorDay) {
      tables.floors[group] = Math.max(tables.floors[group], floorDay);
      if (group === "windows") {
        tables.windows.dropBefore(floorDay);
        return undefined;
      }
      const oldest = oldestRaw();
      if (!oldest || oldest.day >= floorDay) return undefined;
      const { kind, day } = oldest;
      const rows = tables.rows[SIGNAL_OF[kind]];
      for (const [place, { key }] of rows) if (dayOfNanos(key.time) === day) rows.delete(place);
      let records = 0;
      tables.dayRows = tables.dayRows.filter((one) => {
        if (one.kind !== kind || one.day !== day) return true;
        const sum = tables.ledger.get(one.ledgerPlace);
        if (sum) {
          sum.stored -= one.stored;
          sum.expired += one.stored;
          records += one.stored;
        }
        return false;
      });
      return { kind, day, records };
    },

    async oldestRawDay() {
      return oldestRaw()?.day;
    },

    async dropDeadLetters(beforeMs, limit) {
      let dropped = 0;
      for (const [place, { letter }] of tables.deadLetters) {
        if (dropped === limit || Date.parse(letter.deadAt) >= beforeMs) continue;
        tables.deadLetters.delete(place);
        dropped++;
      }
      return dropped;
    },

    // A series goes with the last of its windows there.
    async dropSeries() {
      return 0;
    },

    // Here an epoch is seen or not by its number.
    async dropSources() {},

    async size() {
      return undefined;
    },
  };
}
