// W3C Trace Context, level 1 (www.w3.org/TR/trace-context-1): clause → test.
import { randomFillSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  parseTraceparent,
  parseTracestate,
  traceHeaders,
  traceOf,
} from "../../../lib/observability/trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const random = (bytes: Uint8Array<ArrayBuffer>) => randomFillSync(bytes);

describe("traceparent", () => {
  it.each([
    ["sampled", `00-${TRACE}-${PARENT}-01`, true],
    ["not sampled", `00-${TRACE}-${PARENT}-00`, false],
    ["flags that level 1 does not know", `00-${TRACE}-${PARENT}-fe`, false],
    ["a later version", `01-${TRACE}-${PARENT}-01`, true],
    ["a later version with more fields", `cc-${TRACE}-${PARENT}-01-what-comes`, true],
    ["a later version that ends with the dash", `cc-${TRACE}-${PARENT}-01-`, true],
  ])("is taken: %s", (_, header, isSampled) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, isSampled });
  });

  it.each([
    ["none", null],
    ["empty", ""],
    ["version ff", `ff-${TRACE}-${PARENT}-01`],
    ["version 00 with more fields", `00-${TRACE}-${PARENT}-01-x`],
    ["version 00 with a dash at the end", `00-${TRACE}-${PARENT}-01-`],
    ["a later version that goes on without a dash", `cc-${TRACE}-${PARENT}-01.x`],
    ["a trace id of zeroes", `00-${"0".repeat(32)}-${PARENT}-01`],
    ["a parent id of zeroes", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["upper case", `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ["a short trace id", `00-${TRACE.slice(1)}-${PARENT}-01`],
    ["flags that are not hexadecimal", `00-${TRACE}-${PARENT}-0g`],
    ["underscores", `00_${TRACE}_${PARENT}_01`],
    ["two headers", `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`],
    ["space around", ` 00-${TRACE}-${PARENT}-01`],
  ])("is ignored: %s", (_, header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });
});

describe("tracestate", () => {
  it.each([
    ["one", "congo=t61rcWkgMzE", "congo=t61rcWkgMzE"],
    ["tenant keys, spaces, empty members", " a@b=1 ,\t, 0x/y*-_@z=2,", "a@b=1,0x/y*-_@z=2"],
  ])("is passed on: %s", (_, header, kept) => {
    expect(parseTracestate(header)).toBe(kept);
  });

  it.each([
    ["empty", ""],
    ["no value", "a"],
    ["upper-case key", "A=1"],
    ["a digit first, without a system", "1a=1"],
    ["equals sign in the value", "a=b=c"],
    ["a key twice", "a=1,a=2"],
    ["33 members", Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(",")],
    ["more than 512 characters", `a=${"x".repeat(256)},b=${"x".repeat(256)}`],
    ["a control character", "a=\u0001x"],
  ])("is dropped as a whole: %s", (_, header) => {
    expect(parseTracestate(header)).toBeUndefined();
  });
});

describe("a request's trace", () => {
  it("is the caller's, with a span of our own", () => {
    const headers = new Headers({ traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: "a=1" });
    const trace = traceOf(headers, random);
    expect(trace).toMatchObject({ traceId: TRACE, isSampled: true, state: "a=1" });
    expect(trace.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
    expect(trace.spanId).not.toBe(PARENT);
    expect(traceOf(headers, random).spanId).not.toBe(trace.spanId);
    expect(traceHeaders(trace)).toEqual({
      traceparent: `00-${TRACE}-${trace.spanId}-01`,
      tracestate: "a=1",
    });
  });

  it("is new where the header is missing or wrong, and then nobody's tracestate is passed on", () => {
    const trace = traceOf(new Headers({ traceparent: "00-x", tracestate: "a=1" }), random);
    expect(trace.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(trace.state).toBeUndefined();
    expect(traceHeaders(trace)).toEqual({ traceparent: `00-${trace.traceId}-${trace.spanId}-00` });
  });

  it("never has an id of zeroes", () => {
    let draws = 0;
    const unlucky = (bytes: Uint8Array) => bytes.fill(draws++ === 0 ? 0 : 7);
    expect(traceOf(new Headers(), unlucky)).toMatchObject({
      spanId: "07".repeat(8),
      traceId: "07".repeat(16),
    });
  });
});
