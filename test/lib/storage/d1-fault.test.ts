import { describe, expect, it } from "vitest";
import { built, withDeadline } from "../../../lib/storage/d1-database.ts";
import { faultOf } from "../../../lib/storage/d1-fault.ts";

// As workerd answers (seen with each of these faults made on purpose), and as
// developers.cloudflare.com/d1/observability/debug-d1 lists them.
const CHECK = "SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)";
const MESSAGES = [
  ["fenced", `D1_ERROR: CHECK constraint failed: ok = 1: ${CHECK}`],
  ["fenced", "D1_ERROR: CHECK constraint failed: fence: SQLITE_CONSTRAINT"],
  ["conflict", `D1_ERROR: CHECK constraint failed: claims_conflict: ${CHECK}`],
  ["rehearsed", `D1_ERROR: CHECK constraint failed: rehearsal_ends: ${CHECK}`],
  ["rejected", "D1_ERROR: NOT NULL constraint failed: logs.level: SQLITE_CONSTRAINT"],
  ["rejected", "D1_ERROR: datatype mismatch: SQLITE_MISMATCH"],
  ["rejected", "D1_ERROR: string or blob too big: SQLITE_TOOBIG"],
  ["rejected", "D1_ERROR: Statement too long: SQLITE_TOOBIG"],
  ["rejected", "D1_ERROR: malformed JSON: SQLITE_ERROR"],
  ["rejected", "D1_ERROR: integer overflow: SQLITE_ERROR"],
  ["rejected", "D1_ERROR: too many SQL variables at offset 399: SQLITE_ERROR"],
  ["rejected", "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'"],
  ["unavailable", "D1_ERROR: no such table: offsets: SQLITE_ERROR"],
  ["unavailable", "D1_ERROR: database or disk is full: SQLITE_FULL"],
  ["unavailable", "D1_ERROR: Exceeded maximum DB size"],
  ["unavailable", "D1_ERROR: D1 DB is overloaded. Too many requests queued."],
  ["unavailable", "D1_ERROR: D1 DB is overloaded. Requests queued for too long."],
  ["unavailable", "D1_ERROR: D1 DB reset because its code was updated."],
  ["unavailable", "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset."],
  ["unavailable", "D1_ERROR: Network connection lost."],
  ["unavailable", "Internal error while starting up D1 DB storage caused object to be reset."],
] as const;

describe("what a failure of D1 means", () => {
  it.each(MESSAGES)("%s: %s", async (fault, message) => {
    expect(faultOf(new Error(message))).toBe(fault);
    const failed = await withDeadline("committing", () => Promise.reject(new Error(message))).catch(
      (error: unknown) => error,
    );
    expect(failed).toMatchObject({
      name: "StorageError",
      code: fault === "unavailable" ? "storage_unavailable" : "storage_rejected",
      retryable: fault === "unavailable",
    });
    expect(faultOf(failed)).toBe(fault);
  });

  it("is the data's fault where a statement cannot even be built", () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    for (const build of [() => JSON.stringify(circular), () => JSON.stringify(1n)]) {
      expect(() => built("building", build)).toThrow(
        expect.objectContaining({ name: "StorageError", code: "storage_rejected" }),
      );
    }
    expect(built("building", () => 7)).toBe(7);
  });
});
