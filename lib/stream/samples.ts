// What stored records give to windows. A metric gives its number, its counter or its distribution; a span its duration.
// Not every record gives something: a stale marker or what is no number does not, nor does a quantile that a client
// has already made (they cannot be merged).
import type { Rows } from "../storage/storage.ts";
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import { MAX_LABEL_VALUE_BYTES } from "../telemetry/limits.ts";
import type { Metric } from "../telemetry/metric.ts";
import type { Span } from "../telemetry/span.ts";
import { exceedsBytes } from "../telemetry/text.ts";
import { parseTimestamp } from "../telemetry/time.ts";
import type { Sample, SampleTime, SampleValue } from "../windows/sample.ts";
import {
  explicitBins,
  exponentialBins,
  nativeBins,
  numberOf,
  objectOf,
  type Bins,
  type Temporality,
} from "./sample-bins.ts";
import { SeriesCache } from "./series-cache.ts";

/** As OpenTelemetry's connector `spanmetrics` names it; in milliseconds. */
export const SPAN_DURATION = "traces.span.metrics.duration";

/** Of one tenant in one commit; names of spans are free text, and some hold ids. */
const MAX_OPERATIONS = 1_000;
export const OTHER_OPERATIONS = "__other__";

/** OTLP: AGGREGATION_TEMPORALITY_DELTA. What does not say is taken for cumulative, as SDKs are without being told. */
const DELTA = 1;

/** Of Prometheus' classic histograms and summaries, which are series beside each other: these only grow. */
const GROWING = ["_bucket", "_count", "_sum"];

/** Series are the same from one commit to the next. */
const known = new SeriesCache();

/** In the order of the rows. */
export function samplesOf(rows: Pick<Rows, "metrics" | "traces">): Sample[] {
  const samples: Sample[] = [];
  const clock = new Clock();
  for (const { tenant, offset, index, record } of rows.metrics) {
    const add = (name: string, value: SampleValue) => {
      const time = clock.read(record.timestamp);
      if (!time) return;
      const { series, labels } = known.of(tenant, name, record.labels);
      samples.push({ tenant, name, labels, series, time, offset, index, value });
    };
    addMetric(record, add);
  }
  const operations = new Operations();
  for (const { tenant, offset, index, record } of rows.traces) {
    const time = clock.read(record.timestamp);
    const value = numberOf(record.duration_ns);
    if (!time || value === undefined) continue;
    const { series, labels } = known.of(tenant, SPAN_DURATION, operations.labelsOf(tenant, record));
    samples.push({
      tenant,
      name: SPAN_DURATION,
      labels,
      series,
      time,
      offset,
      index,
      value: { kind: "number", value: value / 1e6 },
    });
  }
  return samples;
}

function addMetric(metric: Metric, add: (name: string, value: SampleValue) => void): void {
  const { name, value } = metric;
  if (typeof value === "number") add(name, { kind: isCounter(metric) ? "counter" : "number", value });
  else if (value === null) addDetail(metric, add);
}

/**
 * A counter says the sum since its start. That of deltas says what was added, and is a number like any other: the sum
 * over a window is the increase.
 */
function isCounter({ kind, name, labels, detail }: Metric): boolean {
  switch (kind) {
    case "counter":
      return temporalityOf(objectOf(detail?.otlp)?.metric) === "cumulative";
    case "histogram":
    case "summary":
      return GROWING.some((suffix) => name.endsWith(suffix)) && !Object.hasOwn(labels, "quantile");
    // Remote write 1.0 tells kinds in a request of their own. A name that ends so is a counter's (OpenMetrics, "Counter").
    case "unknown":
    case undefined:
      return name.endsWith("_total");
    default:
      return false;
  }
}

function addDetail({ name, kind, detail }: Metric, add: (name: string, value: SampleValue) => void): void {
  const otlp = objectOf(detail?.otlp);
  const point = objectOf(otlp?.dataPoint);
  const histogram = objectOf(objectOf(detail?.prometheus)?.histogram);
  const addBins = (temporality: Temporality, bins: Bins) => {
    if (temporality === "cumulative") add(name, { kind: "cumulative_distribution", ...bins });
    else if (bins.count > 0) add(name, { kind: "distribution", ...bins });
  };
  if (point) {
    const temporality = temporalityOf(otlp?.metric);
    if (kind === "histogram") addBins(temporality, explicitBins(point, temporality));
    else if (kind === "exponential_histogram") addBins(temporality, exponentialBins(point, temporality));
    else if (kind === "summary") addSummary(name, point, add);
  } else if (histogram) {
    // A gauge of them is what there is at the moment: each point stands for itself.
    const isGauge = kind === "gauge_histogram" || histogram.resetHint === "gauge";
    const temporality = isGauge ? "delta" : "cumulative";
    addBins(temporality, nativeBins(histogram, temporality));
  }
}

/** Its count and sum, as Prometheus names them; they have no temporality, and are cumulative (metrics data model). */
function addSummary(
  name: string,
  { count, sum }: JsonObject,
  add: (name: string, value: SampleValue) => void,
): void {
  add(`${name}_count`, { kind: "counter", value: numberOf(count) ?? 0 });
  add(`${name}_sum`, { kind: "counter", value: numberOf(sum) ?? 0 });
}

function temporalityOf(metric: JsonValue | undefined): Temporality {
  return objectOf(metric)?.aggregationTemporality === DELTA ? "delta" : "cumulative";
}

/** Records of one batch often have one time. */
class Clock {
  #text = "";
  #time: SampleTime | undefined;

  read(text: string): SampleTime | undefined {
    if (text === this.#text) return this.#time;
    const moment = parseTimestamp(text);
    this.#text = text;
    this.#time = moment.ok ? { ms: moment.value.ms, ns: moment.value.subMs } : undefined;
    return this.#time;
  }
}

/** The operations of a commit's spans. */
class Operations {
  readonly #byTenant = new Map<string, Set<string>>();

  labelsOf(tenant: string, { name, kind, status, service }: Span): Record<string, string> {
    let operations = this.#byTenant.get(tenant);
    if (!operations) this.#byTenant.set(tenant, (operations = new Set()));
    let operation = exceedsBytes(name, MAX_LABEL_VALUE_BYTES) ? OTHER_OPERATIONS : name;
    if (operation !== OTHER_OPERATIONS) {
      const key = service === undefined ? operation : `${service}\0${operation}`;
      if (operations.size < MAX_OPERATIONS) operations.add(key);
      else if (!operations.has(key)) operation = OTHER_OPERATIONS;
    }
    return service === undefined ? { operation, kind, status } : { service, operation, kind, status };
  }
}
