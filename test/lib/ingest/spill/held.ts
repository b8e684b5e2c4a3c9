// A queue of the spillway in a Durable Object of its own, and messages to put into it.
import { env, runInDurableObject } from "cloudflare:test";
import type { SpillMessage } from "../../../../lib/ingest/spill/spill-port.ts";
import { StoredQueue } from "../../../../lib/ingest/spill/stored-queue.ts";
import type { SqlStore } from "../../../../lib/kafka/embedded/sql-store.ts";

const utf8 = new TextEncoder();

export function message(key: string, value: string, more: Partial<SpillMessage> = {}): SpillMessage {
  return {
    topic: "logs.raw",
    key: utf8.encode(key),
    value: utf8.encode(value),
    tenant: "acme",
    signal: "logs",
    records: 1,
    receivedMs: 1_000,
    ...more,
  };
}

/** Runs with a queue that nothing else drains. */
export async function withQueue<T>(run: (queue: StoredQueue, store: SqlStore) => Promise<T> | T): Promise<T> {
  const stub = env.SPILLWAY.getByName(`queue-${crypto.randomUUID()}`);
  return await runInDurableObject(
    stub,
    async (_, { storage }) => await run(new StoredQueue(storage), storage),
  );
}
