// Counts what the edge has accepted: one shard of the isolates' sums, apart from the log that the ledger holds them
// against. Every method answers with a result, never by throwing; a delivery that comes twice is added once.
import { DurableObject } from "cloudflare:workers";
import { StoredAcceptance } from "../../lib/ingest/acceptance/stored-acceptance.ts";
import type { AcceptanceDelivery, Opening } from "../../lib/ingest/acceptance/tally.ts";
import type { AcceptanceTotals } from "../../lib/ingest/acceptance/totals.ts";
import { logger } from "../../lib/observability/logger.ts";

type Answer<T> = { ok: true; value: T } | { ok: false; message: string };

export class AcceptanceShard extends DurableObject<Env> {
  readonly #stored = new StoredAcceptance(this.ctx.storage);

  // Async, though nothing in them waits: what they wrote is on disk before the answer leaves (the output gate).
  async open(opening: Opening): Promise<Answer<null>> {
    return answer(() => {
      this.#stored.open(opening, Date.now());
      return null;
    });
  }

  async deliver(delivery: AcceptanceDelivery): Promise<Answer<"added" | "repeated" | "refused">> {
    return answer(() => this.#stored.deliver(delivery, Date.now()));
  }

  /** @param tenant null: of all tenants */
  async read(tenant: string | null): Promise<Answer<AcceptanceTotals>> {
    return answer(() => this.#stored.read(tenant ?? undefined, Date.now()));
  }
}

function answer<T>(call: () => T): Answer<T> {
  try {
    return { ok: true, value: call() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.error("acceptance_failed", { message });
    return { ok: false, message };
  }
}
