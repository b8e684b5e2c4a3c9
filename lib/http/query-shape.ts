// What the queries answer, as zod shapes: for the documentation, and for the tests that hold the answers equal to them.
import { z } from "zod";
import { METRIC_KINDS } from "../telemetry/metric.ts";
import { SPAN_KINDS } from "../telemetry/span.ts";
import { labelsShape, pageShape, timedPageShape } from "./page-shape.ts";

const timestamp = z.iso.datetime().describe("ISO 8601, UTC, with as many digits as it has");
const nullableText = z.string().nullable();
const attributes = z.record(z.string(), z.unknown());
const detail = attributes.describe("what came beside the other fields, whole, as an OTLP record does");

const metricShape = z
  .object({
    timestamp,
    name: z.string(),
    value: z
      .union([z.number(), z.string(), z.null()])
      .describe("a text where it is no finite number (`NaN`, `+Inf`, `stale`), null where not one number"),
    labels: z.record(z.string(), z.string()),
    kind: z.enum(METRIC_KINDS).optional(),
    detail: detail.optional(),
  })
  .meta({ id: "Metric" });

const logShape = z
  .object({
    timestamp,
    level: z.string(),
    message: z.string(),
    service: nullableText,
    host: nullableText,
    attributes,
    detail: detail.optional(),
  })
  .meta({ id: "Log" });

const eventShape = z
  .object({
    timestamp,
    event_type: z.string(),
    data: z.unknown().describe("any JSON"),
    id: nullableText,
    key: nullableText,
    attributes: attributes.nullable(),
  })
  .meta({ id: "Event" });

export const SPAN_STATUSES = ["unset", "ok", "error"] as const;
const status = z.enum(SPAN_STATUSES);

const traceRowShape = z
  .object({
    timestamp: timestamp.describe("start of the root span"),
    trace_id: z.string(),
    name: z.string().describe("of the root span"),
    service: nullableText,
    status,
    duration_ms: z.number(),
    span_count: z.int(),
    error_count: z.int(),
    services: z.array(z.string()),
  })
  .meta({ id: "TraceSummary" });

const spanShape = z
  .object({
    timestamp: timestamp.describe("start"),
    trace_id: z.string(),
    span_id: z.string(),
    parent_span_id: nullableText,
    name: z.string(),
    kind: z.enum(SPAN_KINDS),
    status,
    service: nullableText,
    host: nullableText,
    duration_ms: z.number(),
    attributes,
    detail,
  })
  .meta({ id: "Span" });

export const metricsShape = z.array(metricShape);
export const logsShape = z.array(logShape);
export const eventsShape = z.array(eventShape);
export const tracesShape = z.array(traceRowShape);

export const traceShape = z
  .object({
    trace_id: z.string(),
    spans: z.array(spanShape).describe("earliest first"),
    truncated: z.literal(true).optional().describe("there are more spans than these"),
  })
  .meta({ id: "Trace" });

export const metricNamesShape = z.array(
  z
    .object({
      name: z.string(),
      kind: z.enum(METRIC_KINDS).nullable().describe("of the newest point"),
      last_timestamp: timestamp,
    })
    .meta({ id: "MetricName" }),
);

const text = (description: string) => z.string().describe(description).optional();

/** A whole window is the unit: a result is never on two pages. */
const windowShape = z
  .looseObject({
    window_start: z.iso.datetime(),
    window_end: z.iso.datetime().describe("itself excluded; of a session its last record's time and the gap"),
    labels: z.record(z.string(), z.string()),
    revision: z
      .int()
      .describe(
        "grows with each change that was written to `metrics.processed`, summed over what was merged",
      ),
    final: z
      .boolean()
      .describe("nothing is expected to come any more; late records still raise the revision"),
    partial: z.literal(true).optional().describe("it ends in the future"),
  })
  .describe("and the figures that `agg` names, each a number, or null where the window has none")
  .meta({ id: "Window" });

export const windowsShape = z.array(windowShape);

export const windowsQueryShape = timedPageShape.extend({
  name: z
    .string()
    .describe(
      "Of this metric. Without `window` a name such as `cpu_usage_p95_1hour` means the 95th percentile of `cpu_usage` in `1h`.",
    ),
  window: text("One of the windows that are kept (the setting WINDOWS), the first of them by default."),
  agg: text(
    "Figures, with commas between: count, sum, avg, min, max, last, increase and rate (of counters), and percentiles such as p95, p99.9.",
  ),
  by: text("Labels, with commas between: series that agree in them are merged; an empty one merges all."),
  step: text("Brings tumbling windows to a longer length, a multiple of theirs, as in `6h`."),
  labels: labelsShape,
});

export const metricsQueryShape = timedPageShape.extend({
  name: text(
    "Of this name only. One that no metric has, such as `cpu_usage_avg_5min`, means that figure of the metric's windows: points at their starts.",
  ),
  labels: labelsShape,
});
export const logsQueryShape = timedPageShape.extend({
  q: text("Text that the message holds, letter case aside."),
  service: text("Of this service only."),
  level: text("Of this level only; `warning` is `WARN`, too."),
});
export const eventsQueryShape = timedPageShape.extend({ event_type: text("Of this type only.") });
export const tracesQueryShape = timedPageShape.extend({
  service: text("Whose root span is of this service."),
  name: text("Whose root span has this name."),
  status: status.describe("Of the root span.").optional(),
  min_duration_ms: z.number().min(0).max(1e12).describe("Of the root span.").optional(),
});
export const metricNamesQueryShape = pageShape.extend({ prefix: text("Names that begin so.") });

export const traceIdShape = z.string().regex(/^[0-9a-fA-F]{32}$/);
