// Negotiation by headers, as the specification of 2.0 has it and Prometheus' receiver does it.
import { describe, expect, it } from "vitest";
import { negotiate } from "../../../../lib/telemetry/remote-write/content-type.ts";

const outcome = (headers: Record<string, string>) => {
  const result = negotiate(new Headers(headers));
  return result.ok ? result.value : result.error.reason;
};

describe("the message", () => {
  it.each([
    ["application/x-protobuf", "v1"],
    ["application/x-protobuf;proto=prometheus.WriteRequest", "v1"],
    ["application/x-protobuf;proto=io.prometheus.write.v2.Request", "v2"],
    ['Application/X-Protobuf ; charset=utf-8 ; Proto="io.prometheus.write.v2.Request"', "v2"],
    ["application/x-protobuf;proto=io.prometheus.write.v3.Request", "unsupported_media_type"],
    ["application/x-protobuf;proto=", "unsupported_media_type"],
    ["application/json", "unsupported_media_type"],
    ["image/png", "unsupported_media_type"],
  ])("%s", (contentType, expected) => {
    expect(outcome({ "Content-Type": contentType, "Content-Encoding": "snappy" })).toBe(expected);
  });

  it("is that of 1.0 where nothing is said, whatever the version header says", () => {
    expect(outcome({})).toBe("v1");
    expect(outcome({ "X-Prometheus-Remote-Write-Version": "2.0.0" })).toBe("v1");
  });
});

it.each([
  ["snappy", "v1"],
  [" Snappy ", "v1"],
  ["gzip", "unsupported_encoding"],
  ["zstd", "unsupported_encoding"],
  ["snappy, gzip", "unsupported_encoding"],
])("the encoding %s", (encoding, expected) => {
  expect(outcome({ "Content-Type": "application/x-protobuf", "Content-Encoding": encoding })).toBe(expected);
});
