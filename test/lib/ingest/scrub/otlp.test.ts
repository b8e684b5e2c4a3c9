// The same rules on OTLP messages, in place: every level that holds attributes, the body, and the single texts.
import { create, toBinary, toJsonString, type DescMessage } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scrubOtlp } from "../../../../lib/ingest/scrub/otlp.ts";
import { createScrubber } from "../../../../lib/ingest/scrub/scrubber.ts";
import { ExportLogsServiceRequestSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { requestSchemas, type OtlpRequest } from "../../../../lib/telemetry/otlp/request.ts";

const SECRET = "bob@example.com";

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
const entry = (key: string, value: string = SECRET) => ({ key, value: text(value) });
const list = (...values: string[]) => ({
  value: { case: "arrayValue" as const, value: { values: values.map(text) } },
});
const object = (...values: { key: string; value: object }[]) => ({
  value: { case: "kvlistValue" as const, value: { values } },
});

const resource = () => ({
  attributes: [entry("service.name"), entry("host.name", "web-1"), entry("user.email")],
});
const scope = () => ({ name: SECRET, version: SECRET, attributes: [entry("by")] });

/** The secret stands wherever a text can. */
function requests(): OtlpRequest[] {
  const logs = create(ExportLogsServiceRequestSchema, {
    resourceLogs: [
      {
        schemaUrl: SECRET,
        resource: resource(),
        scopeLogs: [
          {
            schemaUrl: SECRET,
            scope: scope(),
            logRecords: [
              {
                severityText: SECRET,
                eventName: SECRET,
                body: object({ key: SECRET, value: list("a", SECRET) }) as never,
                attributes: [entry("user.email"), { key: SECRET, value: list(SECRET) as never }],
              },
              { body: text(`mail ${SECRET} now`) },
            ],
          },
        ],
      },
    ],
  });
  const exemplars = [{ filteredAttributes: [entry("user.email")] }];
  const points = [{ attributes: [entry("user.email"), entry("other", "o")], exemplars }];
  const metrics = create(ExportMetricsServiceRequestSchema, {
    resourceMetrics: [
      {
        resource: resource(),
        scopeMetrics: [
          {
            scope: scope(),
            metrics: (["gauge", "sum", "histogram", "exponentialHistogram", "summary"] as const).map(
              (kind) => ({
                name: SECRET,
                description: SECRET,
                unit: SECRET,
                metadata: [entry("m")],
                data: { case: kind, value: { dataPoints: points } } as never,
              }),
            ),
          },
        ],
      },
    ],
  });
  const traces = create(ExportTraceServiceRequestSchema, {
    resourceSpans: [
      {
        resource: resource(),
        scopeSpans: [
          {
            scope: scope(),
            spans: [
              {
                name: SECRET,
                traceState: `v=${SECRET}`,
                attributes: [entry("user.email")],
                events: [{ name: SECRET, attributes: [entry("user.email")] }],
                links: [{ traceState: `v=${SECRET}`, attributes: [entry("user.email")] }],
                status: { message: SECRET },
              },
            ],
          },
        ],
      },
    ],
  });
  return [
    { signal: "logs", message: logs },
    { signal: "metrics", message: metrics },
    { signal: "traces", message: traces },
  ];
}

const jsonOf = ({ signal, message }: OtlpRequest) =>
  toJsonString(requestSchemas[signal] as DescMessage, message);

function scrub(rules: unknown, request: OtlpRequest): number[] {
  const made = createScrubber(JSON.stringify(rules), "salt");
  if (!made.ok || !made.value) throw new Error("no scrubber");
  const counts = made.value.newCounts();
  scrubOtlp(made.value, request, counts);
  return counts;
}

describe("a pattern without a path", () => {
  it.each(["mask", "hash", "drop"])(
    "leaves nothing of the secret (%s), in a message that can be written",
    (action) => {
      for (const request of requests()) {
        const before = jsonOf(request).split(SECRET).length - 1;
        const [count] = scrub([{ action, pattern: "email" }], request);
        expect(jsonOf(request)).not.toContain(SECRET);
        expect(count).toBeGreaterThan(before / 2);
        expect(
          toBinary(requestSchemas[request.signal] as DescMessage, request.message).length,
        ).toBeGreaterThan(0);
      }
    },
  );

  it("keeps what it must: a metric's name, and no list with a marker as trace state", () => {
    const [, metrics, traces] = requests();
    for (const request of [metrics!, traces!]) scrub([{ action: "drop", pattern: "email" }], request);
    if (metrics?.signal !== "metrics" || traces?.signal !== "traces") throw new Error("not as made");
    expect(metrics.message.resourceMetrics[0]?.scopeMetrics[0]?.metrics[0]?.name).toBe("[masked]");
    expect(traces.message.resourceSpans[0]?.scopeSpans[0]?.spans[0]?.traceState).toBe("");
  });
});

describe("a path", () => {
  const masked = (path: string, rest: object = {}) => {
    const all = requests();
    for (const request of all) scrub([{ path, action: "mask", ...rest }], request);
    return all.map((request) => jsonOf(request).split('"[masked]"').length - 1);
  };

  it.each([
    // [logs, metrics with 5 kinds of point, of which 4 have exemplars, spans with an event and a link]
    ["attributes.user.email", [1, 9, 3]],
    ['attributes["user.email"]', [1, 9, 3]],
    ["labels.user.email", [1, 9, 3]],
    ["resource.user.email", [1, 1, 1]],
    ["resource.service.name", [1, 1, 1]],
    ["service", [1, 1, 1]],
    ["host", [1, 1, 1]],
    ["resource", [3, 3, 3]],
    ["scope.by", [1, 1, 1]],
    ["scope.name", [1, 1, 1]],
    ["body", [2, 0, 0]],
    ["message", [2, 0, 0]],
    ["body.*[1]", [1, 0, 0]],
    ["name", [0, 5, 1]],
    ["metadata.m", [0, 5, 0]],
    ["status_message", [0, 0, 1]],
    ["event_name", [1, 0, 1]],
  ])("%s", (path, counts) => {
    expect(masked(path)).toEqual(counts);
  });

  it("with a signal means that one only", () => {
    expect(masked("attributes.user.email", { signals: ["traces"] })).toEqual([0, 0, 3]);
  });

  it("reaches values that are no text", () => {
    const message = create(ExportLogsServiceRequestSchema, {
      resourceLogs: [
        {
          scopeLogs: [
            {
              logRecords: [
                {
                  attributes: [
                    { key: "card", value: { value: { case: "intValue", value: 4111111111111111n } } },
                    { key: "id", value: { value: { case: "intValue", value: 7n } } },
                    { key: "raw", value: { value: { case: "bytesValue", value: Uint8Array.of(1, 2) } } },
                  ],
                },
              ],
            },
          ],
        },
      ],
    });
    const attributes = message.resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!.attributes;
    scrub([{ path: "attributes.*", action: "mask", pattern: "credit_card" }], { signal: "logs", message });
    expect(attributes.map(({ value }) => value?.value.case)).toEqual([
      "stringValue",
      "intValue",
      "bytesValue",
    ]);
    scrub([{ path: "attributes.raw", action: "hash" }], { signal: "logs", message });
    expect(attributes[2]?.value?.value.value).toMatch(/^\[hash:[0-9a-f]{16}\]$/);
  });
});

describe("for any rules", () => {
  const rule = fc
    .record(
      {
        action: fc.constantFrom("drop", "hash", "mask"),
        pattern: fc.constantFrom("email", "phone", "ipv4", "/[a-z]+@/"),
        path: fc.constantFrom("**", "attributes.**", "resource.*", "scope", "body", "labels.other", "name"),
      },
      { requiredKeys: ["action"] },
    )
    .filter(({ pattern, path }) => pattern !== undefined || path !== undefined);

  it("scrubbing twice is scrubbing once", () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 3 }), (rules) => {
        for (const request of requests()) {
          scrub(rules, request);
          const once = jsonOf(request);
          expect(scrub(rules, request).every((count) => count === 0)).toBe(true);
          expect(jsonOf(request)).toBe(once);
        }
      }),
      { numRuns: 200 },
    );
  });
});
