// One OTLP record in the form that is kept: the flat fields people search, and everything in `detail`. Refused is what
// the limits refuse, a metric's point without a value, a span without ids; every other record passes as it is.
import type { Log } from "../log.ts";
import type { Metric } from "../metric.ts";
import type { ValidationContext } from "../record.ts";
import { ok, type Result } from "../result.ts";
import type { Span } from "../span.ts";
import { detailOf } from "./detail.ts";
import { flattenLog } from "./keep-log.ts";
import { flattenPoint } from "./keep-point.ts";
import { flattenSpan } from "./keep-span.ts";
import type { OtlpRecord } from "./records.ts";

export interface KeptOtlp {
  logs: Log;
  metrics: Metric;
  traces: Span;
}

/** A kept record without its `detail`, which takes longer to write than all the rest. */
export type FlatOtlp = { [S in keyof KeptOtlp]: Omit<KeptOtlp[S], "detail"> };

/** Judges a record: what the edge needs of it. */
export function flattenOtlp<R extends OtlpRecord>(
  placed: R,
  context: ValidationContext,
): Result<FlatOtlp[R["signal"]]>;
export function flattenOtlp(
  placed: OtlpRecord,
  context: ValidationContext,
): Result<FlatOtlp[keyof FlatOtlp]> {
  switch (placed.signal) {
    case "logs":
      return flattenLog(placed, context);
    case "metrics":
      return flattenPoint(placed, context);
    case "traces":
      return flattenSpan(placed, context);
  }
}

/** The whole record: what a consumer stores. */
export function keepOtlp<R extends OtlpRecord>(
  placed: R,
  context: ValidationContext,
): Result<KeptOtlp[R["signal"]]> {
  const flat = flattenOtlp(placed, context);
  if (!flat.ok) return flat;
  return ok({ ...flat.value, detail: detailOf(placed) } as unknown as KeptOtlp[R["signal"]]);
}
