// Judges the alert rules of one tenant (its name), or of the deployment, by alarm while there are any. Sending goes on
// beside it: a notifier that hangs delays no judgement. Should two of it ever run, the store records one judgement.
import { DurableObject } from "cloudflare:workers";
import { ProduceLatency } from "../../lib/alerts/produce-latency.ts";
import { logger } from "../../lib/observability/logger.ts";
import { sendAlerts } from "../alert-delivery.ts";
import { judgeTenant } from "../alert-tick.ts";
import { deploymentOf } from "../deployment.ts";

/** An alarm this long overdue is taken for lost. */
const LOST_ALARM_MS = 60_000;

export class AlertOwner extends DurableObject<Env> {
  readonly #latency = new ProduceLatency();
  #wakes = 0;
  #sending: Promise<void> | undefined;

  /** Judges soon, and from then on. */
  async wake(tenant: string): Promise<void> {
    this.#wakes++;
    if (this.ctx.storage.kv.get("tenant") !== tenant) this.ctx.storage.kv.put("tenant", tenant);
    const nowMs = Date.now();
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > nowMs + this.#tickMs() || armedMs < nowMs - LOST_ALARM_MS)
      await this.ctx.storage.setAlarm(nowMs);
  }

  override async alarm(): Promise<void> {
    const tenant = this.ctx.storage.kv.get<string>("tenant");
    if (tenant === undefined || deploymentOf(this.env).config.ALERTING === "off") return;
    const wakes = this.#wakes;
    // Before the work: it goes on whatever becomes of this one.
    await this.ctx.storage.setAlarm(Date.now() + this.#tickMs());
    try {
      const { hasRules } = await judgeTenant(this.env, tenant, {
        nowMs: Date.now(),
        latency: this.#latency,
        context: this.ctx,
      });
      this.#send(tenant);
      // The cron wakes whoever still has something to send.
      if (!hasRules && wakes === this.#wakes) await this.ctx.storage.deleteAlarm();
    } catch (error) {
      logger.error("alerts_not_judged", { tenant, message: messageOf(error) });
    }
  }

  /** One at a time, and nobody waits for it. */
  #send(tenant: string): void {
    this.#sending ??= (async () => {
      try {
        const options = {
          fetch: async (url: string, init: RequestInit) => await fetch(url, init),
          now: Date.now,
          random: Math.random,
        };
        while ((await sendAlerts(this.env, tenant, options)) > 0);
      } catch (error) {
        logger.error("alerts_not_sent", { tenant, message: messageOf(error) });
      } finally {
        this.#sending = undefined;
      }
    })();
    this.ctx.waitUntil(this.#sending);
  }

  #tickMs(): number {
    return deploymentOf(this.env).config.ALERT_TICK_MS;
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
