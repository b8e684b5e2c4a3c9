// What every way into the intake goes through, whatever its protocol: quota, admission, body, decoding, identity, the
// rules of the edge, Kafka, and the answer in the protocol's own form. A protocol is an IntakeForm.
import { ACCEPTED_ENCODINGS, declaredBytes, readBody } from "../lib/http/body.ts";
import { produceMessages, type AcceptOutcome } from "../lib/ingest/accept.ts";
import { admission, type Ticket } from "../lib/ingest/admission.ts";
import { readClockSkew } from "../lib/ingest/clock-skew.ts";
import { contentBatch } from "../lib/ingest/idempotency.ts";
import type { EdgeCounts, EdgeRules, IntakeRequest, Prepared } from "../lib/ingest/prepared.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { PRODUCE_RETRY, systemTiming } from "../lib/kafka/retry.ts";
import { topicName } from "../lib/kafka/topics.ts";
import type { ProtocolLabel } from "../lib/observability/metric-names.ts";
import { logger } from "../lib/observability/logger.ts";
import { uuidv7 } from "../lib/telemetry/batch-id.ts";
import { MAX_IDEMPOTENCY_KEY_CHARS } from "../lib/telemetry/limits.ts";
import { ok, reject, type Rejection, type Result } from "../lib/telemetry/result.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { pokeOwners } from "./consume.ts";
import type { Deployment } from "./deployment.ts";
import { countProduced, edgeMetrics } from "./edge-metrics.ts";
import { claimKey } from "./idempotency.ts";
import { RequestQuota, type QuotaRefusal } from "./quota.ts";
import { addFacts } from "./request-log.ts";
import type { AppContext } from "./request-context.ts";
import { seriesDirectories } from "./series.ts";
import { openTransport } from "./transport.ts";

export interface IntakeForm<B> {
  protocol: ProtocolLabel;
  signal: Signal;
  /** The topic, where it is not the signal's raw one. */
  topic?(body: B, deployment: Deployment): Result<string>;
  /** The body as decoded from its transfer; HTTP's encodings unless said otherwise. */
  read?: (request: Request) => Promise<Result<Uint8Array>>;
  /** The encodings that `read` takes. */
  encodings?: string;
  decode(headers: Headers, bytes: Uint8Array): Result<B>;
  recordsIn(body: B): number;
  prepare(request: IntakeRequest, body: B, rules: EdgeRules): Promise<Prepared>;
  /** Its clients send the same bytes again and name no key: the batch is made of the body. */
  isBatchOfBody: boolean;
  answer(outcome: AcceptOutcome, body: B, about: { batch: string; requestId: string }): Response;
  /** The whole request is refused. @param subject what the rejection speaks of where it has no path */
  refuse(rejection: Rejection, headers: Record<string, string>, subject?: string): Response;
  unavailable(error: KafkaError): Response;
}

export async function runIntake<B>(c: AppContext, form: IntakeForm<B>): Promise<Response> {
  const principal = c.get("principal");
  const { protocol, signal } = form;
  addFacts(c, { protocol, signal });
  const tenantQuota = c.get("deployment").quotaOf(principal.tenant);
  const quota = new RequestQuota(c.env, c.executionCtx, principal, tenantQuota);
  const response = await admit(c, form, quota);
  for (const [name, value] of Object.entries(quota.headers())) response.headers.set(name, value);
  return response;
}

async function admit<B>(c: AppContext, form: IntakeForm<B>, quota: RequestQuota): Promise<Response> {
  const over = await quota.take({ requests: 1 });
  if (quota.isFailedOpen) edgeMetrics.count("weir_quota_failed_open_total", {});
  if (over) return overQuota(c, form, over);
  const ticket = admission.enter(declaredBytes(c.req.raw.headers));
  if (!ticket) return overloaded(c, form);
  try {
    return await take(c, form, quota, ticket);
  } finally {
    ticket.leave();
  }
}

/** Reads, decodes and identifies the request. */
async function take<B>(
  c: AppContext,
  form: IntakeForm<B>,
  quota: RequestQuota,
  ticket: Ticket,
): Promise<Response> {
  const { raw: request } = c.req;
  const { tenant } = c.get("principal");
  const { signal } = form;
  const receivedMs = Date.now();
  const key = readIdempotencyKey(request.headers);
  if (!key.ok) return refuse(c, form, key.error);
  const skewMs = readClockSkew(request.headers, new URL(request.url).searchParams, receivedMs);
  if (!skewMs.ok) return refuse(c, form, skewMs.error);
  if (skewMs.value !== 0) edgeMetrics.count("weir_clock_skew_corrected_total", {});

  const bytes = await (form.read ?? readBody)(request);
  if (!bytes.ok)
    return refuse(c, form, bytes.error, { "Accept-Encoding": form.encodings ?? ACCEPTED_ENCODINGS });
  if (!ticket.weigh(bytes.value.length)) return overloaded(c, form);
  addFacts(c, { bytesDecoded: bytes.value.length });
  const body = form.decode(request.headers, bytes.value);
  if (!body.ok) return refuse(c, form, body.error);
  const over = await quota.take({
    records: form.recordsIn(body.value),
    bytes: declaredBytes(request.headers) ?? bytes.value.length,
  });
  if (over) return overQuota(c, form, over);

  if (key.value !== undefined) {
    const claim = await claimKey(c.env, { tenant, signal, key: key.value, body: bytes.value });
    if (claim === "unknown") edgeMetrics.count("weir_idempotency_unknown_total", {});
    if (claim === "different") {
      const { error } = reject("idempotency_conflict", "Idempotency-Key", "has stood for another body");
      return refuse(c, form, error);
    }
  }
  const batch = key.value ?? (form.isBatchOfBody ? contentBatch(tenant, bytes.value) : newBatch(receivedMs));
  const about = { tenant, batch, receivedMs, skewMs: skewMs.value, bodyBytes: bytes.value.length };
  return await accept(c, form, body.value, about);
}

