// A wrong clock is corrected only where the client asks, to the nanosecond, in every field that holds a time.
import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClockSkew, shiftOtlp, shiftRecord } from "../../../lib/ingest/clock-skew.ts";
import { ExportLogsServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "../../../lib/telemetry/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { validateRecord } from "../../../lib/telemetry/signal.ts";

const RECEIVED_MS = Date.parse("2026-11-21T10:00:00.000Z");
const HOUR_MS = 3_600_000;

function read(headers: Record<string, string>, query = "") {
  return readClockSkew(new Headers(headers), new URLSearchParams(query), RECEIVED_MS);
}

describe("readClockSkew", () => {
  it("is 0 where nothing is asked for, whatever Date says", () => {
    expect(read({})).toEqual({ ok: true, value: 0 });
    expect(read({ Date: "Sat, 21 Nov 2020 10:00:00 GMT" })).toEqual({ ok: true, value: 0 });
  });

  it.each([
    ["2026-11-21T09:00:00Z", HOUR_MS],
    ["2026-11-21T12:00:00.250+01:00", -HOUR_MS - 250],
    [String(RECEIVED_MS - HOUR_MS), HOUR_MS],
    ["2026-11-21T10:00:01.999Z", 0],
    ["2026-11-21T09:59:58.001Z", 0],
    ["2026-11-21T09:59:58.000Z", 2_000],
  ])("takes X-Sent-At %s as %i ms", (sentAt, skewMs) => {
    expect(read({ "X-Sent-At": sentAt })).toEqual({ ok: true, value: skewMs });
    expect(read({ "X-Sent-At": sentAt, Date: "Sat, 21 Nov 2020 10:00:00 GMT" }, "clock=date")).toEqual({
      ok: true,
      value: skewMs,
    });
  });

  it("takes Date where the query asks for it", () => {
    expect(read({ Date: "Sat, 21 Nov 2026 09:00:00 GMT" }, "clock=date")).toEqual({
      ok: true,
      value: HOUR_MS,
    });
  });

  it.each([
    [{ "X-Sent-At": "" }, "", "X-Sent-At"],
    [{ "X-Sent-At": "yesterday" }, "", "X-Sent-At"],
    [{ "X-Sent-At": "-1" }, "", "X-Sent-At"],
    [{ "X-Sent-At": "1795255200" }, "", "X-Sent-At"], // seconds, read as 1970
    [{ "X-Sent-At": "2010-01-01T00:00:00Z" }, "", "X-Sent-At"],
    [{ "X-Sent-At": "2026-02-30T00:00:00Z" }, "", "X-Sent-At"],
    [{}, "clock=date", "Date"],
    [{ Date: "2026-11-21T09:00:00Z" }, "clock=date", "Date"],
    [{ Date: "Sat, 99 Nov 2026 09:00:00 GMT" }, "clock=date", "Date"],
  ])("refuses %o with %s", (headers, query, path) => {
    expect(read(headers as Record<string, string>, query)).toMatchObject({
      ok: false,
      error: { reason: "invalid_header", path },
    });
  });

  it("refuses another clock", () => {
    expect(read({}, "clock=mine")).toMatchObject({ ok: false, error: { reason: "invalid_query" } });
  });
});

describe("shiftRecord", () => {
  it("shifts whatever form the time has, and keeps every digit", () => {
    for (const [timestamp, shifted] of [
      ["2026-11-20T10:00:00.123456789Z", "2026-11-20T11:00:00.123456789Z"],
      ["2026-11-20 12:00:00+02:00", "2026-11-20T11:00:00.000Z"],
      [1_795_255_200, "2026-11-21T11:00:00.000Z"],
    ] as const) {
      expect(shiftRecord({ message: "m", timestamp }, HOUR_MS)).toEqual({ message: "m", timestamp: shifted });
    }
  });

  it("leaves alone what has no time, or none that can be read", () => {
    for (const record of [
      { message: "m" },
      { message: "m", timestamp: null },
      { timestamp: "soon" },
      7,
      null,
    ]) {
      expect(shiftRecord(record, HOUR_MS)).toBe(record);
    }
  });

  it("lets the check of the range see the corrected time", () => {
    const ahead = { message: "m", timestamp: "2026-11-21T11:00:00.000Z" };
    const context = { receivedMs: RECEIVED_MS, enforceTimeRange: true };
    expect(validateRecord("logs", ahead, context)).toMatchObject({
      error: { reason: "timestamp_out_of_range" },
    });
    expect(validateRecord("logs", shiftRecord(ahead, -HOUR_MS), context)).toMatchObject({
      value: { timestamp: "2026-11-21T10:00:00.000Z" },
    });
  });

  it("never throws, even beyond the years that can be written", () => {
    const skew = 10 * 365 * 86_400_000;
    for (const timestamp of ["9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z"]) {
      for (const skewMs of [skew, -skew]) {
        const shifted = shiftRecord({ message: "m", timestamp }, skewMs);
        const context = { receivedMs: RECEIVED_MS, enforceTimeRange: true };
        expect(validateRecord("logs", shifted, context).ok).toBe(false);
      }
    }
  });
});

describe("shiftOtlp", () => {
  const nanos = fc.bigInt({ min: 10n ** 18n, max: 2n * 10n ** 18n });

  it("shifts every time field exactly", () => {
    fc.assert(
      fc.property(nanos, fc.integer({ min: -1e11, max: 1e11 }), (time, skewMs) => {
        const skew = BigInt(skewMs) * 1_000_000n;
        const logs = create(ExportLogsServiceRequestSchema, {
          resourceLogs: [
            { scopeLogs: [{ logRecords: [{ timeUnixNano: time, observedTimeUnixNano: time + 1n }, {}] }] },
          ],
        });
        shiftOtlp({ signal: "logs", message: logs }, skewMs);
        expect(logs.resourceLogs[0]?.scopeLogs[0]?.logRecords).toMatchObject([
          { timeUnixNano: time + skew, observedTimeUnixNano: time + 1n + skew },
          { timeUnixNano: 0n, observedTimeUnixNano: 0n },
        ]);

        const point = {
          timeUnixNano: time,
          startTimeUnixNano: time - 9n,
          exemplars: [{ timeUnixNano: time - 5n }],
        };
        const summary = { timeUnixNano: time, startTimeUnixNano: time - 9n };
        const cases = (["gauge", "sum", "histogram", "exponentialHistogram"] as const).map((kind) => ({
          name: kind,
          data: { case: kind, value: { dataPoints: [point] } },
        }));
        const metrics = create(ExportMetricsServiceRequestSchema, {
          resourceMetrics: [
            {
              scopeMetrics: [
                {
                  metrics: [
                    ...(cases as never[]),
                    { data: { case: "summary", value: { dataPoints: [summary] } } },
                  ],
                },
              ],
            },
          ],
        });
        shiftOtlp({ signal: "metrics", message: metrics }, skewMs);
        for (const { data } of metrics.resourceMetrics[0]!.scopeMetrics[0]!.metrics) {
          const [shifted] = data.value!.dataPoints;
          expect(shifted).toMatchObject({
            timeUnixNano: time + skew,
            startTimeUnixNano: time - 9n + skew,
          });
          if (data.case !== "summary") {
            expect(shifted).toMatchObject({ exemplars: [{ timeUnixNano: time - 5n + skew }] });
          }
        }

        const spans = create(ExportTraceServiceRequestSchema, {
          resourceSpans: [
            {
              scopeSpans: [
                {
                  spans: [
                    {
                      startTimeUnixNano: time,
                      endTimeUnixNano: time + 3n,
                      events: [{ timeUnixNano: time + 1n }],
                    },
                  ],
                },
              ],
            },
          ],
        });
        shiftOtlp({ signal: "traces", message: spans }, skewMs);
        expect(spans.resourceSpans[0]?.scopeSpans[0]?.spans[0]).toMatchObject({
          startTimeUnixNano: time + skew,
          endTimeUnixNano: time + 3n + skew,
          events: [{ timeUnixNano: time + 1n + skew }],
        });
      }),
      { numRuns: 50 },
    );
  });

  it("stays within what the field can carry", () => {
    const logs = create(ExportLogsServiceRequestSchema, {
      resourceLogs: [
        { scopeLogs: [{ logRecords: [{ timeUnixNano: 5n }, { timeUnixNano: (1n << 64n) - 1n }] }] },
      ],
    });
    shiftOtlp({ signal: "logs", message: logs }, -HOUR_MS);
    shiftOtlp({ signal: "logs", message: logs }, 3 * HOUR_MS);
    const [low, high] = logs.resourceLogs[0]!.scopeLogs[0]!.logRecords;
    expect(low?.timeUnixNano).toBe(1n + BigInt(3 * HOUR_MS) * 1_000_000n);
    expect(high?.timeUnixNano).toBe((1n << 64n) - 1n);
  });
});
