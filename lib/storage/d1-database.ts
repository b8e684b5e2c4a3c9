// The part of Cloudflare's D1 that Weir uses, as an interface of its own: lib/ does not depend on the runtime's
// types. `batch` is one transaction (developers.cloudflare.com/d1/worker-api/d1-database/#batch).
import { faultOf } from "./d1-fault.ts";
import { StorageError } from "./storage.ts";

export type D1Value = string | number | null;

export interface D1Answer {
  results: Record<string, D1Value>[];
  /** `size_after`: of the database, in bytes. */
  meta: { changes: number; size_after?: number };
}

export interface D1Statement {
  bind(...values: D1Value[]): D1Statement;
  all(): Promise<D1Answer>;
}

export interface D1 {
  prepare(sql: string): D1Statement;
  batch(statements: D1Statement[]): Promise<D1Answer[]>;
}

/** D1 gives no deadline of its own; a query that hangs must not hold its caller for ever. */
const DEADLINE_MS = 30_000;

/** Runs a call to D1 under a deadline and turns its failure into a StorageError. */
export async function withDeadline<T>(
  what: string,
  call: () => Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StorageError(`${what}: no answer within ${deadlineMs} ms`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([call(), deadline]);
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    const code = faultOf(cause) === "unavailable" ? "storage_unavailable" : "storage_rejected";
    throw new StorageError(`${what}: ${messageOf(cause)}`, { cause, code });
  } finally {
    clearTimeout(timer);
  }
}

/** Builds statements: what fails here is a fault of the data, since D1 has not been asked yet. */
export function built<T>(what: string, build: () => T): T {
  try {
    return build();
  } catch (cause) {
    throw new StorageError(`${what}: ${messageOf(cause)}`, { cause, code: "storage_rejected" });
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
