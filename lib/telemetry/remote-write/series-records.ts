// From the series of a request to kept metrics: one for each sample and each native histogram, in the request's order.
// What a metric has no field for (unit, help, start, the histogram, exemplars) stands in `detail.prometheus`. A fault
// concerns the records of its own series, and where it can be told, only the one sample, histogram or exemplar.
import { doubleFromBits } from "../double.ts";
import type { JsonObject } from "../json-value.ts";
import { MAX_DECODED_BYTES, MAX_RECORDS } from "../limits.ts";
import type { Metric, MetricKind } from "../metric.ts";
import { ok, reject, type Rejection, type Result } from "../result.ts";
import { checkStorable, formatMoment } from "../time.ts";
import {
  checkHistogram,
  doubleToJson,
  histogramToJson,
  integerToJson,
  isGaugeHistogram,
  type NativeHistogram,
} from "./histogram.ts";
import { byTime, nearest } from "./nearest-point.ts";
import { readExemplarLabels, readSeriesName, type Label, type SeriesName } from "./labels.ts";

/** A series of either version, its names looked up. */
export interface Series {
  labels: Result<Label[]>;
  samples: readonly Sample[];
  histograms: readonly NativeHistogram[];
  exemplars: readonly Exemplar[];
  metadata: SeriesMetadata;
  /** Milliseconds; 0 where the series does not tell. */
  startTimestamp: bigint;
}

interface Sample {
  /** The bits of a 64-bit float. */
  value: bigint;
  /** Milliseconds. */
  timestamp: bigint;
  startTimestamp?: bigint;
}

export interface Exemplar {
  labels: Result<Label[]>;
  value: number;
  timestamp: bigint;
}

export interface SeriesMetadata {
  kind?: MetricKind | undefined;
  unit?: string | undefined;
  help?: string | undefined;
}

/** The types of metadata of either version, by number. */
export const KINDS: readonly (MetricKind | undefined)[] = [
  undefined,
  "counter",
  "gauge",
  "histogram",
  "gauge_histogram",
  "summary",
  "info",
  "stateset",
];

/** What of the request one record holds, for the answer's counts. */
export interface Elements {
  /** The metric's name, where it could be read. */
  name: string;
  samples: number;
  histograms: number;
  exemplars: number;
}

interface Point {
  index: number;
  timestamp: bigint;
  metric: Metric;
  seriesKey: string;
}

interface Orphans {
  series: SeriesName;
  seriesKey: string;
  metadata: SeriesMetadata;
  exemplars: { timestamp: bigint; json: JsonObject }[];
}

/**
 * A label stands once in a request and in every record of its series: what the names of all records take as JSON,
 * in UTF-16 units. 10,000 records may have 2,000 each.
 */
const MAX_SPELLED_CHARS = 2 * MAX_DECODED_BYTES;

export class SeriesRecords {
  readonly records: Result<Metric>[] = [];
  /** One for each record. */
  readonly elements: Elements[] = [];
  readonly #orphans: Orphans[] = [];
  readonly #points: Point[] = [];
  #spelledChars = 0;

  /** The records would take far more than the request did; the rest of it is not looked at. */
  get isTooLarge(): boolean {
    return this.#spelledChars > MAX_SPELLED_CHARS;
  }

