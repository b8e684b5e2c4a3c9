// The rules of both specifications (labels, symbols, native histograms, exemplars), and the bounds of a request.
// Messages are made with the generated encoder: that the wire is right is golden.test.ts's business.
import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { doubleToBits } from "../../../../lib/telemetry/double.ts";
import {
  RequestSchema,
  type TimeSeriesSchema,
} from "../../../../lib/telemetry/gen/io/prometheus/write/v2/types_pb.ts";
import { WriteRequestSchema } from "../../../../lib/telemetry/gen/prometheus/remote_pb.ts";
import type {
  HistogramSchema,
  TimeSeriesSchema as TimeSeriesV1Schema,
} from "../../../../lib/telemetry/gen/prometheus/types_pb.ts";
import { decodeWriteRequest } from "../../../../lib/telemetry/remote-write/decode.ts";

const T0 = 1_795_168_800_000n;
const one = { value: doubleToBits(1) as bigint, timestamp: T0 };

/** What a message is made of; not the made one. */
type Init<Schema extends DescMessage> = Extract<MessageInitShape<Schema>, { $typeName?: never }>;
type RequestV1 = Init<typeof WriteRequestSchema>;
type RequestV2 = Init<typeof RequestSchema>;
type SeriesV1 = Init<typeof TimeSeriesV1Schema>;
type SeriesV2 = Init<typeof TimeSeriesSchema>;
type Histogram = Init<typeof HistogramSchema>;

const encodeV1 = (request: RequestV1) => toBinary(WriteRequestSchema, create(WriteRequestSchema, request));
const encodeV2 = (request: RequestV2) => toBinary(RequestSchema, create(RequestSchema, request));

function v1(request: RequestV1) {
  return outcome(decodeWriteRequest("v1", encodeV1(request)));
}

function v2(request: RequestV2) {
  return outcome(decodeWriteRequest("v2", encodeV2(request)));
}

/** The records, or of a refused one `reason path`; of a refused request the same. */
function outcome(body: ReturnType<typeof decodeWriteRequest>) {
  if (!body.ok) return `${body.error.reason} ${body.error.path}`;
  return body.value.records.map((record) =>
    record.ok ? record.value : `${record.error.reason} ${record.error.path}`,
  );
}

const labelled = (...pairs: [string, string][]): SeriesV1 => ({
  labels: pairs.map(([name, value]) => ({ name, value })),
  samples: [one],
});
const up: [string, string] = ["__name__", "up"];

describe("labels", () => {
  const wide = (count: number) => Array.from({ length: count }, (_, i): [string, string] => [`l${i}`, "v"]);

  it.each<[string, [string, string][], string]>([
    ["no name", [["job", "a"]], "missing_field timeseries[0].__name__"],
    ["none at all", [], "missing_field timeseries[0].__name__"],
    ["an empty name", [["__name__", ""]], "invalid_name timeseries[0].__name__"],
    ["a name too long", [["__name__", "n".repeat(201)]], "too_long timeseries[0].__name__"],
    ["two names", [up, ["__name__", "b"]], "forbidden_key timeseries[0].labels.__name__"],
    ["a label twice", [up, ["job", "a"], ["x", ""], ["job", "b"]], "forbidden_key timeseries[0].labels.job"],
    ["an empty label name", [up, ["", "a"]], 'invalid_name timeseries[0].labels[""]'],
    ["an empty value", [up, ["job", ""]], "wrong_type timeseries[0].labels.job"],
    ["a value too long", [up, ["job", "v".repeat(1025)]], "too_long timeseries[0].labels.job"],
    ["a name of another meaning", [up, ["__proto__", "a"]], "forbidden_key timeseries[0].labels.__proto__"],
    ["too many", [up, ...wide(31)], "too_many_labels timeseries[0].labels"],
  ])("refuses %s, and only that series", (_, pairs, expected) => {
    expect(v1({ timeseries: [labelled(...pairs), labelled(up)] })).toEqual([
      expected,
      expect.objectContaining({ name: "up" }),
    ]);
  });

  it("takes as many as are allowed, any UTF-8, and any order, and keeps them sorted", () => {
    expect(v1({ timeseries: [labelled(up, ...wide(30))] })).toEqual([
      expect.objectContaining({ name: "up" }),
    ]);
    const [record] = v1({ timeseries: [labelled(["z", "1"], ["job name", "a\nb"], up, ["a.b", "🌍"])] });
    expect(JSON.stringify(record)).toContain('"labels":{"a.b":"🌍","job name":"a\\nb","z":"1"}');
  });

  it("refuses every sample and histogram of the series", () => {
    const series = { ...labelled(["job", "a"]), samples: [one, one], histograms: [{ timestamp: T0 }] };
    expect(v1({ timeseries: [series] })).toHaveLength(3);
  });

  it("refuses text that is not UTF-8 with its series alone", () => {
    const bytes = encodeV1({ timeseries: [labelled(["__name__", "??"]), labelled(up)] });
    bytes[bytes.indexOf(0x3f)] = 0xff;
    expect(outcome(decodeWriteRequest("v1", bytes))).toEqual([
      "invalid_utf8 timeseries[0]",
      expect.objectContaining({ name: "up" }),
    ]);
    const symbols = encodeV2({
      symbols: ["", "__name__", "??", "up"],
      timeseries: [
        { labelsRefs: [1, 2], samples: [one] },
        { labelsRefs: [1, 3], samples: [one] },
      ],
    });
    symbols[symbols.indexOf(0x3f)] = 0xff;
    expect(outcome(decodeWriteRequest("v2", symbols))).toEqual([
      "invalid_utf8 timeseries[0].labels_refs",
      expect.objectContaining({ name: "up" }),
    ]);
  });
});

