// The last part of the intake's way, which records that came by no request take, too: the rules of the edge, Kafka or
// the spillway, and the account of what was accepted.
import {
  produceMessages,
  RETRY_BEFORE_SPILL,
  type AcceptOutcome,
  type ProduceDeps,
} from "../lib/ingest/accept.ts";
import type { EdgeCounts, EdgeRules, IntakeRequest, Prepared } from "../lib/ingest/prepared.ts";
import { carriesText } from "../lib/kafka/create-transport.ts";
import { UntoldCalls } from "../lib/kafka/breaker.ts";
import type { KafkaClusterState } from "../lib/kafka/cluster-state.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { PRODUCE_RETRY, systemTiming } from "../lib/kafka/retry.ts";
import { within } from "../lib/kafka/timer.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { Acceptance } from "./acceptance.ts";
import { clusterOf } from "./cluster.ts";
import type { Deployment } from "./deployment.ts";
import { edgeMetrics } from "./edge-metrics.ts";
import { seriesDirectories } from "./series.ts";
import { spillPort } from "./spill.ts";

/** Of this isolate: what goes well is no news while all is well, but it is beside a failure. */
const untold = new UntoldCalls();

/** What asking for a topic's partitions may take where the spillway can do without. */
const COUNT_DEADLINE_MS = 2_000;

export interface Destination {
  env: Env;
  context: Pick<ExecutionContext, "waitUntil">;
  deployment: Deployment;
  transport: KafkaTransport;
  topic: string;
  tenant: string;
  signal: Signal;
  receivedMs: number;
  state: KafkaClusterState;
}

/** What records are prepared by. */
export interface Way {
  /** Of the topic; or why they are not known: then all goes into the spillway. */
  partitions: number | KafkaError;
  rules: EdgeRules;
  /** What the request is told of it. */
  limits: Pick<IntakeRequest, "partitions" | "carriesText">;
}

/** @throws KafkaError when the partition count is not known, and there is no spillway that could do without it */
export async function wayTo(destination: Destination): Promise<Way> {
  const { env, deployment } = destination;
  const rules = {
    ...deployment.edge,
    series: { ...deployment.edge.series, directories: seriesDirectories(env) },
  };
  const partitions = await partitionsOf(destination);
  const count = typeof partitions === "number" ? partitions : 1;
  return { partitions, rules, limits: { partitions: count, carriesText: carriesText(deployment.config) } };
}

async function partitionsOf({
  deployment,
  transport,
  topic,
  state,
}: Destination): Promise<number | KafkaError> {
  const { config, partitionCounts } = deployment;
  const nowMs = Date.now();
  const known = partitionCounts.known(topic, nowMs);
  if (known && (!known.isDue || (config.SPILL === "on" && state.breaker !== "closed"))) return known.count;
  const asked = () => partitionCounts.of(transport, topic, nowMs);
  if (config.SPILL === "off") return await asked();
  if (state.breaker !== "closed") {
    const error = new KafkaError("unavailable", "not asked: Kafka was away a moment ago");
    if (isRead(deployment, topic)) return error;
    // Any other topic may not be there at all, and what is kept for it would never leave.
    throw error;
  }
  try {
    const late = () => new KafkaError("timeout", `no partitions of ${topic} within ${COUNT_DEADLINE_MS} ms`);
    return await within(COUNT_DEADLINE_MS, asked(), late);
  } catch (error) {
    if (!(error instanceof KafkaError) || !error.retryable) throw error;
    return known?.count ?? error;
  }
}

export async function writeRecords(
  destination: Destination,
  { partitions, rules }: Way,
  prepared: Prepared,
): Promise<AcceptOutcome> {
  const { env, context, deployment, transport, topic, tenant, signal, receivedMs, state } = destination;
  countEdge(prepared.counts, rules.series.options.mode);
  const isSpilling = deployment.config.SPILL === "on";
  // Nothing else is read and stored, so nothing else is in the ledger.
  const isCounted = isRead(deployment, topic) && prepared.messages.length > 0;
  const deps: ProduceDeps = {
    transport,
    topic,
    isCounted,
    partitions,
    tenant,
    signal,
    receivedMs,
    spill: isSpilling ? { port: spillPort(env, deployment), state } : undefined,
    retry: isSpilling ? RETRY_BEFORE_SPILL : PRODUCE_RETRY,
    timing: systemTiming,
  };
  const outcome = isCounted
    ? await counted(destination, prepared, deps)
    : await produceMessages(prepared, deps);
  if (outcome.spilled > 0) edgeMetrics.count("weir_records_spilled_total", { signal }, outcome.spilled);
  if (isSpilling) {
    const { ok, failed } = outcome.calls;
    const isUnknown = partitions instanceof KafkaError && state.breaker === "closed";
    const calls = { ok, failed: failed + (isUnknown ? 1 : 0) };
    const report = untold.reportOf(calls, state.breaker === "closed", Date.now());
    if (report) context.waitUntil(clusterOf(env).report(report));
  }
  return outcome;
}

function isRead({ rawTopics }: Deployment, topic: string): boolean {
  return rawTopics.has(topic);
}

/** The answer waits for the account, which is opened while the records are written. */
async function counted(
  { env, context, tenant, signal }: Destination,
  prepared: Prepared,
  deps: ProduceDeps,
): Promise<AcceptOutcome> {
  const acceptance = new Acceptance(env, (promise) => context.waitUntil(promise));
  const records = prepared.records - prepared.rejections.size;
  const begun = acceptance.begin({ tenant, signal, records });
  try {
    const outcome = await produceMessages(prepared, deps);
    const { accepted, unconfirmed } = outcome;
    acceptance.note({ tenant, signal, accepted, unconfirmed });
    return outcome;
  } finally {
    await begun;
    await acceptance.settle();
  }
}

function countEdge({ scrubbed, seriesOver, seriesUnasked }: EdgeCounts, mode: string): void {
  if (seriesOver > 0) edgeMetrics.count("weir_series_folded_total", { mode }, seriesOver);
  if (seriesUnasked > 0) edgeMetrics.count("weir_series_unchecked_total", {}, seriesUnasked);
  scrubbed.forEach((count, rule) => {
    if (count > 0) edgeMetrics.count("weir_scrubbed_total", { rule: String(rule) }, count);
  });
}
