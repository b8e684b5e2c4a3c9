// What a record is nested in (a resource, a scope, a metric and its data), encoded: as shells without the records, or
// whole, with those records of a resource that are to be kept. Fields that the types do not know go along.
import { toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import {
  LogRecordSchema,
  ResourceLogsSchema,
  ScopeLogsSchema,
  type LogRecord,
  type ScopeLogs,
} from "../gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import {
  MetricSchema,
  ResourceMetricsSchema,
  ScopeMetricsSchema,
  type Metric,
  type ScopeMetrics,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import {
  ResourceSpansSchema,
  ScopeSpansSchema,
  SpanSchema,
  type ScopeSpans,
  type Span,
} from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import { pointSchema } from "./detail.ts";
import type { Shell } from "./nested.ts";
import type { OtlpRecord } from "./records.ts";

/** Where a walk over records stands. */
export interface OpenShells {
  path: Message[];
  /** Outermost first; the same objects for the same messages. */
  shells: Shell[];
  /** The records' number in what directly holds them. */
  recordField: number;
}

/** Steps to the next record; what it has in common with the one before is not encoded again. */
export function enterShells(open: OpenShells | undefined, placed: OtlpRecord): OpenShells {
  const path: Message[] = [placed.resource, placed.scope];
  if (placed.signal === "metrics") path.push(placed.metric);
  const other = path.findIndex((message, level) => message !== open?.path[level]);
  if (open !== undefined && other === -1) return open;
  const shells = open?.shells.slice(0, other) ?? [];
  const push = (level: number, field: number, encode: () => Uint8Array) => {
    if (shells.length === level) shells.push({ head: encode(), field });
  };
  switch (placed.signal) {
    case "logs":
      push(0, 1, () => toBinary(ResourceLogsSchema, { ...placed.resource, scopeLogs: [] }));
      push(1, 2, () => toBinary(ScopeLogsSchema, { ...placed.scope, logRecords: [] }));
      break;
    case "traces":
      push(0, 1, () => toBinary(ResourceSpansSchema, { ...placed.resource, scopeSpans: [] }));
      push(1, 2, () => toBinary(ScopeSpansSchema, { ...placed.scope, spans: [] }));
      break;
    case "metrics":
      push(0, 1, () => toBinary(ResourceMetricsSchema, { ...placed.resource, scopeMetrics: [] }));
      push(1, 2, () => toBinary(ScopeMetricsSchema, { ...placed.scope, metrics: [] }));
      push(2, 2, () => toBinary(MetricSchema, { ...placed.metric, data: { case: undefined } }));
      if (shells.length === 3) shells.push(dataShell(placed.metric));
  }
  return { path, shells, recordField: placed.signal === "metrics" ? 1 : 2 };
}

export function recordSchemaOf(placed: OtlpRecord): DescMessage {
  switch (placed.signal) {
    case "logs":
      return LogRecordSchema;
    case "traces":
      return SpanSchema;
    case "metrics":
      return pointSchema(placed.metric);
  }
}

/** A metric's gauge, sum, … without its points. */
function dataShell({ data }: Metric): Shell {
  const field = data.case && MetricSchema.field[data.case];
  // Only a metric with data has points, so only such come here.
  if (!data.value || !field?.message)
    return { head: new Uint8Array(0), field: MetricSchema.field.gauge.number };
  const empty: Message & { dataPoints: [] } = { ...data.value, dataPoints: [] };
  return { head: toBinary<DescMessage>(field.message, empty), field: field.number };
}

/** @param group records of one resource, in order, and at least one: the resource with these alone, as bytes */
export function encodeResource(group: readonly OtlpRecord[]): Uint8Array {
  const scopes = collectScopes(group);
  const { signal, resource } = group[0] as OtlpRecord;
  switch (signal) {
    case "logs":
      return toBinary(ResourceLogsSchema, { ...resource, scopeLogs: scopes as ScopeLogs[] });
    case "traces":
      return toBinary(ResourceSpansSchema, { ...resource, scopeSpans: scopes as ScopeSpans[] });
    case "metrics":
      return toBinary(ResourceMetricsSchema, { ...resource, scopeMetrics: scopes as ScopeMetrics[] });
  }
}

function collectScopes(group: readonly OtlpRecord[]): (ScopeLogs | ScopeSpans | ScopeMetrics)[] {
  const scopes: (ScopeLogs | ScopeSpans | ScopeMetrics)[] = [];
  let scope: Message | undefined;
  let metric: Metric | undefined;
  let siblings: Message[] = [];
  for (const placed of group) {
    if (placed.scope !== scope) {
      scope = placed.scope;
      metric = undefined;
      siblings = [];
      switch (placed.signal) {
        case "logs":
          scopes.push({ ...placed.scope, logRecords: siblings as LogRecord[] });
          break;
        case "traces":
          scopes.push({ ...placed.scope, spans: siblings as Span[] });
          break;
        case "metrics":
          scopes.push({ ...placed.scope, metrics: [] });
      }
    }
    if (placed.signal === "metrics" && placed.metric !== metric) {
      metric = placed.metric;
      siblings = [];
      const data = { case: metric.data.case, value: { ...metric.data.value, dataPoints: siblings } };
      (scopes.at(-1) as ScopeMetrics).metrics.push({ ...metric, data: data as Metric["data"] });
    }
    siblings.push(placed.record);
  }
  return scopes;
}