describe("symbols", () => {
  const symbols = ["", "__name__", "up", "job", "a"];
  const good: SeriesV2 = { labelsRefs: [1, 2], samples: [one] };

  it.each<[string, SeriesV2, string]>([
    [
      "a reference behind the table",
      { labelsRefs: [1, 5], samples: [one] },
      "wrong_type timeseries[0].labels_refs",
    ],
    [
      "an odd number of them",
      { labelsRefs: [1, 2, 3], samples: [one] },
      "wrong_type timeseries[0].labels_refs",
    ],
    ["none", { samples: [one] }, "missing_field timeseries[0].__name__"],
    [
      "help behind the table",
      { ...good, metadata: { helpRef: 5 } },
      "wrong_type timeseries[0].metadata.help_ref",
    ],
    [
      "a unit behind the table",
      { ...good, metadata: { unitRef: 4_294_967_295 } },
      "wrong_type timeseries[0].metadata.unit_ref",
    ],
  ])("refuses %s", (_, series, expected) => {
    expect(v2({ symbols, timeseries: [series, good] })).toEqual([
      expected,
      expect.objectContaining({ name: "up" }),
    ]);
  });

  it("must begin with the empty text", () => {
    expect(v2({ symbols: ["__name__", "up"], timeseries: [{ labelsRefs: [0, 1], samples: [one] }] })).toBe(
      "wrong_type symbols[0]",
    );
  });

  it("may stand behind the series", () => {
    const bytes = [
      ...encodeV2({ timeseries: [{ labelsRefs: [1, 2], samples: [one] }] }),
      ...encodeV2({ symbols: ["", "__name__", "up"] }),
    ];
    expect(outcome(decodeWriteRequest("v2", new Uint8Array(bytes)))).toEqual([
      expect.objectContaining({ name: "up", value: 1 }),
    ]);
  });

  it("refuses an exemplar of bad references, and keeps the sample", () => {
    const series = { ...good, exemplars: [{ labelsRefs: [9, 9], value: 1, timestamp: T0 }] };
    expect(v2({ symbols, timeseries: [series] })).toEqual([
      expect.objectContaining({ name: "up" }),
      "wrong_type timeseries[0].exemplars.labels_refs",
    ]);
  });

  it("reads the start of a series as the release candidates wrote it: field 6", () => {
    const message = encodeV2({ timeseries: [good] });
    const length = message[1] as number;
    const series = [...message.subarray(2), 0x30, 0x90, 0x4e];
    const bytes = [...encodeV2({ symbols }), message[0] as number, length + 3, ...series];
    expect(outcome(decodeWriteRequest("v2", new Uint8Array(bytes)))).toEqual([
      expect.objectContaining({ detail: { prometheus: { startTimestamp: 10_000 } } }),
    ]);
  });
});

describe("what a request may leave out", () => {
  it("everything", () => {
    expect(v1({})).toEqual([]);
    expect(v2({})).toEqual([]);
  });

  it("samples: metadata alone makes no record", () => {
    expect(v1({ metadata: [{ metricFamilyName: "up", type: 2, help: "h" }] })).toEqual([]);
    const symbols = ["", "__name__", "up", "help"];
    expect(v2({ symbols, timeseries: [{ labelsRefs: [1, 2], metadata: { type: 2, helpRef: 3 } }] })).toEqual(
      [],
    );
    expect(v2({ symbols, timeseries: [{ labelsRefs: [1, 0], metadata: { type: 2 } }] })).toEqual([
      "invalid_name timeseries[0].__name__",
    ]);
  });

  it("a time outside of what stores hold is refused", () => {
    const samples = [one, { ...one, timestamp: 9_223_372_036_854_775_807n }];
    expect(v1({ timeseries: [{ ...labelled(up), samples }] })).toEqual([
      expect.objectContaining({ name: "up" }),
      "timestamp_out_of_range timeseries[0].samples.timestamp",
    ]);
  });
});

