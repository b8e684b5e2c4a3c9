// The OpenTelemetry SDK for JavaScript as an application uses it: sends logs, spans and metrics by OTLP/HTTP and ends.
// `node send.mjs PACKAGE_JSON URL KEY http|proto RUN`; the packages are those beside PACKAGE_JSON. What the test cannot
// know beforehand (ids and times) is printed as JSON.
import { createRequire } from "node:module";

const [packageJson, url, key, encoding, run] = process.argv.slice(2);
const load = createRequire(packageJson);
const {
  DiagConsoleLogger,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  ValueType,
  context,
  diag,
  trace,
} = load("@opentelemetry/api");
const { SeverityNumber } = load("@opentelemetry/api-logs");
const { resourceFromAttributes } = load("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = load("@opentelemetry/sdk-logs");
const { AggregationTemporality, AggregationType, MeterProvider, PeriodicExportingMetricReader } = load(
  "@opentelemetry/sdk-metrics",
);
const { BasicTracerProvider, BatchSpanProcessor } = load("@opentelemetry/sdk-trace-base");
const { OTLPLogExporter } = load(`@opentelemetry/exporter-logs-otlp-${encoding}`);
const { OTLPMetricExporter } = load(`@opentelemetry/exporter-metrics-otlp-${encoding}`);
const { OTLPTraceExporter } = load(`@opentelemetry/exporter-trace-otlp-${encoding}`);

// An export that was given up is a line on the standard error, which the test reads.
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR);

const to = (signal) => ({ url: `${url}/v1/${signal}`, headers: { Authorization: `Bearer ${key}` } });
const resource = resourceFromAttributes({
  "service.name": `js-${run}`,
  "host.name": "web-ü",
  "process.args": ["a", "b"],
});
const scope = ["scope-é", "1.2.3", { schemaUrl: "https://opentelemetry.io/schemas/1.40.0" }];
const now = Date.now();
// Nanoseconds that no number of milliseconds and no float holds.
const at = (offsetMs, nanos) => [
  Math.floor((now + offsetMs) / 1000),
  ((now + offsetMs) % 1000) * 1_000_000 + nanos,
];

const spans = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(to("traces")))],
});
const tracer = spans.getTracer(...scope);
const linked = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: TraceFlags.SAMPLED,
};
const parent = tracer.startSpan("GET /käse", {
  kind: SpanKind.SERVER,
  startTime: at(-100, 1),
  attributes: { "http.route": "/käse", big: 9007199254740994, ratio: 0.5, ok: true, list: ["x", "y"] },
  links: [{ context: linked, attributes: { why: "follows" } }],
});
const within = trace.setSpan(context.active(), parent);
const child = tracer.startSpan("SELECT", { kind: SpanKind.CLIENT, startTime: at(-90, 2) }, within);
child.addEvent("retry", { attempt: 2 }, at(-80, 3));
child.setStatus({ code: SpanStatusCode.ERROR, message: "deadlock ☠" });
child.end(at(-50, 4));
parent.setStatus({ code: SpanStatusCode.OK });
parent.end(at(0, 5));

const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(to("logs")) })],
});
const logger = logs.getLogger(...scope);
for (let i = 0; i < 20; i++) {
  logger.emit({
    timestamp: at(i, 123457),
    observedTimestamp: at(i, 123458),
    severityNumber: SeverityNumber.WARN2,
    severityText: "WARN",
    body: `line ${i} 日本語 🎉`,
    attributes: { i, big: -9007199254740994, nested: { deep: [1, "two", { three: null }] } },
    context: within,
  });
}
logger.emit({
  timestamp: at(30, 1),
  severityNumber: SeverityNumber.FATAL,
  body: { a: ["structured", 1.5] },
  eventName: "js.event",
});

const meters = new MeterProvider({
  resource,
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({
        ...to("metrics"),
        temporalityPreference: AggregationTemporality.CUMULATIVE,
      }),
      exportIntervalMillis: 3_600_000,
    }),
  ],
  views: [
    { instrumentName: "*.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    {
      instrumentName: "*.histogram",
      aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [1, 5] } },
    },
  ],
});
const meter = meters.getMeter(...scope);
const attributes = { region: "é" };
const describe = { unit: "By", description: "beschrieben ☕" };
meter
  .createCounter(`js.${run}.counter`, { ...describe, valueType: ValueType.INT })
  .add(9007199254740990, attributes);
meter.createUpDownCounter(`js.${run}.updown`, describe).add(-2.5, attributes);
meter.createGauge(`js.${run}.gauge`, describe).record(0.1, attributes);
for (const kind of ["histogram", "exponential"]) {
  const histogram = meter.createHistogram(`js.${run}.${kind}`, describe);
  for (const value of [0.5, 2, 2, 7.25]) histogram.record(value, attributes);
}

await Promise.all([spans.forceFlush(), logs.forceFlush(), meters.forceFlush()]);
process.stdout.write(
  JSON.stringify({
    traceId: parent.spanContext().traceId,
    parentId: parent.spanContext().spanId,
    childId: child.spanContext().spanId,
    nowMs: now,
  }),
);
// What a shutdown would export again is no part of the test.
process.exit(0);
