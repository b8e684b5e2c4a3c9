// What a client sends to have its records kept as another tenant's: in the record, around it, in a header that other
// systems go by, and in the field that Weir itself adds on its topics. By the route; the first attempt of each is accepted.
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { WriteRequestSchema } from "../../../lib/telemetry/gen/prometheus/remote_pb.ts";
import { doubleToBits } from "../../../lib/telemetry/double.ts";
import { writeWeirField } from "../../../lib/telemetry/otlp/weir-field.ts";

export interface Attempt {
  body: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

export interface ForgedIntake {
  topic: string;
  /** Where the mark is found once the record is stored. */
  table: "logs" | "metrics" | "events" | "spans";
  column: string;
  attempts(mark: string, tenant: string): Attempt[];
}

function json(listField: string, record: (mark: string, tenant: string) => object) {
  return (mark: string, tenant: string): Attempt[] => {
    const one = record(mark, tenant);
    const envelope = { v: 1, tenant, batch: "b", received: new Date().toISOString(), indices: [0] };
    const bodies = [one, [one], { ...envelope, [listField]: [one] }, { tenant, [listField]: [one] }];
    return bodies.map((body) => ({ body: JSON.stringify(body) }));
  };
}

const logs: ForgedIntake = {
  topic: "logs.raw",
  table: "logs",
  column: "message",
  attempts: json("entries", (mark, tenant) => ({ message: mark, tenant })),
};
const metrics: ForgedIntake = {
  topic: "metrics.raw",
  table: "metrics",
  column: "name",
  attempts: json("metrics", (mark, tenant) => ({ name: mark, value: 1, labels: { tenant } })),
};
const events: ForgedIntake = {
  topic: "events.raw",
  table: "events",
  column: "event_type",
  attempts: json("events", (mark, tenant) => ({ event_type: mark, data: { tenant }, tenant })),
};

/** Alone, and with Weir's own field before and behind it. */
function otlp(request: (mark: string, tenant: string) => Uint8Array) {
  return (mark: string, tenant: string): Attempt[] => {
    const bytes = request(mark, tenant);
    const forged = writeWeirField({ tenant, batch: "b", attempt: 0, receivedMs: Date.now(), indices: [0] });
    return [[bytes], [bytes, forged], [forged, bytes], [forged, bytes, forged]].map((parts) => ({
      body: joined(parts),
      headers: { "Content-Type": "application/x-protobuf" },
    }));
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const resource = (tenant: string) => ({
  attributes: ["tenant", "service.name"].map((key) => ({
    key,
    value: { value: { case: "stringValue" as const, value: tenant } },
  })),
});
const nowNanos = () => BigInt(Date.now()) * 1_000_000n;

export const FORGED_INTAKE: Record<string, ForgedIntake> = {
  "POST /api/v1/logs": logs,
  "POST /api/v1/metrics": metrics,
  "POST /metrics": metrics,
  "POST /api/v1/events": events,
  "POST /kafka/publish": {
    ...events,
    attempts: (mark, tenant) =>
      [
        { event_type: mark, data: { tenant } },
        { event_type: mark, data: 1, tenant },
      ].map((body) => ({ body: JSON.stringify(body) })),
  },
  "POST /v1/logs": {
    ...logs,
    attempts: otlp((mark, tenant) =>
      toBinary(
        ExportLogsServiceRequestSchema,
        create(ExportLogsServiceRequestSchema, {
          resourceLogs: [
            {
              resource: resource(tenant),
              scopeLogs: [
                {
                  logRecords: [
                    { timeUnixNano: nowNanos(), body: { value: { case: "stringValue", value: mark } } },
                  ],
                },
              ],
            },
          ],
        }),
      ),
    ),
  },
  "POST /v1/metrics": {
    ...metrics,
    attempts: otlp((mark, tenant) =>
      toBinary(
        ExportMetricsServiceRequestSchema,
        create(ExportMetricsServiceRequestSchema, {
          resourceMetrics: [
            {
              resource: resource(tenant),
              scopeMetrics: [
                {
                  metrics: [
                    {
                      name: mark,
                      data: {
                        case: "gauge",
                        value: {
                          dataPoints: [{ timeUnixNano: nowNanos(), value: { case: "asInt", value: 1n } }],
                        },
                      },
                    },
                  ],
                },
              ],
            },
          ],
        }),
      ),
    ),
  },
  "POST /v1/traces": {
    topic: "traces.raw",
    table: "spans",
    column: "name",
    attempts: otlp((mark, tenant) =>
      toBinary(
        ExportTraceServiceRequestSchema,
        create(ExportTraceServiceRequestSchema, {
          resourceSpans: [
            {
              resource: resource(tenant),
              scopeSpans: [
                {
                  spans: [
                    {
                      name: mark,
                      traceId: crypto.getRandomValues(new Uint8Array(16)),
                      spanId: crypto.getRandomValues(new Uint8Array(8)),
                      startTimeUnixNano: nowNanos(),
                      endTimeUnixNano: nowNanos(),
                    },
                  ],
                },
              ],
            },
          ],
        }),
      ),
    ),
  },
  "POST /api/v1/write": {
    ...metrics,
    attempts: (mark, tenant) => {
      const labels = [
        { name: "__name__", value: mark },
        { name: "tenant", value: tenant },
      ];
      const samples = [{ value: doubleToBits(1) ?? 0n, timestamp: BigInt(Date.now()) }];
      const request = create(WriteRequestSchema, { timeseries: [{ labels, samples }] });
      return [
        {
          body: snappy(toBinary(WriteRequestSchema, request)),
          headers: {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
          },
        },
      ];
    },
  },
};

/** Snappy's block format with one literal: its length as a varint, and a tag with a length of two bytes. */
function snappy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  if (length < 128 || length >= 16_384) return joined([Uint8Array.of(length, 60 << 2, length - 1), bytes]);
  const size = [(length & 0x7f) | 0x80, length >> 7];
  return joined([Uint8Array.of(...size, 61 << 2, (length - 1) & 0xff, (length - 1) >> 8), bytes]);
}
