// Weir's own JSON forms, NDJSON and CloudEvents: POST /api/v1/logs, /api/v1/metrics, /api/v1/events. And /kafka/publish,
// which takes one event and says where it lies.
import type { Verdict } from "../lib/ingest/prepared.ts";
import { prepareRecords, type RecordsBody } from "../lib/ingest/prepare-records.ts";
import { topicName } from "../lib/kafka/topics.ts";
import { isCloudEvents } from "../lib/telemetry/cloudevents.ts";
import { decodeNativeBody } from "../lib/telemetry/native.ts";
import { isPlainObject } from "../lib/telemetry/record.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import type { NativeSignal } from "../lib/telemetry/signal.ts";
import type { Deployment } from "./deployment.ts";
import type { IntakeForm } from "./intake.ts";
import { answerIntake, notDurable, refusal } from "./intake-answer.ts";

export function jsonForm(
  signal: NativeSignal,
  headers: Headers,
  requestId: string,
  listAll: boolean,
): IntakeForm<RecordsBody> {
  return {
    protocol: signal === "events" && isCloudEvents(headers) ? "cloudevents" : "json",
    signal,
    isBatchOfBody: false,
    decode(requestHeaders, bytes) {
      const body = decodeNativeBody(signal, requestHeaders, bytes);
      return body.ok ? ok({ ...body.value, signal }) : body;
    },
    recordsIn: ({ records }) => records.length,
    prepare: prepareRecords,
    answer: (verdicts, _, { batch }) => answerIntake(verdicts, { batch, requestId, listAll }),
    refuse: refusal(requestId),
    unavailable: (verdict) => notDurable(verdict, requestId),
  };
}

interface PublishBody extends RecordsBody {
  /** As asked for; undefined: the raw events topic. */
  topic: string | undefined;
}

/** One event in, its place out. */
export function publishForm(requestId: string): IntakeForm<PublishBody> {
  return {
    protocol: "publish",
    signal: "events",
    isBatchOfBody: false,
    topic: ({ topic }, deployment) => allowedTopic(topic, deployment),
    decode(headers, bytes) {
      const body = decodeNativeBody("events", headers, bytes);
      return body.ok ? publishBody(body.value.records) : body;
    },
    recordsIn: () => 1,
    prepare: prepareRecords,
    answer: (verdicts, body, { batch }) => answerPublish(verdicts, body, batch, requestId),
    refuse: refusal(requestId),
    unavailable: (verdict) => notDurable(verdict, requestId),
  };
}

function publishBody(records: Result<unknown>[]): Result<PublishBody> {
  const [record, ...others] = records;
  if (record === undefined || others.length > 0) return reject("wrong_type", "", "must be one event");
  if (!record.ok) return record;
  if (!isPlainObject(record.value)) return reject("not_an_object", "", "must be one event");
  const { topic, ...event } = record.value;
  if (topic !== undefined && typeof topic !== "string")
    return reject("wrong_type", "topic", "must be a text");
  return ok({ signal: "events", records: [ok(event)], agentVersion: undefined, topic });
}

function allowedTopic(asked: string | undefined, { config, naming }: Deployment): Result<string> {
  const raw = topicName(naming, "events", "raw");
  const allowed = config.PUBLISH_TOPICS ?? [raw];
  const topic = asked ?? raw;
  if (allowed.includes(topic)) return ok(topic);
  return reject("topic_not_allowed", "topic", "is not one that may be published to (PUBLISH_TOPICS)");
}

function answerPublish(
  verdicts: readonly Verdict[],
  { records: [record] }: PublishBody,
  batch: string,
  requestId: string,
): Response {
  const [verdict] = verdicts;
  if (verdict?.status !== "ok" && verdict?.status !== "spilled")
    return answerIntake(verdicts, { batch, requestId, listAll: false });
  const { topic } = verdict;
  const event = record?.ok ? record.value : null;
  // What is kept has no place in the log yet.
  const { partition, offset } = verdict.status === "ok" ? verdict : { partition: null, offset: null };
  return Response.json({ status: "success", message: "Published", event, topic, partition, offset });
}
