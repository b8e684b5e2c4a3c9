// Totals of what the isolates counted, one shard of them. Every method answers with a result, never by throwing; a
// delivery that comes twice is added once.
import { DurableObject } from "cloudflare:workers";
import type { Counts } from "../../lib/observability/counts.ts";
import type { Flush } from "../../lib/observability/flusher.ts";
import { logger } from "../../lib/observability/logger.ts";
import { StoredTotals } from "../../lib/observability/stored-totals.ts";

export interface ShardTotals {
  counts: Counts;
  /** That gave something within the last hour. */
  isolates: number;
}

type Answer<T> = { ok: true; value: T } | { ok: false; message: string };

export class EdgeCounters extends DurableObject<Env> {
  readonly #totals = new StoredTotals(this.ctx.storage);

  async merge(flush: Flush): Promise<Answer<{ isNew: boolean }>> {
    return answer(() => ({ isNew: this.#totals.merge(flush, Date.now()) }));
  }

  async read(): Promise<Answer<ShardTotals>> {
    return answer(() => ({
      counts: this.#totals.totals(),
      isolates: this.#totals.isolates(Date.now()),
    }));
  }
}

function answer<T>(call: () => T): Answer<T> {
  try {
    return { ok: true, value: call() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.error("edge_counters_failed", { message });
    return { ok: false, message };
  }
}
