// The claims of the store in memory, and the rule by which they let a commit through.
import type { Claim, NewClaims } from "./storage.ts";

const HOUR_MS = 3_600_000;

type Row = Claim & { hour: number };

export class MemoryClaims {
  readonly #byKey = new Map<string, Row[]>();

  /** Whether a row that is there forbids what a commit claims. */
  forbids({ first, repeated }: NewClaims): boolean {
    return (
      first.some((claim) => this.#meeting(claim).length > 0) ||
      repeated.some((claim) => this.#meeting(claim).some(({ attempt }) => attempt === claim.attempt))
    );
  }

  add({ first, repeated, receivedMs }: NewClaims, committedAtMs: number): void {
    const hour = Math.floor((receivedMs ?? committedAtMs) / HOUR_MS);
    for (const claim of [...first, ...repeated]) {
      const rows = this.#byKey.get(claim.key) ?? [];
      this.#byKey.set(claim.key, rows);
      const there = rows.find(({ word, attempt }) => word === claim.word && attempt === claim.attempt);
      if (!there) {
        rows.push({ ...claim, hour });
        continue;
      }
      there.bits = (there.bits | claim.bits) >>> 0;
      there.hour = Math.max(there.hour, hour);
    }
  }

  under(keys: Iterable<string>): Claim[] {
    return [...new Set(keys)].flatMap((wanted) =>
      (this.#byKey.get(wanted) ?? []).map(({ key, word, attempt, bits }) => ({ key, word, attempt, bits })),
    );
  }

  all(): Claim[] {
    return this.under(this.#byKey.keys());
  }

  /** Drops those of hours that are wholly past. */
  drop(beforeMs: number, limit: number): number {
    let dropped = 0;
    for (const [key, rows] of this.#byKey) {
      const kept = rows.filter(({ hour }) => (hour + 1) * HOUR_MS > beforeMs || dropped++ >= limit);
      if (kept.length > 0) this.#byKey.set(key, kept);
      else this.#byKey.delete(key);
    }
    return Math.min(dropped, limit);
  }

  #meeting({ key, word, bits }: Claim): Row[] {
    return (this.#byKey.get(key) ?? []).filter((row) => row.word === word && (row.bits & bits) !== 0);
  }
}
