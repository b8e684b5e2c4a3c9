// An OTLP log record as Weir's log.
import type { LogRecord } from "../gen/opentelemetry/proto/logs/v1/logs_pb.ts";
import { MAX_MESSAGE_BYTES } from "../limits.ts";
import { normalizeLevel, type Log } from "../log.ts";
import { checkName, checkOptionalText, type ValidationContext } from "../record.ts";
import { ok, type Rejection, type Result } from "../result.ts";
import { checkText } from "../text.ts";
import { plainAttributes, plainValue, textOf } from "./any-value.ts";
import { keepNanos } from "./keep-time.ts";
import type { OtlpLog, Origin } from "./records.ts";

export function flattenLog({ record, origin }: OtlpLog, context: ValidationContext): Result<Log> {
  const fault = checkOrigin(origin);
  if (fault) return { ok: false, error: fault };
  const timestamp =
    record.timeUnixNano === 0n
      ? keepNanos(record.observedTimeUnixNano, "observedTimeUnixNano", context)
      : keepNanos(record.timeUnixNano, "timeUnixNano", context);
  if (!timestamp.ok) return timestamp;
  const attributes = plainAttributes(record.attributes, "attributes");
  if (!attributes.ok) return attributes;
  const message = messageOf(record);
  if (!message.ok) return message;
  const log: Log = {
    timestamp: timestamp.value,
    level: levelOf(record),
    message: message.value,
    attributes: attributes.value,
  };
  if (origin.service !== undefined) log.service = origin.service;
  if (origin.host !== undefined) log.host = origin.host;
  return ok(log);
}

/** `service` and `host` have the limits of any native record's. */
export function checkOrigin({ service, host }: Origin): Rejection | undefined {
  return (
    checkOptionalText(service, 'resource.attributes["service.name"]') ??
    checkOptionalText(host, 'resource.attributes["host.name"]')
  );
}

function messageOf({ body, eventName }: LogRecord): Result<string> {
  // An event has its name where a log has its text.
  if (body?.value.case === undefined) {
    const fault = checkText(eventName, "eventName", MAX_MESSAGE_BYTES);
    return fault ? { ok: false, error: fault } : ok(eventName);
  }
  const plain = plainValue(body, "body");
  if (!plain.ok) return plain;
  const text = textOf(plain.value);
  const fault = checkText(text, "body", MAX_MESSAGE_BYTES);
  return fault ? { ok: false, error: fault } : ok(text);
}

/** OTLP's levels have four steps each: 1–4 TRACE to 21–24 FATAL. */
const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;

function levelOf({ severityText, severityNumber }: LogRecord): string {
  const name = severityText.toUpperCase();
  if (checkName(name, "") === undefined && checkName(severityText, "") === undefined)
    return normalizeLevel(name);
  return LEVELS[Math.floor((severityNumber - 1) / 4)] ?? "INFO";
}
