// One OTLP/JSON request with every kind of data point, each with all that it can carry: summaries and much else that no
// SDK sends.

/** In protobuf's own JSON form where OTLP leaves a choice, so that it comes back as it went. */
export function everyPoint(id: string, description: string) {
  const nanos = BigInt(Date.now()) * 1_000_000n + 123_457n;
  const attributes = [{ key: "region", value: { stringValue: "é" } }];
  const common = {
    attributes,
    startTimeUnixNano: String(nanos - 1_000_000_001n),
    timeUnixNano: String(nanos),
  };
  const exemplar = {
    filteredAttributes: [{ key: "user", value: { intValue: "9007199254740993" } }],
    timeUnixNano: String(nanos - 1n),
    asDouble: 0.75,
    spanId: "eee19b7ec3c1b174",
    traceId: "5b8efff798038103d269b633813fc60c",
  };
  const distribution = { ...common, count: "6", sum: 10.5, min: 0.25, max: 5.5 };
  const points = [
    {
      kind: "gauge",
      rowKind: "gauge",
      value: 1.5,
      dataPoint: { ...common, asDouble: 1.5, exemplars: [exemplar] },
    },
    { kind: "sum", rowKind: "counter", value: 2 ** 53, dataPoint: { ...common, asInt: "9007199254740993" } },
    {
      kind: "histogram",
      rowKind: "histogram",
      value: null,
      dataPoint: {
        ...distribution,
        bucketCounts: ["1", "2", "3"],
        explicitBounds: [0.5, 2.5],
        exemplars: [exemplar],
      },
    },
    {
      kind: "exponentialHistogram",
      rowKind: "exponential_histogram",
      value: null,
      dataPoint: {
        ...distribution,
        scale: -3,
        zeroCount: "1",
        zeroThreshold: 0.001,
        positive: { offset: -2, bucketCounts: ["1", "3"] },
        negative: { offset: 4, bucketCounts: ["1"] },
      },
    },
    {
      kind: "summary",
      rowKind: "summary",
      value: null,
      dataPoint: { ...common, count: "6", sum: 10.5, quantileValues: [{ quantile: 0.99, value: 5.5 }] },
    },
  ].map((point) => ({ ...point, name: `curl_${point.kind}_${id}` }));
  const metrics = points.map(({ kind, name, dataPoint }) => ({
    name,
    unit: "By",
    description,
    [kind]: {
      dataPoints: [dataPoint],
      ...(kind === "gauge" || kind === "summary" ? {} : { aggregationTemporality: 2 }),
      ...(kind === "sum" ? { isMonotonic: true } : {}),
    },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: `curl-${id}` } }] };
  const scopeMetrics = [{ scope: { name: "scope", version: "1.2.3" }, metrics }];
  return { body: { resourceMetrics: [{ resource, scopeMetrics }] }, points };
}