/** Behind decoding: to Kafka, and the verdicts into the answer. */
async function accept<B>(
  c: AppContext,
  form: IntakeForm<B>,
  body: B,
  about: Omit<IntakeRequest, "partitions" | "carriesText">,
): Promise<Response> {
  const deployment = c.get("deployment");
  const topic = form.topic?.(body, deployment) ?? ok(topicName(deployment.naming, form.signal, "raw"));
  if (!topic.ok) return refuse(c, form, topic.error);
  const transport = countProduced(openTransport(c.env, deployment));
  try {
    const outcome = await writeRecords(
      c.env,
      deployment,
      transport,
      topic.value,
      (partitions, rules, carriesText) => form.prepare({ ...about, partitions, carriesText }, body, rules),
    );
    c.executionCtx.waitUntil(pokeOwners(c.env, outcome.grown));
    noteVerdicts(c, outcome);
    return form.answer(outcome, body, { batch: about.batch, requestId: c.get("requestId") });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    logKafkaError(c, error);
    return form.unavailable(error);
  } finally {
    c.executionCtx.waitUntil(transport.close());
  }
}

/**
 * The last part of the way, which records that came by no request take, too.
 * @throws KafkaError when not even the partition count is known: nothing was written
 */
export async function writeRecords(
  env: Env,
  deployment: Deployment,
  transport: KafkaTransport,
  topic: string,
  prepare: (partitions: number, rules: EdgeRules, carriesText: boolean) => Promise<Prepared>,
): Promise<AcceptOutcome> {
  const partitions = await deployment.partitionCounts.of(transport, topic, Date.now());
  deployment.carriesText ??= (await transport.capabilities()).values === "text";
  const rules = {
    ...deployment.edge,
    series: { ...deployment.edge.series, directories: seriesDirectories(env) },
  };
  const prepared = await prepare(partitions, rules, deployment.carriesText);
  countEdge(prepared.counts, rules.series.options.mode);
  return await produceMessages(prepared, {
    transport,
    topic,
    partitions,
    retry: PRODUCE_RETRY,
    timing: systemTiming,
  });
}

function countEdge({ scrubbed, seriesOver, seriesUnasked }: EdgeCounts, mode: string): void {
  if (seriesOver > 0) edgeMetrics.count("weir_series_folded_total", { mode }, seriesOver);
  if (seriesUnasked > 0) edgeMetrics.count("weir_series_unchecked_total", {}, seriesUnasked);
  scrubbed.forEach((count, rule) => {
    if (count > 0) edgeMetrics.count("weir_scrubbed_total", { rule: String(rule) }, count);
  });
}

function noteVerdicts(c: AppContext, { verdicts }: AcceptOutcome): void {
  const rejections = new Map<string, number>();
  let accepted = 0;
  let rejected = 0;
  let failure: KafkaError | undefined;
  for (const verdict of verdicts) {
    if (verdict.status === "ok") accepted++;
    else if (verdict.status === "retry") failure ??= verdict.error;
    else {
      rejected++;
      const { reason } = verdict.rejection;
      rejections.set(reason, (rejections.get(reason) ?? 0) + 1);
    }
  }
  addFacts(c, { accepted, rejected, retry: verdicts.length - accepted - rejected, rejections });
  if (failure) logKafkaError(c, failure);
}

function logKafkaError(c: AppContext, { code, message }: KafkaError): void {
  logger.error("produce_failed", { request_id: c.get("requestId"), code, message });
}

function refuse<B>(
  c: AppContext,
  form: IntakeForm<B>,
  rejection: Rejection,
  headers: Record<string, string> = {},
  subject?: string,
): Response {
  addFacts(c, { reason: rejection.reason });
  return form.refuse(rejection, headers, subject);
}

function overQuota<B>(c: AppContext, form: IntakeForm<B>, refusal: QuotaRefusal): Response {
  edgeMetrics.count("weir_quota_refused_total", {});
  return refuse(c, form, refusal, {}, "The quota");
}

function overloaded<B>(c: AppContext, form: IntakeForm<B>): Response {
  const { error } = reject(
    "overloaded",
    "",
    "has as many bytes in hand as it can hold; send the request again",
  );
  return refuse(c, form, error, { "Retry-After": "1" }, "The intake");
}

function newBatch(nowMs: number): string {
  return uuidv7(nowMs, crypto.getRandomValues(new Uint8Array(16)));
}

/** The batch is the client's Idempotency-Key, where it sends one. */
function readIdempotencyKey(headers: Headers): Result<string | undefined> {
  const key = headers.get("idempotency-key");
  if (key === null) return ok(undefined);
  if (!/^[\u0020-\u007e]+$/.test(key) || key.length > MAX_IDEMPOTENCY_KEY_CHARS) {
    return reject(
      "invalid_header",
      "Idempotency-Key",
      `must be 1 to ${MAX_IDEMPOTENCY_KEY_CHARS} printable ASCII characters`,
    );
  }
  return ok(key);
}