describe("exemplars", () => {
  const at = (timestamp: bigint) => ({
    labels: [{ name: "t", value: String(timestamp - T0) }],
    value: 1,
    timestamp,
  });
  const placed = (records: ReturnType<typeof v1>) =>
    Array.isArray(records) &&
    records.map((record) => {
      const prometheus = typeof record === "string" ? undefined : record.detail?.prometheus;
      const { exemplars = [] } = (prometheus ?? {}) as { exemplars?: { labels: { t: string } }[] };
      return exemplars.map(({ labels }) => labels.t);
    });

  it("go to the sample nearest in time, the later of two, and to the last without a time", () => {
    const samples = [0n, 10n, 20n].map((offset) => ({ ...one, timestamp: T0 + offset }));
    const exemplars = [-5n, 4n, 5n, 16n, 99n].map((offset) => at(T0 + offset));
    const series = { ...labelled(up), samples: samples.toReversed(), exemplars: [...exemplars, at(0n)] };
    expect(placed(v1({ timeseries: [series] }))).toEqual([["16", "99", String(-T0)], ["5"], ["-5", "4"]]);
  });

  it("in a series of their own, as Prometheus sends them, go to the samples of the same labels", () => {
    const { samples: _, ...alone } = labelled(up, ["job", "a"]);
    const records = v1({
      timeseries: [{ ...alone, exemplars: [at(T0)] }, labelled(up), labelled(["job", "a"], up)],
    });
    expect(placed(records)).toEqual([[], ["0"]]);
  });

  it("of no sample in the request make a record without a value", () => {
    const { samples: _, ...alone } = labelled(up);
    expect(v1({ timeseries: [{ ...alone, exemplars: [at(T0 + 1n), at(T0)] }] })).toEqual([
      expect.objectContaining({
        name: "up",
        value: null,
        timestamp: "2026-11-20T10:00:00.001Z",
        detail: { prometheus: { exemplars: [expect.anything(), expect.anything()] } },
      }),
    ]);
  });

  it("keep floats that are no finite number", () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, -0.5].map((value) => ({ value, timestamp: T0 }));
    const [record] = v1({ timeseries: [{ ...labelled(up), exemplars: values }] });
    expect(JSON.stringify(record)).toMatch(/"value":"NaN".*"value":"\+Inf".*"value":-0\.5/);
  });
});

describe("metadata of 1.0", () => {
  it.each([
    [1, "a", "a_total", "counter"],
    [1, "a_total", "a_total", "counter"],
    [2, "a", "a", "gauge"],
    [2, "a", "a_sum", undefined],
    [3, "a", "a_bucket", "histogram"],
    [4, "a", "a_gcount", "gauge_histogram"],
    [5, "a", "a_sum", "summary"],
    [6, "a", "a_info", "info"],
    [7, "a", "a", "stateset"],
    [0, "a", "a", undefined],
    [99, "a", "a", undefined],
  ])("type %i of family %s says of %s: %s", (type, family, name, kind) => {
    const metadata = [{ type, metricFamilyName: family, help: "h", unit: "s" }];
    const [record] = v1({ metadata, timeseries: [labelled(["__name__", name])] });
    expect(typeof record === "object" ? record.kind : record).toBe(kind);
  });

  it("of the very name wins over another family's suffix, in either order", () => {
    const metadata = [
      { type: 5, metricFamilyName: "a" },
      { type: 2, metricFamilyName: "a_sum" },
    ];
    for (const list of [metadata, metadata.toReversed()]) {
      const [record] = v1({ metadata: list, timeseries: [labelled(["__name__", "a_sum"])] });
      expect(record).toMatchObject({ kind: "gauge" });
    }
  });
});

