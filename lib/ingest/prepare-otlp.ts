// An OTLP request on its way to messages: times corrected and texts scrubbed in place, each record judged, points held
// to the limit on series, and what was accepted packed by resource. It stays OTLP, with nothing lost.
import { MAX_MESSAGE_VALUE_BYTES } from "../telemetry/limits.ts";
import { flattenOtlp } from "../telemetry/otlp/keep.ts";
import { otlpToText } from "../telemetry/otlp/message.ts";
import { packOtlp } from "../telemetry/otlp/pack.ts";
import { otlpRecords, type DataPoint } from "../telemetry/otlp/records.ts";
import type { OtlpRequest } from "../telemetry/otlp/request.ts";
import type { Rejection } from "../telemetry/result.ts";
import { foldDataPoint } from "./cardinality/otlp-fold.ts";
import { seriesOf, type SeriesRef } from "./cardinality/series.ts";
import { shiftOtlp } from "./clock-skew.ts";
import { originKey } from "./message-key.ts";
import type { EdgeCounts, EdgeRules, IntakeRequest, KeyedMessage, Prepared } from "./prepared.ts";
import { scrubOtlp } from "./scrub/otlp.ts";

/** As base64, with its prefix, it is a message of the largest size. */
const MAX_TEXT_VALUE_BYTES = Math.floor(((MAX_MESSAGE_VALUE_BYTES - 8) * 3) / 4);

export async function prepareOtlp(
  request: IntakeRequest,
  body: OtlpRequest,
  rules: EdgeRules,
): Promise<Prepared> {
  const { tenant, batch, attempt, receivedMs, skewMs, bodyBytes, partitions, carriesText } = request;
  const { scrubber, hotKeys, keyStrategy } = rules;
  const rejections = new Map<number, Rejection>();
  const counts: EdgeCounts = { scrubbed: scrubber?.newCounts() ?? [], seriesOver: 0, seriesUnasked: 0 };
  shiftOtlp(body, skewMs);
  if (scrubber) scrubOtlp(scrubber, body, counts.scrubbed);

  const series: SeriesRef[] = [];
  const points: DataPoint[] = [];
  const context = { receivedMs, enforceTimeRange: true };
  let records = 0;
  for (const placed of otlpRecords(body)) {
    records++;
    const flat = flattenOtlp(placed, context);
    if (!flat.ok) rejections.set(placed.index, flat.error);
    else if (placed.signal === "metrics" && "labels" in flat.value) {
      series.push(seriesOf(flat.value));
      points.push(placed.record);
    }
  }
  const { limiter, directories, options } = rules.series;
  if (series.length > 0 && options.mode !== "off") {
    const admission = await limiter.admit(tenant, series, directories, options);
    counts.seriesOver = admission.over;
    counts.seriesUnasked = admission.unasked;
    for (const [place, fold] of admission.folds) foldDataPoint(points[place] as DataPoint, fold);
  }

  const random = keyStrategy === "random" ? crypto.randomUUID() : "";
  const { messages: packed, oversize } = packOtlp(
    { tenant, batch, attempt, receivedMs },
    body,
    (index) => !rejections.has(index),
    (origin) => originKey(keyStrategy, origin, body.signal, tenant, random),
    carriesText ? MAX_TEXT_VALUE_BYTES : MAX_MESSAGE_VALUE_BYTES,
  );
  for (const { index, error } of oversize) rejections.set(index, error);
  const bytesEach = records === 0 ? 0 : bodyBytes / records;
  const messages = packed.map(({ key, value: bytes, indices }): KeyedMessage => {
    const value = carriesText ? new TextEncoder().encode(otlpToText(bytes)) : bytes;
    if (hotKeys === undefined) return { key, value, indices };
    const [index = 0] = indices;
    const load = { records: indices.length, bytes: indices.length * bytesEach };
    const salted = hotKeys.keyFor(key, { tenant, batch, index }, load, partitions, receivedMs);
    return { key: salted, value, indices };
  });
  return { rejections, records, messages, counts };
}
