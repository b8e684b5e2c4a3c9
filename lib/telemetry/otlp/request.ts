// An OTLP request of any of the three signals, and where its records stand in it. The message types are generated
// from OTLP's .proto files; what differs between the signals' trees is told here once.
import type { DescMessage } from "@bufbuild/protobuf";
import {
  ExportLogsServiceRequestSchema,
  type ExportLogsServiceRequest,
} from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import {
  ExportMetricsServiceRequestSchema,
  type ExportMetricsServiceRequest,
} from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import {
  ExportTraceServiceRequestSchema,
  type ExportTraceServiceRequest,
} from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { LogRecordSchema } from "../gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import {
  ExponentialHistogramDataPointSchema,
  HistogramDataPointSchema,
  NumberDataPointSchema,
  SummaryDataPointSchema,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { SpanSchema } from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";

export const OTLP_SIGNALS = ["logs", "metrics", "traces"] as const;
export type OtlpSignal = (typeof OTLP_SIGNALS)[number];

export interface OtlpMessages {
  logs: ExportLogsServiceRequest;
  metrics: ExportMetricsServiceRequest;
  traces: ExportTraceServiceRequest;
}

export type OtlpRequest = { [S in OtlpSignal]: { signal: S; message: OtlpMessages[S] } }[OtlpSignal];

export const requestSchemas = {
  logs: ExportLogsServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  traces: ExportTraceServiceRequestSchema,
} as const satisfies Record<OtlpSignal, DescMessage>;

/** The messages that are one record each. */
export const recordSchemas: ReadonlySet<DescMessage> = new Set<DescMessage>([
  LogRecordSchema,
  SpanSchema,
  NumberDataPointSchema,
  HistogramDataPointSchema,
  ExponentialHistogramDataPointSchema,
  SummaryDataPointSchema,
]);

/**
 * Nesting of messages, the request being 1. A log's attribute value is the 6th, one more of nesting in it takes up to
 * three; so values of the depth that a record may have (MAX_DEPTH) fit, and each record is judged by itself.
 */
export const MAX_MESSAGE_DEPTH = 128;

/** Pairs a message with its signal. */
export function otlpRequest(signal: OtlpSignal, message: OtlpMessages[OtlpSignal]): OtlpRequest {
  return { signal, message } as OtlpRequest;
}
