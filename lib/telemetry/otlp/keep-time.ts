// OTLP's times, nanoseconds since 1970 in 64 bits, as Weir keeps times. 0 is OTLP's "unknown": the time of receipt.
import type { ValidationContext } from "../record.ts";
import { ok, type Result } from "../result.ts";
import { checkStorable, checkTimeRange, formatMoment, type Moment } from "../time.ts";

/** @param path the field the time stands in, for a refusal */
export function keepNanos(nanos: bigint, path: string, context: ValidationContext): Result<string> {
  if (nanos === 0n) return ok(new Date(context.receivedMs).toISOString());
  const moment: Moment = { ms: Number(nanos / 1_000_000n), subMs: Number(nanos % 1_000_000n) };
  const storable = checkStorable(moment, path);
  if (!storable.ok) return storable;
  if (context.enforceTimeRange) {
    const inRange = checkTimeRange(moment, context.receivedMs, path);
    if (!inRange.ok) return inRange;
  }
  return ok(formatMoment(moment));
}
