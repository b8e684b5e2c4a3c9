// The fields found in a message, bounded: 100 of them, names of 200 bytes, values of 1,024 bytes, all of them together so
// small that no record grows beyond what a row takes. What says who wrote the record, and in which trace, is set apart.
import { checkKey, type JsonValue } from "../telemetry/json-value.ts";
import { MAX_LABEL_VALUE_BYTES } from "../telemetry/limits.ts";
import { checkName } from "../telemetry/record.ts";
import { exceedsBytes, utf8Bytes } from "../telemetry/text.ts";

export const MAX_FIELDS = 100;
/** Names and values, in UTF-16 units; each may take six bytes in JSON. */
export const MAX_FIELD_CHARS = 32_768;
/** Ends a value that was cut. */
export const CUT = "…";

/** What a field says of its record. */
type Role = "level" | "trace_id" | "span_id" | "traceparent" | "service" | "host" | "text";

/** By the names that loggers use. */
const ROLES = new Map<string, Role>([
  ["level", "level"],
  ["lvl", "level"],
  ["severity", "level"],
  ["severity_text", "level"],
  ["severityText", "level"],
  ["log.level", "level"],
  ["loglevel", "level"],
  ["levelname", "level"],
  ["trace_id", "trace_id"],
  ["traceId", "trace_id"],
  ["traceID", "trace_id"],
  ["trace.id", "trace_id"],
  ["otelTraceID", "trace_id"],
  ["span_id", "span_id"],
  ["spanId", "span_id"],
  ["spanID", "span_id"],
  ["span.id", "span_id"],
  ["otelSpanID", "span_id"],
  ["traceparent", "traceparent"],
  ["service", "service"],
  ["service.name", "service"],
  ["service_name", "service"],
  ["serviceName", "service"],
  ["host", "host"],
  ["host.name", "host"],
  ["hostname", "host"],
  ["msg", "text"],
  ["message", "text"],
  ["log", "text"],
]);

/** A value with the name that it came under. */
export interface Spoken {
  name: string;
  value: string | number;
}

export class Fields {
  readonly values = new Map<string, JsonValue>();
  /** The first of each role. */
  readonly roles = new Map<Role, Spoken>();
  /** There were more, or larger ones, than are kept. */
  isCut = false;
  #chars = 0;

  /** The first value of a name counts. */
  put(name: string, value: string | number | boolean): void {
    const role = ROLES.get(name);
    if (role !== undefined && typeof value !== "boolean" && !this.roles.has(role)) {
      this.roles.set(role, { name, value });
    }
    this.keep(name, value);
  }

  /** Without a look at what it says. */
  keep(name: string, value: string | number | boolean): void {
    if (this.values.has(name)) return;
    if (checkName(name, "") || checkKey(name, () => "")) this.isCut = true;
    else this.set(name, value);
  }

  /** Of ours, where no field has the name. */
  mark(name: string, value: string | boolean): void {
    if (!this.values.has(name)) this.values.set(name, value);
  }

  /** @param name one that we have made, and that is not there yet */
  set(name: string, value: string | number | boolean): void {
    const kept = typeof value === "string" ? cutText(value) : value;
    const chars = name.length + (typeof kept === "string" ? kept.length : 0);
    if (this.values.size >= MAX_FIELDS || this.#chars + chars > MAX_FIELD_CHARS) {
      this.isCut = true;
      return;
    }
    this.#chars += chars;
    this.values.set(name, kept);
  }
}

/** As every store takes it: at most 1,024 bytes, a mark at the end of what was cut, no half of a pair. */
export function cutText(text: string): string {
  // PostgreSQL has no NUL in its texts.
  const storable = text.includes("\0")
    ? text.slice(0, MAX_LABEL_VALUE_BYTES + 1).replaceAll("\0", "\uFFFD")
    : text;
  if (!exceedsBytes(storable, MAX_LABEL_VALUE_BYTES)) return storable.toWellFormed();
  let kept = storable.slice(0, MAX_LABEL_VALUE_BYTES).toWellFormed();
  const room = MAX_LABEL_VALUE_BYTES - utf8Bytes(CUT);
  // Each turn takes away a third of what is too much, at least: UTF-8 has at most three bytes for a unit.
  for (let over = utf8Bytes(kept) - room; over > 0; over = utf8Bytes(kept) - room) {
    kept = kept.slice(0, kept.length - Math.ceil(over / 3));
    if (!kept.isWellFormed()) kept = kept.slice(0, -1);
  }
  return kept + CUT;
}
