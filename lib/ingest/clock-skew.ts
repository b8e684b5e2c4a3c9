// Corrects the times of a client whose clock is wrong, only where it asks for it: it says what its clock showed when it
// sent the request, and every time in the request is shifted by the difference to ours. Below two seconds that is the
// network, and nothing is shifted. What the times are checked against comes after this.
import type { OtlpRequest } from "../telemetry/otlp/request.ts";
import { ok, reject, type Result } from "../telemetry/result.ts";
import { formatMoment, parseTimestamp } from "../telemetry/time.ts";
import { isPlainObject } from "../telemetry/record.ts";

const NETWORK_MS = 2_000;

/** Beyond this a clock is not wrong but unset, or the header holds something else. */
const MAX_SKEW_MS = 10 * 365.25 * 86_400_000;

/** The one form of HTTP's dates that may be sent (RFC 9110, 5.6.7). */
const IMF_FIXDATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * What to add to the request's times, in whole milliseconds: ours − the client's.
 * `X-Sent-At` is ISO 8601 or milliseconds since 1970; `Date` counts only with the query parameter `clock=date`.
 * @returns 0 where nothing is asked for, or the clocks agree
 */
export function readClockSkew(headers: Headers, query: URLSearchParams, receivedMs: number): Result<number> {
  const clock = query.get("clock");
  if (clock !== null && clock !== "date") return reject("invalid_query", "clock", "must be `date`");
  const sentAt = headers.get("x-sent-at");
  if (sentAt === null && clock === null) return ok(0);
  const header = sentAt === null ? "Date" : "X-Sent-At";
  const sentMs = sentAt === null ? readHttpDate(headers.get("date")) : readSentAt(sentAt.trim());
  if (sentMs === undefined) {
    const forms = sentAt === null ? "a date of HTTP" : "ISO 8601, or milliseconds since 1970";
    return reject("invalid_header", header, `must be the time of sending: ${forms}`);
  }
  const skewMs = receivedMs - sentMs;
  if (Math.abs(skewMs) > MAX_SKEW_MS) {
    return reject("invalid_header", header, "is more than ten years from the time of receipt");
  }
  return ok(Math.abs(skewMs) < NETWORK_MS ? 0 : skewMs);
}

function readSentAt(text: string): number | undefined {
  // Not as in records: this header has one unit, whatever the size of the number.
  if (/^\d{1,15}$/.test(text)) return Number(text);
  if (!text.includes("-")) return undefined;
  const moment = parseTimestamp(text);
  return moment.ok ? moment.value.ms : undefined;
}

function readHttpDate(text: string | null): number | undefined {
  if (text === null || !IMF_FIXDATE.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * One record as a client sent it, or in the kept form. Without a time, or with one that cannot be read (which its check
 * refuses), it stays as it is.
 */
export function shiftRecord(record: unknown, skewMs: number): unknown {
  if (skewMs === 0 || !isPlainObject(record)) return record;
  const { timestamp } = record;
  if (timestamp === undefined || timestamp === null) return record;
  const moment = parseTimestamp(timestamp);
  if (!moment.ok) return record;
  const { ms, subMs } = moment.value;
  return { ...record, timestamp: formatMoment({ ms: ms + skewMs, subMs }) };
}

/** Every time of the request, in place, exact to the nanosecond. 0 is OTLP's "no time", and stays. */
export function shiftOtlp({ signal, message }: OtlpRequest, skewMs: number): void {
  if (skewMs === 0) return;
  const skewNs = BigInt(skewMs) * 1_000_000n;
  switch (signal) {
    case "logs":
      for (const { scopeLogs } of message.resourceLogs)
        for (const { logRecords } of scopeLogs)
          for (const log of logRecords) {
            log.timeUnixNano = shift(log.timeUnixNano, skewNs);
            log.observedTimeUnixNano = shift(log.observedTimeUnixNano, skewNs);
          }
      return;
    case "metrics":
      for (const { scopeMetrics } of message.resourceMetrics)
        for (const { metrics } of scopeMetrics)
          for (const { data } of metrics)
            for (const point of data.value?.dataPoints ?? []) {
              point.timeUnixNano = shift(point.timeUnixNano, skewNs);
              point.startTimeUnixNano = shift(point.startTimeUnixNano, skewNs);
              if (!("exemplars" in point)) continue;
              for (const exemplar of point.exemplars)
                exemplar.timeUnixNano = shift(exemplar.timeUnixNano, skewNs);
            }
      return;
    case "traces":
      for (const { scopeSpans } of message.resourceSpans)
        for (const { spans } of scopeSpans)
          for (const span of spans) {
            span.startTimeUnixNano = shift(span.startTimeUnixNano, skewNs);
            span.endTimeUnixNano = shift(span.endTimeUnixNano, skewNs);
            for (const event of span.events) event.timeUnixNano = shift(event.timeUnixNano, skewNs);
          }
  }
}

const MAX_NANOS = (1n << 64n) - 1n;

/** Kept within what the field can carry; such a time is refused by its range anyway. */
function shift(nanos: bigint, skewNs: bigint): bigint {
  if (nanos === 0n) return nanos;
  const shifted = nanos + skewNs;
  return shifted < 1n ? 1n : shifted > MAX_NANOS ? MAX_NANOS : shifted;
}
