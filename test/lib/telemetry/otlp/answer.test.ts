import { fromBinary, type DescMessage } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ExportLogsServiceResponseSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceResponseSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceResponseSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { otlpError, otlpFormOf, otlpSuccess } from "../../../../lib/telemetry/otlp/answer.ts";

const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

describe("OTLP answers", () => {
  it.each([
    ["logs", "rejectedLogRecords", ExportLogsServiceResponseSchema],
    ["metrics", "rejectedDataPoints", ExportMetricsServiceResponseSchema],
    ["traces", "rejectedSpans", ExportTraceServiceResponseSchema],
  ] as const)(
    "tell a partial success of %s in both forms, and only that",
    (signal, field, schema: DescMessage) => {
      expect(parse(otlpSuccess(signal, "json"))).toEqual({});
      expect(otlpSuccess(signal, "protobuf")).toHaveLength(0);
      expect(parse(otlpSuccess(signal, "json", 3, "three are too old"))).toEqual({
        partialSuccess: { [field]: "3", errorMessage: "three are too old" },
      });
      expect(fromBinary(schema, otlpSuccess(signal, "protobuf", 3, "three"))).toMatchObject({
        partialSuccess: { [field]: 3n, errorMessage: "three" },
      });
      expect(parse(otlpSuccess(signal, "json", 0, "a warning"))).toEqual({
        partialSuccess: { errorMessage: "a warning" },
      });
    },
  );

  it("tell errors as google.rpc.Status, byte by byte", () => {
    expect(parse(otlpError("json", 429, "slow down"))).toEqual({ code: 8, message: "slow down" });
    // 1: varint 14, 2: two bytes of text.
    expect([...otlpError("protobuf", 503, "no")]).toEqual([0x08, 14, 0x12, 2, 0x6e, 0x6f]);
    const codeOf = (status: number) => (parse(otlpError("json", status, "")) as { code: number }).code;
    expect([400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503].map(codeOf)).toEqual([
      3, 16, 7, 5, 8, 3, 3, 8, 13, 13, 14,
    ]);
    expect(() => otlpError("protobuf", 400, "\ud800")).not.toThrow();
  });

  it("know their content types", () => {
    expect(otlpFormOf("application/x-protobuf")).toBe("protobuf");
    expect(otlpFormOf("Application/JSON; charset=utf-8")).toBe("json");
    for (const other of [null, undefined, "", "text/plain", "application/protobuf", "application/jsonl"]) {
      expect(otlpFormOf(other)).toBeUndefined();
    }
  });
});
