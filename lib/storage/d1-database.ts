// The part of Cloudflare's D1 that Weir uses, as an interface of its own: lib/ does not depend on the runtime's
// types. `batch` is one transaction (developers.cloudflare.com/d1/worker-api/d1-database/#batch).
import { StorageError } from "./storage.ts";

export type D1Value = string | number | null;

export interface D1Statement {
  bind(...values: D1Value[]): D1Statement;
  all(): Promise<{ results: Record<string, D1Value>[] }>;
}

export interface D1 {
  prepare(sql: string): D1Statement;
  batch(statements: D1Statement[]): Promise<unknown>;
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
    throw new StorageError(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
