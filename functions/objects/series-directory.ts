// The active series of one tenant's metric names, a share of them in each object: `${tenant}/${shard}` is its name. It
// is asked only for series that an isolate does not know; what is idle goes by an alarm each hour.
import { DurableObject } from "cloudflare:workers";
import type { NameAnswer, NameAsk, SeriesDirectoryCalls } from "../../lib/ingest/cardinality/directory.ts";
import { StoredSeries } from "../../lib/ingest/cardinality/stored-series.ts";
import { logger } from "../../lib/observability/logger.ts";

const SWEEP_INTERVAL_MS = 3_600_000;

/** A name has as many series as the limit allows; between two steps those who ask have their turn. */
const STEP_NAMES = 4;

export class SeriesDirectory extends DurableObject<Env> implements SeriesDirectoryCalls {
  readonly #series = new StoredSeries(this.ctx.storage);
  #isArmed = false;

  async admit(limit: number, asks: readonly NameAsk[]): Promise<NameAnswer[] | null> {
    try {
      const answers = this.#series.admit(limit, asks, Date.now());
      if (!this.#isArmed) await this.#arm();
      return answers;
    } catch (error) {
      logger.error("series_failed", { message: error instanceof Error ? error.message : String(error) });
      return null;
    }
  }

  override async alarm(): Promise<void> {
    this.#isArmed = false;
    const nowMs = Date.now();
    for (let name: string | undefined = ""; name !== undefined;) {
      name = this.#series.sweep(name, STEP_NAMES, nowMs);
      if (name !== undefined) await scheduler.wait(0);
    }
    if (!this.#series.isEmpty()) await this.#arm();
  }

  async #arm(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_INTERVAL_MS);
    }
    this.#isArmed = true;
  }
}
