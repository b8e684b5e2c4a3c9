// A data point of an OTLP metric as Weir's metric: one record each. What is not one number (histograms, summaries) has
// the value null and stands in `detail`.
import {
  DataPointFlags,
  type Metric as OtlpMetric,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { doubleFromBits } from "../double.ts";
import { checkKey, joinPath } from "../json-value.ts";
import { MAX_LABEL_VALUE_BYTES, MAX_LABELS } from "../limits.ts";
import type { Metric, MetricKind } from "../metric.ts";
import { checkName, type ValidationContext } from "../record.ts";
import { ok, reject, type Result } from "../result.ts";
import { checkText } from "../text.ts";
import { plainAttributes, textOf } from "./any-value.ts";
import { checkOrigin } from "./keep-log.ts";
import { keepNanos } from "./keep-time.ts";
import type { DataPoint, Origin, OtlpPoint } from "./records.ts";

export function flattenPoint(
  { metric, record, origin }: OtlpPoint,
  context: ValidationContext,
): Result<Omit<Metric, "detail">> {
  const fault = checkName(metric.name, "metric.name") ?? checkOrigin(origin);
  if (fault) return { ok: false, error: fault };
  const timestamp = keepNanos(record.timeUnixNano, "timeUnixNano", context);
  if (!timestamp.ok) return timestamp;
  const value = valueOf(record);
  if (!value.ok) return value;
  const labels = labelsOf(record, origin);
  if (!labels.ok) return labels;
  return ok({
    timestamp: timestamp.value,
    name: metric.name,
    value: value.value,
    labels: labels.value,
    kind: kindOf(metric),
  });
}

function valueOf(point: DataPoint): Result<number | string | null> {
  if ((point.flags & DataPointFlags.NO_RECORDED_VALUE_MASK) !== 0) return ok("stale");
  if (point.$typeName !== "opentelemetry.proto.metrics.v1.NumberDataPoint") return ok(null);
  switch (point.value.case) {
    case "asDouble":
      return ok(doubleFromBits(point.value.value));
    case "asInt":
      return ok(Number(point.value.value));
    case undefined:
      // metrics.proto: "A point is considered invalid when one of the recognized value fields is not present".
      return reject("missing_field", "asDouble", "or asInt is required");
  }
}

function kindOf({ data }: OtlpMetric): MetricKind {
  switch (data.case) {
    case "sum":
      return data.value.isMonotonic ? "counter" : "gauge";
    case "exponentialHistogram":
      return "exponential_histogram";
    case "gauge":
    case "histogram":
    case "summary":
      return data.case;
    case undefined:
      return "unknown";
  }
}

/** The point's attributes as texts; where none of them has the name, the resource's `service` and `host` too. */
function labelsOf({ attributes }: DataPoint, { service, host }: Origin): Result<Record<string, string>> {
  const plain = plainAttributes(attributes, "attributes");
  if (!plain.ok) return plain;
  const labels: Record<string, string> = {};
  const names = Object.keys(plain.value);
  if (names.length > MAX_LABELS) {
    return reject("too_many_labels", "attributes", `must hold at most ${MAX_LABELS} labels`);
  }
  for (const name of names) {
    const text = textOf(plain.value[name] ?? null);
    const fault =
      checkName(name, "") ?? checkKey(name, () => "") ?? checkText(text, "", MAX_LABEL_VALUE_BYTES);
    if (fault) return { ok: false, error: { ...fault, path: joinPath("attributes", name) } };
    labels[name] = text;
  }
  if (service !== undefined) labels.service ??= service;
  if (host !== undefined) labels.host ??= host;
  return ok(labels);
}
