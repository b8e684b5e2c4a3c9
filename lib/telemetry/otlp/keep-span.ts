// An OTLP span as Weir's span.
import type { Span as OtlpSpanRecord } from "../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { ValidationContext } from "../record.ts";
import { ok, reject, type Result } from "../result.ts";
import { SPAN_KINDS, type Span } from "../span.ts";
import { plainAttributes } from "./any-value.ts";
import { textOfBytes } from "./json-encode.ts";
import { checkOrigin } from "./keep-log.ts";
import { keepNanos } from "./keep-time.ts";
import type { OtlpSpan } from "./records.ts";

/** trace.proto: ids of these lengths, and not all zeros, or the span is invalid. */
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

const STATUSES = ["unset", "ok", "error"] as const;

export function flattenSpan(
  { record, origin }: OtlpSpan,
  context: ValidationContext,
): Result<Omit<Span, "detail">> {
  const { traceId, spanId, parentSpanId } = record;
  if (!isId(traceId, TRACE_ID_BYTES)) return notAnId("traceId", TRACE_ID_BYTES);
  if (!isId(spanId, SPAN_ID_BYTES)) return notAnId("spanId", SPAN_ID_BYTES);
  // A root span has none; some write zeros for that.
  const hasParent = parentSpanId.some((byte) => byte !== 0);
  if (hasParent && parentSpanId.length !== SPAN_ID_BYTES) return notAnId("parentSpanId", SPAN_ID_BYTES);
  const fault = checkOrigin(origin);
  if (fault) return { ok: false, error: fault };
  const timestamp = keepNanos(record.startTimeUnixNano, "startTimeUnixNano", context);
  if (!timestamp.ok) return timestamp;
  const attributes = plainAttributes(record.attributes, "attributes");
  if (!attributes.ok) return attributes;
  const span: Omit<Span, "detail"> = {
    timestamp: timestamp.value,
    duration_ns: durationOf(record),
    trace_id: textOfBytes(traceId, "hex"),
    span_id: textOfBytes(spanId, "hex"),
    name: record.name,
    kind: SPAN_KINDS[record.kind] ?? "unspecified",
    status: STATUSES[record.status?.code ?? 0] ?? "unset",
    attributes: attributes.value,
  };
  if (hasParent) span.parent_span_id = textOfBytes(parentSpanId, "hex");
  if (origin.service !== undefined) span.service = origin.service;
  if (origin.host !== undefined) span.host = origin.host;
  return ok(span);
}

/** Clocks step back, and times may be unknown (0): then it took no time that anybody knows. */
function durationOf({ startTimeUnixNano: start, endTimeUnixNano: end }: OtlpSpanRecord): string {
  return start === 0n || end <= start ? "0" : (end - start).toString();
}

const isId = (bytes: Uint8Array, length: number): boolean =>
  bytes.length === length && bytes.some((byte) => byte !== 0);

const notAnId = (path: string, length: number) =>
  reject("wrong_type", path, `must be ${length} bytes (${length * 2} hexadecimal digits) and not all zeros`);
