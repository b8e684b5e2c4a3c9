// What every way into the intake goes through, whatever its protocol: quota, admission, body, decoding, identity, the
// rules of the edge, Kafka, and the answer in the protocol's own form. A protocol is an IntakeForm.
import { ACCEPTED_ENCODINGS, declaredBytes, readBody } from "../lib/http/body.ts";
import { kafkaMissed, type AcceptOutcome } from "../lib/ingest/accept.ts";
import { admission, type Ticket } from "../lib/ingest/admission.ts";
import { readClockSkew } from "../lib/ingest/clock-skew.ts";
import { contentBatch, keyedBatch } from "../lib/ingest/idempotency.ts";
import type { EdgeRules, IntakeRequest, NotDurable, Prepared, Verdict } from "../lib/ingest/prepared.ts";
import type { KafkaClusterState } from "../lib/kafka/cluster-state.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { topicName } from "../lib/kafka/topics.ts";
import type { ProtocolLabel } from "../lib/observability/metric-names.ts";
import { logger } from "../lib/observability/logger.ts";
import { uuidv7 } from "../lib/telemetry/batch-id.ts";
import { MAX_IDEMPOTENCY_KEY_CHARS } from "../lib/telemetry/limits.ts";
import { ok, reject, type Rejection, type Result } from "../lib/telemetry/result.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { knownState } from "./cluster.ts";
import { pokeOwners } from "./consume.ts";
import type { Deployment } from "./deployment.ts";
import { countProduced, edgeMetrics } from "./edge-metrics.ts";
import { claimKey, type ClaimRequest } from "./idempotency.ts";
import { RequestQuota, type QuotaRefusal } from "./quota.ts";
import { addFacts } from "./request-log.ts";
import type { AppContext } from "./request-context.ts";
import { openTransport } from "./transport.ts";
import { wayTo, writeRecords, type Destination } from "./write-records.ts";

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
  answer(verdicts: readonly Verdict[], body: B, about: { batch: string; requestId: string }): Response;
  /** The whole request is refused. @param subject what the rejection speaks of where it has no path */
  refuse(rejection: Rejection, headers: Record<string, string>, subject?: string): Response;
  /** Nothing of it is durable. */
  unavailable(missed: NotDurable): Response;
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

  const batch =
    key.value !== undefined
      ? keyedBatch(key.value, bytes.value)
      : form.isBatchOfBody
        ? contentBatch(tenant, bytes.value)
        : newBatch(receivedMs);
  const isNamed = key.value !== undefined || form.isBatchOfBody;
  const attempt = isNamed ? newAttempt() : 0;
  const about = { tenant, batch, attempt, receivedMs, skewMs: skewMs.value, bodyBytes: bytes.value.length };
  const claim = key.value === undefined ? undefined : { tenant, signal, key: key.value, body: bytes.value };
  return await accept(c, form, body.value, { about, claim, state: knownState(quota.state) });
}

interface Decoded extends Pick<Destination, "state"> {
  about: Omit<IntakeRequest, "partitions" | "carriesText">;
  /** Undefined: the client has named no key. */
  claim: ClaimRequest | undefined;
}

/** Behind decoding: to Kafka or what stands in for it, and the verdicts into the answer. */
async function accept<B>(
  c: AppContext,
  form: IntakeForm<B>,
  body: B,
  { about, claim, state }: Decoded,
): Promise<Response> {
  const { env, executionCtx: context } = c;
  const { tenant, receivedMs, batch } = about;
  const { signal } = form;
  const deployment = c.get("deployment");
  const topic = form.topic?.(body, deployment) ?? ok(topicName(deployment.naming, signal, "raw"));
  if (!topic.ok) return refuse(c, form, topic.error);
  const transport = countProduced(openTransport(env, deployment));
  try {
    const destination: Destination = {
      env,
      context,
      deployment,
      transport,
      topic: topic.value,
      tenant,
      signal,
      receivedMs,
      state,
    };
    const way = await wayTo(destination);
    const prepared = await form.prepare({ ...about, ...way.limits }, body, way.rules);
    // Only now, so that a request of which no record is good leaves its key to the one that is corrected.
    if (claim && prepared.messages.length > 0 && (await isTaken(env, claim))) {
      const { error } = reject("idempotency_conflict", "Idempotency-Key", "has stood for another body");
      return refuse(c, form, error);
    }
    const outcome = await writeRecords(destination, way, prepared);
    context.waitUntil(pokeOwners(env, outcome.grown));
    noteVerdicts(c, outcome, state);
    return form.answer(outcome.verdicts, body, { batch, requestId: c.get("requestId") });
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    logKafkaError(c, error);
    return form.unavailable(kafkaMissed(error));
  } finally {
    c.executionCtx.waitUntil(transport.close());
  }
}

/** By another body. */
async function isTaken(env: Env, request: ClaimRequest): Promise<boolean> {
  const claim = await claimKey(env, request);
  if (claim === "unknown") edgeMetrics.count("weir_idempotency_unknown_total", {});
  return claim === "different";
}

function noteVerdicts(c: AppContext, outcome: AcceptOutcome, { breaker }: KafkaClusterState): void {
  const { verdicts, accepted, spilled, failure } = outcome;
  const rejections = new Map<string, number>();
  let rejected = 0;
  for (const verdict of verdicts) {
    if (verdict.status !== "rejected") continue;
    rejected++;
    const { reason } = verdict.rejection;
    rejections.set(reason, (rejections.get(reason) ?? 0) + 1);
  }
  const retry = verdicts.length - accepted - rejected;
  addFacts(c, { accepted, rejected, retry, rejections, ...(spilled > 0 ? { spilled } : {}) });
  // While it is known to be away, only what is lost to it is worth a line.
  if (failure && (breaker === "closed" || retry > 0)) logKafkaError(c, failure);
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

/** A random number of 48 bits, above 0. */
function newAttempt(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 2 ** 16) * 2 ** 32 + low || 1;
}

/** The batch is made of it and the body, where the client sends one. */
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
