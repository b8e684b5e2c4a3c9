// A remote write request's bytes, decompressed, become records for the intake. Nothing is decoded before its size is
// known: fields, series, samples and histograms are counted first. Every refusal is a value; nothing throws.
import { RequestSchema } from "../gen/io/prometheus/write/v2/types_pb.ts";
import { WriteRequestSchema } from "../gen/prometheus/remote_pb.ts";
import { MAX_RECORDS } from "../limits.ts";
import type { Metric } from "../metric.ts";
import { ok, reject, type Result } from "../result.ts";
import type { WriteVersion } from "./content-type.ts";
import { decodeV1 } from "./decode-v1.ts";
import { decodeV2 } from "./decode-v2.ts";
import { scanProtobuf } from "./protobuf-scan.ts";
import { SeriesRecords, type Elements } from "./series-records.ts";

/** Prometheus sends an exemplar in a series of its own, beside the one of its sample. */
const MAX_SERIES = MAX_RECORDS * 2;

const SCHEMAS = {
  v1: { request: WriteRequestSchema, messages: "prometheus" },
  v2: { request: RequestSchema, messages: "io.prometheus.write.v2" },
};

export interface WriteBody {
  /** In the request's order, kept metrics (they still lack the check of time), or why one is refused. */
  records: Result<Metric>[];
  agentVersion: undefined;
  /** What each record holds, by its place in `records`. */
  elements: Elements[];
}

export function decodeWriteRequest(version: WriteVersion, bytes: Uint8Array): Result<WriteBody> {
  const { request, messages } = SCHEMAS[version];
  const counts = scanProtobuf(request, bytes);
  if (!counts.ok) return counts;
  const count = (message: string) => counts.value.get(`${messages}.${message}`) ?? 0;
  if (count("Sample") + count("Histogram") > MAX_RECORDS || count("TimeSeries") > MAX_SERIES)
    return tooMany();
  const series = new SeriesRecords();
  const fault = version === "v1" ? decodeV1(bytes, series) : decodeV2(bytes, series);
  if (fault) return { ok: false, error: fault };
  series.finish();
  const { records, elements } = series;
  if (series.isTooLarge) {
    return reject(
      "body_too_large",
      "",
      "becomes far larger than it is, record by record; send several requests",
    );
  }
  return records.length > MAX_RECORDS ? tooMany() : ok({ records, agentVersion: undefined, elements });
}

function tooMany(): Result<never> {
  return reject(
    "too_many_records",
    "",
    `holds more than ${MAX_RECORDS} samples and histograms, or ${MAX_SERIES} series; lower max_samples_per_send`,
  );
}
