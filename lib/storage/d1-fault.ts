// What a failure of D1 means. Its errors have only a message: this is the one place that reads it.

/**
 * `fenced`, `conflict`, `rehearsed`: a statement of ours took the batch back. `rejected`: the data is at fault, and will
 * be again. `unavailable`: all else, an overload ("Too many requests queued") and a full database among it.
 */
export type D1Fault = "fenced" | "conflict" | "rehearsed" | "rejected" | "unavailable";

/** By the names of the constraints in migrations/; an SQLite that is older names the table. */
const TAKEN_BACK: readonly [D1Fault, RegExp][] = [
  ["fenced", /CHECK constraint failed: (ok = 1|fence)\b/],
  ["conflict", /CHECK constraint failed: (claims_conflict|floor_moved)\b/],
  ["rehearsed", /CHECK constraint failed: rehearsal_ends\b/],
];

const REJECTED: readonly RegExp[] = [
  /SQLITE_(CONSTRAINT|TOOBIG|MISMATCH)/,
  /string or blob too big|malformed JSON|integer overflow/,
  // Not "Too many requests queued".
  /too many (SQL variables|terms|columns|arguments)/,
  // A value that no statement takes.
  /D1_TYPE_ERROR/,
];

/** @param error of D1, or the StorageError that holds its message */
export function faultOf(error: unknown): D1Fault {
  const message = error instanceof Error ? error.message : String(error);
  for (const [fault, pattern] of TAKEN_BACK) if (pattern.test(message)) return fault;
  return REJECTED.some((pattern) => pattern.test(message)) ? "rejected" : "unavailable";
}

/** A day's table was dropped since its name was read (lib/storage/d1-days.ts). */
export function isTableGone(error: unknown): boolean {
  return /no such table: (main\.)?[a-z]+_\d{8}\b/.test(
    error instanceof Error ? error.message : String(error),
  );
}
