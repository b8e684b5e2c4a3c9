// Sends what judgements left to be sent: to the topic of alerts and to notifiers, at least once, each under an id that
// never changes. Notifiers are served side by side: one that is down holds up neither the others nor any judgement.
import { deliver, MAX_ATTEMPTS, pauseMs, type DeliveryDeps, type Notifier } from "../lib/alerts/deliver.ts";
import { TOPIC_TARGET } from "../lib/alerts/judge.ts";
import { hostOf } from "../lib/alerts/notifier-url.ts";
import { NOTIFIER_KINDS } from "../lib/alerts/notifier.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { partitionOf } from "../lib/kafka/partitioner.ts";
import { produceRequests } from "../lib/kafka/request-size.ts";
import { alertsTopic } from "../lib/kafka/topics.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../lib/kafka/transport.ts";
import { logger } from "../lib/observability/logger.ts";
import { D1AlertState, type AlertOutboxRow } from "../lib/storage/d1-alert-state.ts";
import { D1Alerts, type StoredNotifier } from "../lib/storage/d1-alerts.ts";
import { deploymentOf } from "./deployment.ts";
import { openTransport } from "./transport.ts";

/** Rows of one target that are read at a time. */
const PAGE_ROWS = 50;

/** Kafka comes back: what is for the topic is not given up. */
const TOPIC_PAUSE_MS = 15_000;

/** What a notifier did not take for so long it is not told any more, whatever stood before it in the meantime. */
const GIVE_UP_MS = 2 * 3_600_000;

interface ForTopic {
  row: AlertOutboxRow;
  record: ProduceRecord;
}

export interface SendOptions extends Pick<DeliveryDeps, "fetch" | "now"> {
  random: () => number;
}

/** @returns how many arrived. @throws StorageError */
export async function sendAlerts(env: Env, tenant: string, options: SendOptions): Promise<number> {
  const state = new D1AlertState(env.DB);
  const rows = await state.due(tenant, options.now(), PAGE_ROWS);
  if (rows.length === 0) return 0;
  const notifiers = new Map((await new D1Alerts(env.DB).notifiers(tenant)).map((one) => [one.id, one]));
  const targets = [...new Set(rows.map(({ target }) => target))];
  const counts = await Promise.all(
    targets.map(async (target) => {
      const own = rows.filter((row) => row.target === target);
      if (target === TOPIC_TARGET) return await sendToTopic(env, tenant, own, state, options);
      return await sendToNotifier(env, tenant, notifiers.get(target), own, state, options);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function sendToNotifier(
  env: Env,
  tenant: string,
  notifier: StoredNotifier | undefined,
  rows: readonly AlertOutboxRow[],
  state: D1AlertState,
  { fetch, now, random }: SendOptions,
): Promise<number> {
  const { config } = deploymentOf(env);
  const deps: DeliveryDeps = {
    fetch,
    now,
    isDevelopment: config.ENVIRONMENT === "development",
    secret: webhookSecretOf(env),
  };
  let sent = 0;
  for (const row of rows) {
    const kind = NOTIFIER_KINDS.find((one) => one === notifier?.kind);
    if (!notifier || !kind) {
      await state.failed(tenant, row, "there is no such notifier", undefined);
      continue;
    }
    const target: Notifier = { ...notifier, kind };
    const delivered = await deliver(target, row.body, deps);
    if (delivered.ok) {
      await state.sent(tenant, row);
      sent++;
      continue;
    }
    const attempts = row.attempts + 1;
    const nowMs = now();
    const dropped = await state.failedWithRest(tenant, row, delivered.error, {
      dueMs: nowMs + pauseMs(attempts, random()),
      isLast: attempts >= MAX_ATTEMPTS,
      givenUpMs: nowMs - GIVE_UP_MS,
    });
    logger.warn(dropped > 0 ? "notification_dropped" : "notification_failed", {
      tenant,
      notifier: notifier.id,
      host: hostOf(notifier.url),
      attempts,
      dropped,
      message: delivered.error,
    });
    // The others would most likely fail alike, each after its deadline; their turn comes.
    break;
  }
  return sent;
}

async function sendToTopic(
  env: Env,
  tenant: string,
  rows: readonly AlertOutboxRow[],
  state: D1AlertState,
  { now }: SendOptions,
): Promise<number> {
  const deployment = deploymentOf(env);
  const topic = alertsTopic(deployment.naming);
  const transport = openTransport(env, deployment);
  let sent = 0;
  let fault: string | undefined;
  const failed: AlertOutboxRow[] = [];
  try {
    const count = await deployment.partitionCounts.of(transport, topic, now());
    const key = new TextEncoder().encode(tenant);
    const partition = partitionOf(key, count);
    const outgoing = rows.map((row): ForTopic => {
      return { row, record: { partition, key, value: new TextEncoder().encode(row.body) } };
    });
    for (const request of produceRequests(outgoing)) {
      const outcomes = await produce(transport, topic, request);
      for (const [i, { row }] of request.entries()) {
        const outcome = outcomes[i];
        if (outcome?.ok) {
          await state.sent(tenant, row);
          sent++;
        } else {
          fault ??= outcome?.error.message;
          failed.push(row);
        }
      }
    }
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
    failed.push(...rows.slice(sent + failed.length));
  } finally {
    await transport.close();
  }
  for (const row of failed) await state.failed(tenant, row, fault ?? "", now() + TOPIC_PAUSE_MS);
  if (fault !== undefined) logger.warn("alerts_not_produced", { tenant, topic, message: fault });
  return sent;
}

/** One that Kafka will never have must not keep the others from it. */
async function produce(
  transport: KafkaTransport,
  topic: string,
  request: readonly ForTopic[],
): Promise<ProduceOutcome[]> {
  try {
    return await transport.produce(
      topic,
      request.map(({ record }) => record),
    );
  } catch (error) {
    if (!(error instanceof KafkaError) || error.retryable) throw error;
    if (request.length === 1) return [{ ok: false, error }];
    if (error.code !== "too_large" && error.code !== "rejected") throw error;
    const half = Math.ceil(request.length / 2);
    const first = await produce(transport, topic, request.slice(0, half));
    return [...first, ...(await produce(transport, topic, request.slice(half)))];
  }
}

/** In development there is always one, so that webhooks can be tried. */
export function webhookSecretOf(env: Env): string | undefined {
  const { ALERT_WEBHOOK_SECRET, ENVIRONMENT } = deploymentOf(env).config;
  return ALERT_WEBHOOK_SECRET ?? (ENVIRONMENT === "development" ? "development" : undefined);
}