  /** @param place as in `timeseries[3]`, for refusals */
  add(series: Series, place: string): void {
    if (this.isTooLarge) return;
    const { metadata } = series;
    const named = series.labels.ok ? readSeriesName(series.labels.value) : series.labels;
    if (!named.ok) {
      this.refuse({ ...named.error, path: `${place}.${named.error.path}` }, series);
      return;
    }
    const { name } = named.value;
    const seriesKey = JSON.stringify([name, named.value.labels]);
    const chars = seriesKey.length + JSON.stringify(metadata).length;
    this.#spelledChars += chars * Math.max(1, series.samples.length + series.histograms.length);
    if (this.isTooLarge) return;
    const first = this.#points.length;
    for (const sample of series.samples) this.#addSample(named.value, seriesKey, series, sample, place);
    for (const histogram of series.histograms) {
      this.#addHistogram(named.value, seriesKey, series, histogram, place);
    }
    const exemplars = this.#readExemplars(series.exemplars, name, place);
    if (exemplars.length === 0) return;
    const points = byTime(this.#points.slice(first));
    if (points.length > 0) for (const exemplar of exemplars) this.#attach(points, exemplar);
    else this.#orphans.push({ series: named.value, seriesKey, metadata, exemplars });
  }

  /** Every sample and histogram of a series that cannot be read, or the series itself where it has none. */
  refuse(rejection: Rejection, { samples, histograms }: Pick<Series, "samples" | "histograms">): void {
    for (let i = 0; i < Math.max(1, samples.length + histograms.length); i++)
      this.#push(fault(rejection), "", {});
  }

  /**
   * Places the exemplars of series that hold nothing else: Prometheus sends each in a series of its own. They go to a
   * point of the same labels elsewhere in the request, else into a record without a value.
   */
  finish(): void {
    if (this.#orphans.length === 0) return;
    const groups = new Map<string, Point[]>();
    for (const point of this.#points) {
      const group = groups.get(point.seriesKey);
      if (group) group.push(point);
      else groups.set(point.seriesKey, [point]);
    }
    const sorted = new Map<string, Point[]>();
    for (const { series, seriesKey, metadata, exemplars } of this.#orphans) {
      const group = groups.get(seriesKey);
      if (group) {
        const home = sorted.get(seriesKey) ?? byTime(group);
        sorted.set(seriesKey, home);
        for (const exemplar of exemplars) this.#attach(home, exemplar);
        continue;
      }
      const latest = exemplars.reduce((a, b) => (b.timestamp > a.timestamp ? b : a));
      const timestamp = readTimestamp(latest.timestamp, "exemplars.timestamp");
      if (!timestamp.ok) {
        this.#push(timestamp, series.name, {});
        continue;
      }
      const prometheus = { ...describe(metadata), exemplars: exemplars.map(({ json }) => json) };
      const metric = toMetric(series, timestamp.value, null, metadata.kind, prometheus);
      this.#push(ok(metric), series.name, { exemplars: exemplars.length });
    }
  }

  #readExemplars(given: readonly Exemplar[], name: string, place: string): Orphans["exemplars"] {
    const exemplars: Orphans["exemplars"] = [];
    for (const { labels: pairs, value, timestamp } of given) {
      const labels = pairs.ok ? readExemplarLabels(pairs.value) : pairs;
      if (!labels.ok) {
        this.#push(fault({ ...labels.error, path: `${place}.exemplars.${labels.error.path}` }), name, {});
        continue;
      }
      const json = { labels: labels.value, value: doubleToJson(value), timestamp: integerToJson(timestamp) };
      this.#spelledChars += JSON.stringify(json).length;
      if (this.isTooLarge) return [];
      exemplars.push({ timestamp, json });
    }
    return exemplars;
  }

  #addSample(named: SeriesName, seriesKey: string, series: Series, sample: Sample, place: string): void {
    const timestamp = readTimestamp(sample.timestamp, `${place}.samples.timestamp`);
    if (!timestamp.ok) {
      this.#push(timestamp, named.name, {});
      return;
    }
    const detail = {
      ...describe(series.metadata),
      ...startOf(sample.startTimestamp || series.startTimestamp),
    };
    const metric = toMetric(
      named,
      timestamp.value,
      doubleFromBits(sample.value),
      series.metadata.kind,
      detail,
    );
    this.#addPoint({ timestamp: sample.timestamp, metric, seriesKey }, { samples: 1 });
  }

  #addHistogram(
    named: SeriesName,
    seriesKey: string,
    series: Series,
    histogram: NativeHistogram,
    place: string,
  ): void {
    const timestamp = readTimestamp(histogram.timestamp, `${place}.histograms.timestamp`);
    const invalid = timestamp.ok ? checkHistogram(histogram) : undefined;
    if (!timestamp.ok || invalid) {
      const error = invalid && { ...invalid, path: `${place}.${invalid.path}` };
      this.#push(error ? fault(error) : (timestamp as Result<never>), named.name, {});
      return;
    }
    const start = "startTimestamp" in histogram ? histogram.startTimestamp : 0n;
    const detail = {
      ...describe(series.metadata),
      ...startOf(start || series.startTimestamp),
      histogram: histogramToJson(histogram),
    };
    const kind = series.metadata.kind ?? (isGaugeHistogram(histogram) ? "gauge_histogram" : "histogram");
    const metric = toMetric(named, timestamp.value, null, kind, detail);
    this.#addPoint({ timestamp: histogram.timestamp, metric, seriesKey }, { histograms: 1 });
  }

  #addPoint(point: Omit<Point, "index">, elements: Partial<Elements>): void {
    this.#points.push({ ...point, index: this.records.length });
    this.#push(ok(point.metric), point.metric.name, elements);
  }

  #push(record: Result<Metric>, name: string, elements: Partial<Elements>): void {
    // One more than may be, for the verdict on the request; its refusals would take memory, too.
    if (this.records.length > MAX_RECORDS) return;
    this.records.push(record);
    this.elements.push({ name, samples: 0, histograms: 0, exemplars: 0, ...elements });
  }

  #attach(points: readonly Point[], exemplar: { timestamp: bigint; json: JsonObject }): void {
    const { metric, index } = nearest(points, exemplar.timestamp);
    const prometheus = (metric.detail?.prometheus ?? {}) as { exemplars?: JsonObject[] };
    (prometheus.exemplars ??= []).push(exemplar.json);
    metric.detail = { prometheus };
    (this.elements[index] as Elements).exemplars++;
  }
}

const fault = (error: Rejection): Result<never> => ({ ok: false, error });

function toMetric(
  { name, labels }: SeriesName,
  timestamp: string,
  value: Metric["value"],
  kind: MetricKind | undefined,
  prometheus: JsonObject,
): Metric {
  const metric: Metric = { timestamp, name, value, labels };
  if (kind !== undefined) metric.kind = kind;
  if (Object.keys(prometheus).length > 0) metric.detail = { prometheus };
  return metric;
}

function describe({ unit = "", help = "" }: SeriesMetadata): JsonObject {
  return { ...(unit === "" ? {} : { unit }), ...(help === "" ? {} : { help }) };
}

/** 0 is how the message says that there is none. */
function startOf(timestamp: bigint): JsonObject {
  return timestamp === 0n ? {} : { startTimestamp: integerToJson(timestamp) };
}

function readTimestamp(ms: bigint, path: string): Result<string> {
  const moment = checkStorable({ ms: Number(ms), subMs: 0 }, path);
  return moment.ok ? ok(formatMoment(moment.value)) : reject(moment.error.reason, path, moment.error.message);
}