describe("native histograms", () => {
  const int = (value: bigint) => ({ case: "countInt" as const, value });
  const float = (value: number) => ({ case: "countFloat" as const, value });
  const zero = (value: bigint) => ({ case: "zeroCountInt" as const, value });
  const custom = {
    schema: -53,
    positiveSpans: [{ offset: 0, length: 2 }],
    positiveDeltas: [1n, 0n],
    count: int(2n),
  };

  const decodeOne = (histogram: Histogram) => {
    const [record] = v1({
      timeseries: [{ ...labelled(up), samples: [], histograms: [{ timestamp: T0, ...histogram }] }],
    });
    return record;
  };

  it.each<[string, Histogram]>([
    ["the lowest schema", { schema: -4 }],
    ["a reserved schema", { schema: 9 }],
    [
      "buckets before 1",
      { count: int(1n), positiveSpans: [{ offset: -7, length: 1 }], positiveDeltas: [1n] },
    ],
    ["custom bounds, one bucket above the last", { ...custom, customValues: [1] }],
    ["a first bound of -Inf", { ...custom, customValues: [Number.NEGATIVE_INFINITY] }],
    ["NaN observed", { count: int(3n), zeroCount: zero(1n), sum: doubleToBits("NaN") as bigint }],
    [
      "floats whose sum of buckets is another",
      { count: float(9), positiveSpans: [{ length: 1 }], positiveCounts: [1] },
    ],
  ])("takes %s", (_, histogram) => {
    expect(decodeOne(histogram)).toMatchObject({ name: "up", value: null });
  });

  it.each<[string, Histogram, string]>([
    ["a schema too low", { schema: -5 }, "schema"],
    ["a schema too high", { schema: 53 }, "schema"],
    ["more buckets than spans", { count: int(1n), positiveDeltas: [1n] }, "positive_spans"],
    ["more spans than buckets", { negativeSpans: [{ length: 4_294_967_295 }] }, "negative_spans"],
    [
      "spans that go back",
      { count: int(2n), positiveSpans: [{ length: 1 }, { offset: -1, length: 1 }], positiveDeltas: [1n, 0n] },
      "positive_spans",
    ],
    [
      "a bucket below 0",
      { count: int(0n), positiveSpans: [{ length: 2 }], positiveDeltas: [1n, -2n] },
      "positiveDeltas",
    ],
    ["a count of another sum", { count: int(2n), zeroCount: zero(1n) }, "count"],
    ["+Inf as sum, and a count too high", { count: int(2n), sum: doubleToBits("+Inf") as bigint }, "count"],
    [
      "NaN observed, and a count too low",
      { count: int(0n), zeroCount: zero(1n), sum: doubleToBits("NaN") as bigint },
      "count",
    ],
    ["a float count below 0", { count: float(-1) }, "count"],
    [
      "a float bucket below 0",
      { count: float(1), negativeSpans: [{ length: 1 }], negativeCounts: [-1] },
      "negativeCounts",
    ],
    [
      "a count of integers with a zero bucket of floats",
      { zeroCount: { case: "zeroCountFloat", value: 0.5 } },
      "zero_count",
    ],
    ["custom bounds with an exponential schema", { customValues: [1] }, "custom_values"],
    ["custom bounds that do not rise", { ...custom, customValues: [1, 1] }, "custom_values"],
    ["custom bounds with NaN", { ...custom, customValues: [Number.NaN, 1] }, "custom_values"],
    [
      "custom bounds that say +Inf",
      { ...custom, customValues: [1, Number.POSITIVE_INFINITY] },
      "custom_values",
    ],
    ["too few custom bounds", { ...custom, customValues: [] }, "positive_spans"],
    ["custom buckets and a zero bucket", { ...custom, customValues: [1], zeroCount: zero(1n) }, "zero_count"],
    [
      "custom buckets below zero",
      { ...custom, customValues: [1], negativeSpans: [{ length: 0 }] },
      "negative_spans",
    ],
  ])("refuses %s", (_, histogram, field) => {
    expect(decodeOne(histogram)).toBe(`wrong_type timeseries[0].histogram.${field}`);
  });
});

