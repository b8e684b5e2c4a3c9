// prometheus.WriteRequest, remote write 1.0: labels stand as texts in every series, and metadata apart, by the name of
// its family (an extension of Prometheus: the specification leaves field 3 open). Metadata alone makes no record.
import { fromBinary } from "@bufbuild/protobuf";
import {
  MetricMetadataSchema,
  TimeSeriesSchema,
  type MetricMetadata,
  type TimeSeries,
} from "../gen/prometheus/types_pb.ts";
import { ok } from "../result.ts";
import { eachMessage, invalidText } from "./message-fields.ts";
import { KINDS, type SeriesMetadata, type SeriesRecords } from "./series-records.ts";

const TIMESERIES = 1;
const METADATA = 3;

/** What a series' name may have behind the family's, by the family's kind (OpenMetrics, "Suffixes"). */
const SUFFIXES: Record<string, readonly string[]> = {
  counter: ["_total", "_created"],
  histogram: ["_bucket", "_count", "_sum", "_created"],
  gauge_histogram: ["_bucket", "_gcount", "_gsum"],
  summary: ["_count", "_sum", "_created"],
  info: ["_info"],
};

export function decodeV1(bytes: Uint8Array, into: SeriesRecords): void {
  const byName = new Map<string, SeriesMetadata>();
  eachMessage(bytes, METADATA, (message, index) => {
    const metadata = decoded(MetricMetadataSchema, message);
    if (metadata) addFamily(byName, metadata);
    else into.refuse(invalidText(`metadata[${index}]`), { samples: [], histograms: [] });
  });
  eachMessage(bytes, TIMESERIES, (message, index) => {
    const place = `timeseries[${index}]`;
    const series = decoded(TimeSeriesSchema, message);
    if (series) into.add(toSeries(series, byName), place);
    else into.refuse(invalidText(place), { samples: [], histograms: [] });
  });
}

/** undefined for a text that is not UTF-8: everything else was checked by the scan before. */
function decoded(schema: typeof MetricMetadataSchema, message: Uint8Array): MetricMetadata | undefined;
function decoded(schema: typeof TimeSeriesSchema, message: Uint8Array): TimeSeries | undefined;
function decoded(
  schema: typeof MetricMetadataSchema | typeof TimeSeriesSchema,
  message: Uint8Array,
): MetricMetadata | TimeSeries | undefined {
  try {
    return fromBinary<typeof schema>(schema, message, { readUnknownFields: false });
  } catch {
    return undefined;
  }
}

function addFamily(
  byName: Map<string, SeriesMetadata>,
  { metricFamilyName, type, unit, help }: MetricMetadata,
): void {
  const kind = KINDS[type];
  const metadata = { kind, unit, help };
  byName.set(metricFamilyName, metadata);
  for (const suffix of SUFFIXES[kind ?? ""] ?? []) {
    const name = metricFamilyName + suffix;
    // A family of this very name says more than another's suffix.
    if (!byName.has(name)) byName.set(name, metadata);
  }
}

function toSeries(
  { labels, samples, histograms, exemplars }: TimeSeries,
  byName: Map<string, SeriesMetadata>,
) {
  const name = labels.find(({ name }) => name === "__name__")?.value ?? "";
  return {
    labels: ok(labels),
    samples,
    histograms,
    exemplars: exemplars.map(({ labels, value, timestamp }) => ({ labels: ok(labels), value, timestamp })),
    metadata: byName.get(name) ?? {},
    startTimestamp: 0n,
  };
}
