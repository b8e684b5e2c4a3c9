// The intake's bodies and answers as zod shapes. The records' shapes are those that the checks of the hot path are held
// equal to (lib/telemetry); here they get their names and examples.
import { z } from "zod";
import { eventInputShape } from "../telemetry/event.ts";
import {
  MAX_IDEMPOTENCY_KEY_CHARS,
  MAX_LABEL_VALUE_BYTES,
  MAX_NAME_BYTES,
  MAX_RECORDS,
} from "../telemetry/limits.ts";
import { logInputShape } from "../telemetry/log.ts";
import { metricInputShape } from "../telemetry/metric.ts";
import { reasons, type Reason } from "../telemetry/reasons.ts";
import { nameShape, shortTextShape, timestampShape } from "../telemetry/record.ts";

// What zod checks by code JSON Schema cannot say; this is as near as it gets. Characters stand for bytes: a text within
// them may still be too long.
z.globalRegistry.add(nameShape, {
  description: `at most ${MAX_NAME_BYTES} bytes of UTF-8, no control characters`,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
  maxLength: MAX_NAME_BYTES,
});
z.globalRegistry.add(shortTextShape, {
  description: `at most ${MAX_LABEL_VALUE_BYTES} bytes of UTF-8`,
  maxLength: MAX_LABEL_VALUE_BYTES,
});
z.globalRegistry.add(timestampShape, {
  description:
    "ISO 8601, or seconds, ms, µs or ns since 1970; from 7 days before to 10 minutes after its receipt, which is " +
    "taken where there is none",
});

const logInput = logInputShape.meta({
  id: "LogInput",
  description: "Only `message` is required; fields that are not known are kept as attributes.",
  examples: [{ level: "ERROR", message: "disk is full", service: "api", host: "web-1" }],
});
const metricInput = metricInputShape.meta({
  id: "MetricInput",
  description: "Either form; values are finite numbers.",
  examples: [{ name: "cpu_usage", value: 42.5, labels: { host: "web-1" } }],
});
const eventInput = eventInputShape.meta({
  id: "EventInput",
  description: "Fields that are not known are kept as attributes.",
  examples: [{ event_type: "order.paid", data: { order: 17 } }],
});

/** CloudEvents 1.0, JSON format; further attributes are kept. */
const cloudEvent = z
  .looseObject({
    specversion: z.literal("1.0"),
    type: z.string().min(1),
    source: z.string().min(1),
    id: z.string().min(1),
    time: z.iso.datetime({ offset: true }).nullish(),
    data: z.unknown().optional(),
    data_base64: z.string().optional().describe("instead of `data`"),
  })
  .meta({ id: "CloudEvent", not: { required: ["data", "data_base64"] } });

const agentVersion = z.string().max(100).nullish();

/** One record, an array of them, or the array under its name. */
function listsOf(record: z.ZodType, listField: string) {
  const list = z.array(record).max(MAX_RECORDS);
  const wrapped = z.strictObject({ [listField]: list, agent_version: agentVersion });
  return z.union([record, list, wrapped]);
}

/** One record a line. */
const NDJSON = { "application/x-ndjson": "text" } as const;

export const logsBody = { "application/json": listsOf(logInput, "entries"), ...NDJSON };
export const metricsBody = { "application/json": listsOf(metricInput, "metrics"), ...NDJSON };
export const eventsBody = {
  "application/json": listsOf(eventInput, "events"),
  ...NDJSON,
  "application/cloudevents+json": cloudEvent,
  "application/cloudevents-batch+json": z.array(cloudEvent).max(MAX_RECORDS),
};

export const intakeQueryShape = z.object({
  results: z
    .string()
    .describe("`all` lists the good records, too.")
    .meta({ examples: ["all"] })
    .optional(),
  clock: z.literal("date").describe("The times are corrected by the `Date` header.").optional(),
});

export const intakeHeadersShape = z.object({
  "Idempotency-Key": z
    .string()
    .regex(/^[!-~]([ -~]*[!-~])?$/)
    .max(MAX_IDEMPOTENCY_KEY_CHARS)
    .describe("Names the request: another body under it is refused (422), within 24 hours.")
    .optional(),
  "X-Sent-At": z
    .string()
    .describe(
      "The client's clock at sending, ISO 8601 or milliseconds since 1970: the records' times are corrected by it.",
    )
    .optional(),
});

const index = z.int().describe("place in the request");
const reason = z.enum(Object.keys(reasons) as [Reason, ...Reason[]]);

export const acceptedShape = z
  .object({
    status: z.literal("queued"),
    message: z.string(),
    accepted: z.int(),
    rejected: z.int(),
    retry: z.int().optional().describe("records that are not known to be durable: send the whole body again"),
    durability: z
      .enum(["kafka", "spilled"])
      .describe("`spilled`: some of the accepted records are kept until Kafka is back"),
    batch: z.string(),
    results: z
      .array(
        z.union([
          z.object({
            index,
            status: z.literal("ok"),
            topic: z.string(),
            partition: z.int(),
            offset: z.int(),
          }),
          z.object({ index, status: z.literal("spilled"), topic: z.string() }),
          z.object({
            index,
            status: z.enum(["rejected", "retry"]),
            reason,
            path: z.string(),
            message: z.string(),
          }),
        ]),
      )
      .optional(),
  })
  .meta({ id: "Accepted" });

/** An event with, if wanted, the topic for it. */
export const publishInputShape = eventInputShape
  .safeExtend({
    topic: z.string().optional().describe("One of PUBLISH_TOPICS; the raw events topic unless given."),
  })
  .meta({ id: "PublishInput", examples: [{ event_type: "order.paid", data: { order: 17 } }] });

export const publishedShape = z
  .object({
    status: z.literal("success"),
    message: z.string(),
    event: z.looseObject({}),
    topic: z.string(),
    partition: z.int().nullable().describe("null while the event is kept until Kafka is back"),
    offset: z.int().nullable(),
  })
  .meta({ id: "Published" });

/** As OTLP's JSON form has it; its fields are told by OTLP's own documents. */
export const otlpRequestShape = z
  .looseObject({
    resourceLogs: z.array(z.looseObject({})).optional(),
    resourceMetrics: z.array(z.looseObject({})).optional(),
    resourceSpans: z.array(z.looseObject({})).optional(),
  })
  .meta({ id: "OtlpRequest" });

export const otlpAnswerShape = z
  .object({
    partialSuccess: z
      .object({
        rejectedLogRecords: z.string().optional(),
        rejectedDataPoints: z.string().optional(),
        rejectedSpans: z.string().optional(),
        errorMessage: z.string().optional(),
      })
      .optional(),
  })
  .meta({ id: "OtlpAnswer" });

export const otlpStatusShape = z.object({ code: z.int(), message: z.string() }).meta({ id: "OtlpStatus" });
