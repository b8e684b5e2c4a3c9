// A native histogram of either version: checked by the rules that Prometheus' own receiver applies (model/histogram,
// Validate), and written as JSON under the names of its fields. What is set is kept, nothing is converted.
import { doubleFromBits, doubleToBits } from "../double.ts";
import type { Histogram as HistogramV2 } from "../gen/io/prometheus/write/v2/types_pb.ts";
import type { Histogram as HistogramV1 } from "../gen/prometheus/types_pb.ts";
import type { JsonObject, JsonValue } from "../json-value.ts";
import { reject, type Rejection } from "../result.ts";

export type NativeHistogram = HistogramV1 | HistogramV2;

type Span = NativeHistogram["positiveSpans"][number];

/** Buckets with bounds of their own, in `custom_values`. */
const CUSTOM_BUCKETS = -53;
/** Exponential schemas; those above 8 are reserved, and Prometheus takes them at a lower resolution. */
const MIN_SCHEMA = -4;
const MAX_SCHEMA = 52;
const MAX_JSON_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

const RESET_HINTS = ["unknown", "yes", "no", "gauge"];

export function isGaugeHistogram(histogram: NativeHistogram): boolean {
  return RESET_HINTS[histogram.resetHint] === "gauge";
}

/** @returns the first fault, or undefined */
export function checkHistogram(histogram: NativeHistogram): Rejection | undefined {
  const isFloat = histogram.count.case === "countFloat";
  if (histogram.zeroCount.case === (isFloat ? "zeroCountInt" : "zeroCountFloat")) {
    return fault("zero_count", "must be an integer where count is one, and a float where count is one");
  }
  return (
    checkSchema(histogram) ??
    checkSpans(histogram.positiveSpans, bucketsOf(histogram, "positive", isFloat), "positive_spans") ??
    checkSpans(histogram.negativeSpans, bucketsOf(histogram, "negative", isFloat), "negative_spans") ??
    (isFloat ? checkFloatCounts(histogram) : checkIntCounts(histogram))
  );
}

export function histogramToJson(histogram: NativeHistogram): JsonObject {
  const { count, zeroCount } = histogram;
  const json: Record<string, JsonValue | undefined> = {
    ...(count.case === undefined ? {} : { [count.case]: toJson(count.value) }),
    sum: doubleFromBits(histogram.sum),
    schema: histogram.schema,
    zeroThreshold: doubleToJson(histogram.zeroThreshold),
    ...(zeroCount.case === undefined ? {} : { [zeroCount.case]: toJson(zeroCount.value) }),
    negativeSpans: histogram.negativeSpans.map(spanToJson),
    negativeDeltas: histogram.negativeDeltas.map(integerToJson),
    negativeCounts: histogram.negativeCounts.map(doubleToJson),
    positiveSpans: histogram.positiveSpans.map(spanToJson),
    positiveDeltas: histogram.positiveDeltas.map(integerToJson),
    positiveCounts: histogram.positiveCounts.map(doubleToJson),
    resetHint: RESET_HINTS[histogram.resetHint] ?? histogram.resetHint,
    customValues: histogram.customValues.map(doubleToJson),
  };
  for (const [name, value] of Object.entries(json)) {
    if (Array.isArray(value) && value.length === 0) delete json[name];
  }
  return json as JsonObject;
}

/** A number, or decimal text where a 64-bit float would round it. */
export function integerToJson(value: bigint): number | string {
  return value > MAX_JSON_INTEGER || value < -MAX_JSON_INTEGER ? value.toString() : Number(value);
}

/** A finite number, or the text that double.ts writes. */
export function doubleToJson(value: number): number | string {
  return Number.isFinite(value) ? value : doubleFromBits(doubleToBits(value) as bigint);
}

function toJson(value: bigint | number): number | string {
  return typeof value === "bigint" ? integerToJson(value) : doubleToJson(value);
}

function spanToJson({ offset, length }: Span): JsonObject {
  return { offset, length };
}

function bucketsOf(histogram: NativeHistogram, side: "positive" | "negative", isFloat: boolean): number {
  return histogram[isFloat ? (`${side}Counts` as const) : (`${side}Deltas` as const)].length;
}

function checkSchema(histogram: NativeHistogram): Rejection | undefined {
  const { schema, customValues } = histogram;
  if (schema !== CUSTOM_BUCKETS) {
    if (schema < MIN_SCHEMA || schema > MAX_SCHEMA) {
      return fault("schema", `must be ${CUSTOM_BUCKETS} or ${MIN_SCHEMA} to ${MAX_SCHEMA}, not ${schema}`);
    }
    return customValues.length > 0
      ? fault("custom_values", `goes with the schema ${CUSTOM_BUCKETS} only`)
      : undefined;
  }
  if (Number(histogram.zeroCount.value ?? 0) !== 0 || histogram.zeroThreshold !== 0) {
    return fault("zero_count", "does not go with custom buckets, nor does zero_threshold");
  }
  if (
    histogram.negativeSpans.length + histogram.negativeDeltas.length + histogram.negativeCounts.length >
    0
  ) {
    return fault("negative_spans", "does not go with custom buckets");
  }
  const isRising = customValues.every(
    (bound, i) => !Number.isNaN(bound) && (i === 0 || bound > (customValues[i - 1] as number)),
  );
  if (!isRising || customValues.at(-1) === Number.POSITIVE_INFINITY) {
    return fault("custom_values", "must rise, and leave out the last bound, which is +Inf");
  }
  let reach = 0;
  for (const { offset, length } of histogram.positiveSpans) {
    if (offset < 0) return fault("positive_spans", "has an offset below 0");
    reach += offset + length;
  }
  return reach > customValues.length + 1
    ? fault("positive_spans", `reaches ${reach} buckets, but custom_values bounds ${customValues.length + 1}`)
    : undefined;
}

function checkSpans(spans: readonly Span[], buckets: number, path: string): Rejection | undefined {
  let spanned = 0;
  for (const [i, { offset, length }] of spans.entries()) {
    if (i > 0 && offset < 0) return fault(path, "has an offset below 0 behind its first span");
    spanned += length;
  }
  return spanned === buckets ? undefined : fault(path, `spans ${spanned} buckets, but ${buckets} are given`);
}

function checkIntCounts(histogram: NativeHistogram): Rejection | undefined {
  let observed = BigInt(histogram.zeroCount.value ?? 0);
  for (const side of ["positiveDeltas", "negativeDeltas"] as const) {
    let bucket = 0n;
    for (const delta of histogram[side]) {
      bucket += delta;
      if (bucket < 0n) return fault(side, "makes a bucket of fewer than 0 observations");
      observed += bucket;
    }
  }
  const count = BigInt(histogram.count.value ?? 0);
  const sum = doubleFromBits(histogram.sum);
  const isNan = typeof sum === "string" && !sum.endsWith("Inf");
  // Observations that are NaN are in the count and in no bucket, and make the sum NaN.
  if (isNan ? observed <= count : observed === count) return undefined;
  return fault("count", `is ${count}, but the buckets hold ${observed} observations`);
}

function checkFloatCounts(histogram: NativeHistogram): Rejection | undefined {
  const { count, zeroCount } = histogram;
  if (Number(count.value) < 0 || Number(zeroCount.value ?? 0) < 0)
    return fault("count", "must not be below 0");
  for (const side of ["positiveCounts", "negativeCounts"] as const) {
    if (histogram[side].some((bucket) => bucket < 0)) return fault(side, "must not be below 0");
  }
  return undefined;
}

function fault(path: string, message: string): Rejection {
  return reject("wrong_type", `histogram.${path}`, message).error;
}
