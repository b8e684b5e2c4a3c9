// io.prometheus.write.v2.Request, remote write 2.0: every text stands once, in a table whose first is empty, and series
// refer to it; metadata stands in the series.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { TimeSeriesSchema, type TimeSeries } from "../gen/io/prometheus/write/v2/types_pb.ts";
import { MAX_LABELS } from "../limits.ts";
import { ok, reject, type Rejection, type Result } from "../result.ts";
import type { Label } from "./labels.ts";
import { eachMessage, invalidText } from "./message-fields.ts";
import { KINDS, type Series, type SeriesMetadata, type SeriesRecords } from "./series-records.ts";

const SYMBOLS = 4;
const TIMESERIES = 5;
/** `created_timestamp` of the release candidates, now reserved: Prometheus 3.0 to 3.8 send it. */
const CREATED_TIMESTAMP = 6;

/** By its number; undefined for a text that is not UTF-8. */
type Symbols = readonly (string | undefined)[];

/** @returns a fault of the whole request */
export function decodeV2(bytes: Uint8Array, into: SeriesRecords): Rejection | undefined {
  const read = textReader();
  const symbols: (string | undefined)[] = [];
  eachMessage(bytes, SYMBOLS, (text) => symbols.push(read(text)));
  if (symbols.length > 0 && symbols[0] !== "") {
    return reject("wrong_type", "symbols[0]", "must be the empty text").error;
  }
  eachMessage(bytes, TIMESERIES, (message, index) => {
    // The scan has checked whatever could make this throw: no text stands in a series.
    const series = fromBinary(TimeSeriesSchema, message);
    const place = `timeseries[${index}]`;
    const metadata = readMetadata(symbols, series);
    if (metadata.ok) into.add(toSeries(symbols, series, metadata.value), place);
    else into.refuse({ ...metadata.error, path: `${place}.${metadata.error.path}` }, series);
  });
  return undefined;
}

/** @returns undefined for what is not UTF-8 */
function textReader(): (bytes: Uint8Array) => string | undefined {
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return (bytes) => {
    try {
      return utf8.decode(bytes);
    } catch {
      return undefined;
    }
  };
}

function toSeries(symbols: Symbols, series: TimeSeries, metadata: SeriesMetadata): Series {
  return {
    labels: readLabels(symbols, series.labelsRefs),
    samples: series.samples,
    histograms: series.histograms,
    exemplars: series.exemplars.map(({ labelsRefs, value, timestamp }) => ({
      labels: readLabels(symbols, labelsRefs),
      value,
      timestamp,
    })),
    metadata,
    startTimestamp: createdTimestamp(series),
  };
}

function readLabels(symbols: Symbols, refs: readonly number[]): Result<Label[]> {
  // Before a table of few texts is spelled out as many: __name__ beside the others.
  if (refs.length > (MAX_LABELS + 1) * 2) {
    return reject("too_many_labels", "labels_refs", `must refer to at most ${MAX_LABELS} labels`);
  }
  if (refs.length % 2 !== 0)
    return reject("wrong_type", "labels_refs", "must be pairs of a name and a value");
  const labels: Label[] = [];
  for (let i = 0; i < refs.length; i += 2) {
    const name = lookUp(symbols, refs[i] as number, "labels_refs");
    const value = lookUp(symbols, refs[i + 1] as number, "labels_refs");
    if (!name.ok) return name;
    if (!value.ok) return value;
    labels.push({ name: name.value, value: value.value });
  }
  return ok(labels);
}

function readMetadata(symbols: Symbols, { metadata }: TimeSeries): Result<SeriesMetadata> {
  if (!metadata) return ok({});
  const help = lookUp(symbols, metadata.helpRef, "metadata.help_ref");
  const unit = lookUp(symbols, metadata.unitRef, "metadata.unit_ref");
  if (!help.ok) return help;
  if (!unit.ok) return unit;
  return ok({ kind: KINDS[metadata.type], help: help.value, unit: unit.value });
}

function lookUp(symbols: Symbols, ref: number, path: string): Result<string> {
  if (ref >= symbols.length) {
    return reject("wrong_type", path, `refers to symbol ${ref} of ${symbols.length}`);
  }
  const text = symbols[ref];
  return text === undefined ? { ok: false, error: invalidText(path) } : ok(text);
}

function createdTimestamp({ $unknown }: TimeSeries): bigint {
  const field = $unknown?.findLast(
    ({ no, wireType }) => no === CREATED_TIMESTAMP && wireType === WireType.Varint,
  );
  return field ? BigInt(new BinaryReader(field.data).int64()) : 0n;
}
