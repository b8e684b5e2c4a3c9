// The kinds of telemetry, and the record each native form is kept as.
import { validateEvent, type Event } from "./event.ts";
import { validateLog, type Log } from "./log.ts";
import { validateMetric, type Metric } from "./metric.ts";
import type { ValidationContext } from "./record.ts";
import type { Result } from "./result.ts";
import type { Span } from "./span.ts";

export const SIGNALS = ["logs", "metrics", "events", "traces"] as const;
export type Signal = (typeof SIGNALS)[number];

/** Signals that have a JSON form of their own; traces come as OTLP only. */
export const NATIVE_SIGNALS = ["logs", "metrics", "events"] as const;
export type NativeSignal = (typeof NATIVE_SIGNALS)[number];

export interface RecordOf {
  logs: Log;
  metrics: Metric;
  events: Event;
  traces: Span;
}

export type NativeRecord = RecordOf[NativeSignal];

const validators: {
  [S in NativeSignal]: (input: unknown, context: ValidationContext) => Result<RecordOf[S]>;
} = {
  logs: validateLog,
  metrics: validateMetric,
  events: validateEvent,
};

/** Checks one record of a signal. The kept form is itself a valid input, so a consumer checks with the same rules. */
export function validateRecord<S extends NativeSignal>(
  signal: S,
  input: unknown,
  context: ValidationContext,
): Result<RecordOf[S]> {
  return validators[signal](input, context);
}