describe("bounds", () => {
  const tag = (field: number) => (field << 3) | 2;
  const series = (body: number[]) => new Uint8Array([tag(1), ...varint(body.length), ...body]);
  function varint(value: number): number[] {
    return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
  }
  const emptySamples = (count: number) => Array.from({ length: count }, () => [tag(2), 0]).flat();
  const v1Bytes = (bytes: Uint8Array) => outcome(decodeWriteRequest("v1", bytes));

  it("10,000 samples and histograms, counted before any is made", () => {
    expect(v1Bytes(series(emptySamples(10_000)))).toHaveLength(10_000);
    expect(v1Bytes(series(emptySamples(10_001)))).toBe("too_many_records ");
  });

  it("20,000 series, and 10,000 records in all", () => {
    const many = (count: number) => new Uint8Array(Array.from({ length: count }, () => [tag(1), 0]).flat());
    expect(v1Bytes(many(10_000))).toHaveLength(10_000);
    expect(v1Bytes(many(10_001))).toBe("too_many_records ");
    expect(v1Bytes(many(20_001))).toBe("too_many_records ");
  });

  it("values: labels of two bytes each, and numbers in lists", () => {
    expect(v1Bytes(series(Array.from({ length: 400_001 }, () => [tag(1), 0]).flat()))).toBe(
      "too_many_values ",
    );
    const deltas = Array.from({ length: 1_700_000 }, () => 0);
    const histogram = [tag(12), ...varint(deltas.length)].concat(deltas);
    expect(v1Bytes(series([tag(4), ...varint(histogram.length)].concat(histogram)))).toBe("too_many_values ");
  });

  it("a label's text in 10,000 records", () => {
    const wide = Array.from({ length: 30 }, (_, i): [string, string] => [`l${i}`, "v".repeat(1_000)]);
    const samples = Array.from({ length: 1_000 }, () => one);
    expect(v1({ timeseries: [{ ...labelled(up, ...wide), samples }] })).toBe("body_too_large ");
    expect(v1({ timeseries: [{ ...labelled(up, ...wide), samples: samples.slice(0, 500) }] })).toHaveLength(
      500,
    );
  });

  it("a family's help in 10,000 records, in little time", () => {
    const metadata = [{ type: 2, metricFamilyName: "up", help: "h".repeat(5_000_000) }];
    const startMs = performance.now();
    expect(v1({ metadata, timeseries: Array.from({ length: 10_000 }, () => labelled(up)) })).toBe(
      "body_too_large ",
    );
    // Spelling it for every record, to know its length, would take a minute.
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });

  it("refusals of exemplars, which count as records", () => {
    const exemplars = Array.from({ length: 10_000 }, () => ({ labelsRefs: [9], value: 1 }));
    const series = { labelsRefs: [1, 2], samples: [one], exemplars };
    const symbols = ["", "__name__", "up"];
    expect(v2({ symbols, timeseries: [series] })).toBe("too_many_records ");
    expect(v2({ symbols, timeseries: [{ ...series, exemplars: exemplars.slice(1) }] })).toHaveLength(10_000);
  });

  it("many exemplars beside many samples in little time", () => {
    const samples = Array.from({ length: 10_000 }, (_, i) => ({ ...one, timestamp: T0 + BigInt(i) }));
    const exemplars = Array.from({ length: 100_000 }, (_, i) => ({
      value: 1,
      timestamp: T0 + BigInt(i % 9_999),
    }));
    const startMs = performance.now();
    expect(v1({ timeseries: [{ ...labelled(up), samples, exemplars }] })).toHaveLength(10_000);
    // Each of one against each of the other would be 10⁹ steps, some minutes.
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });

  it.each<[string, number[]]>([
    ["field 0", [2, 0]],
    ["a group", [(1 << 3) | 3, (1 << 3) | 4]],
    ["an unknown group, nested", [(9 << 3) | 3, (9 << 3) | 3]],
    ["a tag without an end", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["a length beyond the end", [tag(1), 5, 0]],
    ["a length of 4 GiB", [tag(1), 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["a message that leaves its own", [tag(1), 2, tag(1), 1, 0]],
    ["series as a number", [1 << 3, 1]],
    ["a list that breaks off within a number", [tag(1), 6, tag(4), 4, tag(12), 2, 0x01, 0x80]],
    [
      "a number of eleven bytes in a list",
      [tag(1), 15, tag(4), 13, tag(12), 11, ...Array.from({ length: 10 }, () => 0x80), 1],
    ],
    ["a list of floats of seven bytes", [tag(1), 11, tag(4), 9, tag(13), 7, 0, 0, 0, 0, 0, 0, 0]],
  ])("refuses %s", (_, bytes) => {
    expect(v1Bytes(new Uint8Array(bytes))).toBe("malformed_protobuf ");
  });

  it("skips fields it does not know", () => {
    const unknown = [
      (9 << 3) | 0,
      1,
      (9 << 3) | 1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      (9 << 3) | 2,
      1,
      0,
      (9 << 3) | 5,
      0,
      0,
      0,
      0,
    ];
    const bytes = new Uint8Array([...unknown, ...encodeV1({ timeseries: [labelled(up)] }), ...unknown]);
    expect(v1Bytes(bytes)).toEqual([expect.objectContaining({ name: "up" })]);
  });
});
