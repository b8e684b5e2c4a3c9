// A request's records one by one, in document order: log records, data points, spans, each with what it stands in.
// The index is a record's identity within its request, so it counts the refused ones too.
import type { LogRecord, ResourceLogs, ScopeLogs } from "../gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import type {
  ExponentialHistogramDataPoint,
  HistogramDataPoint,
  Metric,
  NumberDataPoint,
  ResourceMetrics,
  ScopeMetrics,
  SummaryDataPoint,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { ResourceSpans, ScopeSpans, Span } from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { Resource } from "../gen/opentelemetry/proto/resource/v1/resource_pb.ts";
import { attributeText } from "./any-value.ts";
import type { OtlpRequest } from "./request.ts";

/** What a record's key is made of: of its resource, `service.name` and `host.name`. */
export interface Origin {
  service: string | undefined;
  host: string | undefined;
}

export type DataPoint =
  | NumberDataPoint
  | HistogramDataPoint
  | ExponentialHistogramDataPoint
  | SummaryDataPoint;

interface Placed<S, R, C, P> {
  signal: S;
  /** Place in the request. */
  index: number;
  /** The same object for all records of one resource. */
  origin: Origin;
  resource: R;
  scope: C;
  record: P;
}

export type OtlpLog = Placed<"logs", ResourceLogs, ScopeLogs, LogRecord>;
export type OtlpSpan = Placed<"traces", ResourceSpans, ScopeSpans, Span>;
export type OtlpPoint = Placed<"metrics", ResourceMetrics, ScopeMetrics, DataPoint> & { metric: Metric };
export type OtlpRecord = OtlpLog | OtlpPoint | OtlpSpan;

/** `resource` and `scope` are the messages that hold them, with their schema URLs. */
export function* otlpRecords({ signal, message }: OtlpRequest): Generator<OtlpRecord, void, undefined> {
  let index = 0;
  switch (signal) {
    case "logs":
      for (const resource of message.resourceLogs) {
        const origin = originOf(resource.resource);
        for (const scope of resource.scopeLogs) {
          for (const record of scope.logRecords) {
            yield { signal, index: index++, origin, resource, scope, record };
          }
        }
      }
      return;
    case "metrics":
      for (const resource of message.resourceMetrics) {
        const origin = originOf(resource.resource);
        for (const scope of resource.scopeMetrics) {
          for (const metric of scope.metrics) {
            for (const record of metric.data.value?.dataPoints ?? []) {
              yield { signal, index: index++, origin, resource, scope, metric, record };
            }
          }
        }
      }
      return;
    case "traces":
      for (const resource of message.resourceSpans) {
        const origin = originOf(resource.resource);
        for (const scope of resource.scopeSpans) {
          for (const record of scope.spans) {
            yield { signal, index: index++, origin, resource, scope, record };
          }
        }
      }
  }
}

/** Log records, data points and spans in all. */
export function countOtlpRecords({ signal, message }: OtlpRequest): number {
  let count = 0;
  switch (signal) {
    case "logs":
      for (const { scopeLogs } of message.resourceLogs) {
        for (const { logRecords } of scopeLogs) count += logRecords.length;
      }
      return count;
    case "metrics":
      for (const { scopeMetrics } of message.resourceMetrics) {
        for (const { metrics } of scopeMetrics) {
          for (const { data } of metrics) count += data.value?.dataPoints.length ?? 0;
        }
      }
      return count;
    case "traces":
      for (const { scopeSpans } of message.resourceSpans) {
        for (const { spans } of scopeSpans) count += spans.length;
      }
      return count;
  }
}

function originOf(resource: Resource | undefined): Origin {
  const attributes = resource?.attributes ?? [];
  return { service: attributeText(attributes, "service.name"), host: attributeText(attributes, "host.name") };
}
