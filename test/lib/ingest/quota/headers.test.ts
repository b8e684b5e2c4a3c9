// The fields as the draft's sections 3 and 4 form them, and limits that cannot be.
import { describe, expect, it } from "vitest";
import { rateLimitHeaders } from "../../../../lib/ingest/quota/headers.ts";
import { DEFAULT_QUOTA, quotaLimits } from "../../../../lib/ingest/quota/limits.ts";

describe("the headers", () => {
  it("tell policy and state", () => {
    expect(rateLimitHeaders(quotaLimits(DEFAULT_QUOTA), { requests: 700 })).toEqual({
      "RateLimit-Policy": '"requests";q=1000;w=10',
      RateLimit: '"requests";r=700;t=3',
    });
  });

  it("tell each dimension, with its unit", () => {
    const limits = quotaLimits({
      requestsPerSecond: 1,
      burst: 5,
      recordsPerSecond: 100,
      bytesPerSecond: 1_000,
    });
    expect(rateLimitHeaders(limits, { requests: 5, records: 0, bytes: 5_000 })).toEqual({
      "RateLimit-Policy":
        '"requests";q=5;w=5, "records";q=500;w=5;qu="records", "bytes";q=5000;w=5;qu="content-bytes"',
      RateLimit: '"requests";r=5;t=1, "records";r=0;t=5, "bytes";r=5000;t=1',
    });
  });

  it("tell a refused client when to come again, in whole seconds, 1 at least", () => {
    const limits = quotaLimits(DEFAULT_QUOTA);
    const refused = (retryAfterMs: number) =>
      rateLimitHeaders(limits, { requests: 0 }, { dimension: "requests", retryAfterMs });
    expect(refused(10)).toMatchObject({ "Retry-After": "1", RateLimit: '"requests";r=0;t=1' });
    expect(refused(2_001)).toMatchObject({ "Retry-After": "3", RateLimit: '"requests";r=0;t=3' });
  });

  it("tell that there is no quota", () => {
    expect(rateLimitHeaders(null, {})).toEqual({
      "RateLimit-Policy": '"unlimited";q=999999999999999',
      RateLimit: '"unlimited";r=999999999999999',
    });
  });
});

describe("limits", () => {
  it.each([
    { requestsPerSecond: 0, burst: 10 },
    { requestsPerSecond: 10, burst: 0.5 },
    { requestsPerSecond: Number.NaN, burst: 10 },
    { requestsPerSecond: 10, burst: 10, recordsPerSecond: -1 },
  ])("under which nothing would ever pass are refused: %o", (options) => {
    expect(() => quotaLimits(options)).toThrow(RangeError);
  });

  it("of one request at once are taken", () => {
    expect(quotaLimits({ requestsPerSecond: 0.1, burst: 1 })).toEqual({
      requests: { burst: 1, perSecond: 0.1 },
    });
  });
});
