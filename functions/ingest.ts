// The intake's routes. What each protocol takes and answers is a form (json-intake.ts, otlp.ts, remote-write.ts); the way
// they share is intake.ts.
import { Hono } from "hono";
import {
  acceptedShape,
  eventsBody,
  intakeHeadersShape,
  intakeQueryShape,
  logsBody,
  metricsBody,
  otlpAnswerShape,
  otlpRequestShape,
  otlpStatusShape,
  publishedShape,
  publishInputShape,
} from "../lib/http/intake-shape.ts";
import { OTLP_SIGNALS } from "../lib/telemetry/otlp/request.ts";
import type { NativeSignal } from "../lib/telemetry/signal.ts";
import { defineRoute } from "./define-route.ts";
import { runIntake } from "./intake.ts";
import { jsonForm, publishForm } from "./json-intake.ts";
import { otlpForm } from "./otlp.ts";
import { remoteWriteForm } from "./remote-write.ts";
import type { AppContext, AppEnv } from "./request-context.ts";

export const ingest = new Hono<AppEnv>();

const QUOTA_HEADERS = ["RateLimit", "RateLimit-Policy"] as const;

const json = (c: AppContext, signal: NativeSignal) =>
  runIntake(c, jsonForm(signal, c.req.raw.headers, c.get("requestId"), c.req.query("results") === "all"));

for (const { name, path, signal, content, summary } of [
  { name: "sendLogs", path: "/api/v1/logs", signal: "logs", content: logsBody, summary: "Logs" },
  {
    name: "sendMetrics",
    path: "/api/v1/metrics",
    signal: "metrics",
    content: metricsBody,
    summary: "Metrics",
  },
  {
    name: "postMetrics",
    path: "/metrics",
    signal: "metrics",
    content: metricsBody,
    summary: "Metrics, at another path",
  },
  {
    name: "sendEvents",
    path: "/api/v1/events",
    signal: "events",
    content: eventsBody,
    summary: "Events, and CloudEvents 1.0 in all three HTTP forms",
  },
] as const) {
  defineRoute(
    ingest,
    {
      name,
      method: "post",
      path,
      scope: "ingest",
      signal,
      tag: "Intake",
      summary,
      query: intakeQueryShape,
      headers: intakeHeadersShape,
      body: {
        content,
        description: "At most 5 MiB as sent, gzip or deflate, 10 MiB decoded, 10,000 records.",
      },
      answers: {
        202: { description: "All records are durable", content: acceptedShape, headers: QUOTA_HEADERS },
        207: {
          description: "Some are; `results` tells of the others",
          content: acceptedShape,
          headers: QUOTA_HEADERS,
        },
      },
      problems: [422],
    },
    (c) => json(c, signal),
  );
}

defineRoute(
  ingest,
  {
    name: "publish",
    method: "post",
    path: "/kafka/publish",
    scope: "ingest",
    signal: "events",
    tag: "Intake",
    summary: "One event to a topic that is allowed, and where it lies",
    headers: intakeHeadersShape,
    body: { content: publishInputShape },
    answers: { 200: { description: "It is durable", content: publishedShape, headers: QUOTA_HEADERS } },
    problems: [422],
  },
  (c) => runIntake(c, publishForm(c.get("requestId"))),
);

for (const signal of OTLP_SIGNALS) {
  const either = { "application/x-protobuf": "binary", "application/json": otlpRequestShape } as const;
  defineRoute(
    ingest,
    {
      name: `otlp${signal[0]?.toUpperCase()}${signal.slice(1)}`,
      method: "post",
      path: `/v1/${signal}`,
      scope: "ingest",
      signal,
      tag: "Intake",
      summary: `OTLP/HTTP 1.x: ${signal}`,
      description: "Errors are google.rpc.Status in the request's content type.",
      headers: intakeHeadersShape,
      body: { content: either },
      answers: {
        200: {
          description: "Every record is durable, but for those that `partial_success` counts",
          content: { "application/x-protobuf": "binary", "application/json": otlpAnswerShape },
          headers: QUOTA_HEADERS,
        },
      },
      problems: [422],
      refusals: { "application/x-protobuf": "binary", "application/json": otlpStatusShape },
    },
    (c) => runIntake(c, otlpForm(signal, c.req.raw.headers, c.get("requestId"))),
  );
}

defineRoute(
  ingest,
  {
    name: "remoteWrite",
    method: "post",
    path: "/api/v1/write",
    scope: "ingest",
    signal: "metrics",
    tag: "Intake",
    summary: "Prometheus remote write 1.0 and 2.0",
    headers: intakeHeadersShape,
    body: {
      content: { "application/x-protobuf": "binary" },
      description: "Compressed by snappy, block format.",
    },
    answers: { 204: { description: "Every sample is durable", headers: QUOTA_HEADERS } },
    problems: [422],
  },
  (c) => runIntake(c, remoteWriteForm(c.req.raw.headers, c.get("requestId"))),
);
