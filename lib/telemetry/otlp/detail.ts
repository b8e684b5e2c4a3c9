// A record in OTLP/JSON with all that it stands in, as storage and queries keep it beside the flat form: from the
// details of a request's records the request can be built again.
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { InstrumentationScopeSchema } from "../gen/opentelemetry/proto/common/v1/common_pb.ts";
import { LogRecordSchema } from "../gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import {
  ExponentialHistogramDataPointSchema,
  HistogramDataPointSchema,
  MetricSchema,
  NumberDataPointSchema,
  SummaryDataPointSchema,
  type Metric,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { ResourceSchema } from "../gen/opentelemetry/proto/resource/v1/resource_pb.ts";
import { SpanSchema } from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { JsonObject } from "../json-value.ts";
import { messageToJson } from "./json-encode.ts";
import type { OtlpRecord } from "./records.ts";

/**
 * `{"otlp": {resource?, resourceSchemaUrl?, scope?, scopeSchemaUrl?, …}}` and, by signal, `logRecord`, `span`, or
 * `metric` ({name, description?, unit?, metadata?, kind, aggregationTemporality?, isMonotonic?}) and `dataPoint`.
 */
export function detailOf(placed: OtlpRecord): JsonObject {
  const otlp = { ...contextOf(placed) };
  switch (placed.signal) {
    case "logs":
      otlp.logRecord = messageToJson(LogRecordSchema, placed.record);
      break;
    case "traces":
      otlp.span = messageToJson(SpanSchema, placed.record);
      break;
    case "metrics":
      otlp.metric = once(placed.metric, () => describe(placed.metric));
      otlp.dataPoint = messageToJson(pointSchema(placed.metric), placed.record);
  }
  return { otlp };
}

/** What many records share is written once and shared by their details, which are read only. */
const written = new WeakMap<object, JsonObject>();

function once(owner: object, write: () => JsonObject): JsonObject {
  let json = written.get(owner);
  if (json === undefined) written.set(owner, (json = write()));
  return json;
}

function contextOf({ resource: { resource, schemaUrl }, scope }: OtlpRecord): JsonObject {
  const context: JsonObject = {};
  addMessage(context, "resource", ResourceSchema, resource);
  if (schemaUrl !== "") context.resourceSchemaUrl = schemaUrl;
  addMessage(context, "scope", InstrumentationScopeSchema, scope.scope);
  if (scope.schemaUrl !== "") context.scopeSchemaUrl = scope.schemaUrl;
  return context;
}

function addMessage(into: JsonObject, name: string, desc: DescMessage, message: Message | undefined): void {
  if (message !== undefined) into[name] = once(message, () => messageToJson(desc, message));
}

/** The metric without its points. */
function describe(metric: Metric): JsonObject {
  const json = messageToJson(MetricSchema, { ...metric, data: { case: undefined } } as Metric);
  const { data } = metric;
  json.kind = data.case ?? null;
  if (data.value && "aggregationTemporality" in data.value) {
    json.aggregationTemporality = data.value.aggregationTemporality;
  }
  if (data.case === "sum") json.isMonotonic = data.value.isMonotonic;
  return json;
}

/** The type of a metric's points. */
export function pointSchema({ data }: Metric): DescMessage {
  switch (data.case) {
    case "histogram":
      return HistogramDataPointSchema;
    case "exponentialHistogram":
      return ExponentialHistogramDataPointSchema;
    case "summary":
      return SummaryDataPointSchema;
    case "gauge":
    case "sum":
    case undefined:
      return NumberDataPointSchema;
  }
}
