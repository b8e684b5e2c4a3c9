// A span of a trace. Spans come as OTLP only; this is the form that storage and queries know, beside the whole span in
// `detail`, from which nothing is missing.
import type { JsonObject } from "./json-value.ts";

export const SPAN_KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

export interface Span {
  /** Start, ISO 8601 with as many digits as it has. */
  timestamp: string;
  /** End − start, in nanoseconds as decimal text. */
  duration_ns: string;
  /** 32 hexadecimal digits, lower case */
  trace_id: string;
  /** 16 hexadecimal digits */
  span_id: string;
  parent_span_id?: string;
  name: string;
  kind: SpanKind;
  status: "unset" | "ok" | "error";
  service?: string;
  host?: string;
  attributes: JsonObject;
  detail: JsonObject;
}
