// The intake: POST /api/v1/logs, /api/v1/metrics (alias /metrics), /api/v1/events.
import { Hono } from "hono";
import { readBody, ACCEPTED_ENCODINGS } from "../lib/http/body.ts";
import { acceptRecords } from "../lib/ingest/accept.ts";
import { answerIntake, kafkaUnavailable } from "./intake-answer.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { PRODUCE_RETRY, systemTiming } from "../lib/kafka/retry.ts";
import { topicName } from "../lib/kafka/topics.ts";
import { logger } from "../lib/observability/logger.ts";
import { uuidv7 } from "../lib/telemetry/batch-id.ts";
import { MAX_IDEMPOTENCY_KEY_CHARS } from "../lib/telemetry/limits.ts";
import { decodeNativeBody } from "../lib/telemetry/native.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import type { NativeSignal } from "../lib/telemetry/signal.ts";
import { pokeOwners } from "./consume.ts";
import { refuse, requireScope, type AppContext, type AppEnv } from "./request-context.ts";
import { openTransport } from "./transport.ts";

export const ingest = new Hono<AppEnv>();

ingest.post("/api/v1/logs", requireScope("ingest"), (c) => intake(c, "logs"));
ingest.post("/api/v1/metrics", requireScope("ingest"), (c) => intake(c, "metrics"));
ingest.post("/metrics", requireScope("ingest"), (c) => intake(c, "metrics"));
ingest.post("/api/v1/events", requireScope("ingest"), (c) => intake(c, "events"));

async function intake(c: AppContext, signal: NativeSignal): Promise<Response> {
  const requestId = c.get("requestId");
  const deployment = c.get("deployment");
  const { config, naming, partitionCounts } = deployment;
  const receivedMs = Date.now();
  const batch = batchOf(c.req.header("idempotency-key"), receivedMs);
  if (!batch.ok) return refuse(c, batch.error);
  const bytes = await readBody(c.req.raw);
  if (!bytes.ok) return refuse(c, bytes.error, { "Accept-Encoding": ACCEPTED_ENCODINGS });
  const body = decodeNativeBody(signal, c.req.raw.headers, bytes.value);
  if (!body.ok) return refuse(c, body.error);

  const transport = openTransport(c.env, deployment);
  const { tenant } = c.get("principal");
  try {
    const outcome = await acceptRecords(
      { tenant, signal, body: body.value, batch: batch.value, receivedMs },
      {
        transport,
        partitionCount: (topic) => partitionCounts.of(transport, topic, receivedMs),
        topic: topicName(naming, signal, "raw"),
        keyStrategy: config.KEY_STRATEGY,
        retry: PRODUCE_RETRY,
        timing: systemTiming,
      },
    );
    c.executionCtx.waitUntil(pokeOwners(c.env, outcome.grown));
    const failed = outcome.verdicts.find((verdict) => verdict.status === "retry");
    if (failed) logKafkaError(failed.error, requestId);
    return answerIntake(outcome, {
      batch: batch.value,
      requestId,
      listAll: c.req.query("results") === "all",
    });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    logKafkaError(error, requestId);
    return kafkaUnavailable(error, requestId);
  } finally {
    c.executionCtx.waitUntil(transport.close());
  }
}

function logKafkaError(error: KafkaError, requestId: string): void {
  logger.error("produce_failed", { request_id: requestId, code: error.code, message: error.message });
}

/** The batch is the client's Idempotency-Key, where it sends one. */
function batchOf(key: string | undefined, nowMs: number): Result<string> {
  if (key === undefined) return ok(uuidv7(nowMs, crypto.getRandomValues(new Uint8Array(16))));
  if (!/^[\u0020-\u007e]+$/.test(key) || key.length > MAX_IDEMPOTENCY_KEY_CHARS) {
    return reject(
      "invalid_header",
      "Idempotency-Key",
      `must be 1 to ${MAX_IDEMPOTENCY_KEY_CHARS} printable ASCII characters`,
    );
  }
  return ok(key);
}
