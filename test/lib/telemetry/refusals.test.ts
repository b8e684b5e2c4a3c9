// What a refused record is told: the reason, and where in the record.
import { describe, expect, it } from "vitest";
import { validateEvent } from "../../../lib/telemetry/event.ts";
import { MAX_AGE_MS, MAX_AHEAD_MS } from "../../../lib/telemetry/limits.ts";
import { validateLog } from "../../../lib/telemetry/log.ts";
import { validateMetric } from "../../../lib/telemetry/metric.ts";
import { textOfBytes } from "./near-valid.ts";

const RECEIVED_MS = Date.parse("2026-11-21T10:00:00.000Z");
const EDGE = { receivedMs: RECEIVED_MS, enforceTimeRange: true };
const CONSUMER = { receivedMs: RECEIVED_MS, enforceTimeRange: false };
const at = (ms: number) => ({ message: "x", timestamp: ms });

const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "x"]));
const nest = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));

describe("a metric", () => {
  it.each<[string, unknown, string, string]>([
    ["no name", { value: 1 }, "missing_field", "name"],
    ["no value", { name: "a" }, "missing_field", "value"],
    ["null as value", { name: "a", value: null }, "wrong_type", "value"],
    ["a text as value", { name: "a", value: "1" }, "wrong_type", "value"],
    ["a value beyond float64", { name: "a", value: JSON.parse("1e999") }, "not_finite", "value"],
    ["an unknown field", { name: "a", value: 1, host: "x" }, "unknown_field", "host"],
    [
      "__proto__ as a field",
      JSON.parse('{"name":"a","value":1,"__proto__":{}}'),
      "forbidden_key",
      "__proto__",
    ],
    [
      "__proto__ as a label",
      JSON.parse('{"name":"a","value":1,"labels":{"__proto__":"x"}}'),
      "forbidden_key",
      "labels.__proto__",
    ],
    ["both forms at once", { name: "a", metric_name: "a", value: 1 }, "unknown_field", "metric_name"],
    ["an empty name", { name: "", value: 1 }, "invalid_name", "name"],
    ["a control character", { name: "a\nb", value: 1 }, "invalid_name", "name"],
    ["a name of 201 bytes", { name: textOfBytes(201, "é"), value: 1 }, "too_long", "name"],
    ["a lone surrogate", { name: "a\ud800", value: 1 }, "invalid_unicode", "name"],
    ["31 labels", { name: "a", value: 1, labels: labels(31) }, "too_many_labels", "labels"],
    [
      "a label of 1,025 bytes",
      { name: "a", value: 1, labels: { "a b": textOfBytes(1025, "😀") } },
      "too_long",
      'labels["a b"]',
    ],
    ["an object as label", { name: "a", value: 1, labels: { x: {} } }, "wrong_type", "labels.x"],
    ["labels in an array", { name: "a", value: 1, labels: ["x"] }, "wrong_type", "labels"],
    [
      "a tag that repeats a field",
      { metric_name: "a", value: 1, instance_id: "x", tags: { instance_id: "y" } },
      "forbidden_key",
      "tags.instance_id",
    ],
    [
      "29 tags and two fields",
      { metric_name: "a", value: 1, instance_id: "x", database_type: "y", tags: labels(29) },
      "too_many_labels",
      "tags",
    ],
  ])("with %s", (_, input, reason, path) => {
    expect(validateMetric(input, EDGE)).toMatchObject({ ok: false, error: { reason, path } });
  });

  it("is kept in one form, whichever it came in", () => {
    const expected = {
      timestamp: "2026-11-21T09:59:00.000Z",
      name: "connections",
      value: 7,
      labels: { database_type: "postgresql", instance_id: "db-1", pool: "a", size: "3", primary: "true" },
    };
    const tags = { pool: "a", size: 3, primary: true };
    const database = {
      metric_name: "connections",
      value: 7,
      database_type: "postgresql",
      instance_id: "db-1",
      tags,
      timestamp: "2026-11-21T09:59:00Z",
    };
    expect(validateMetric(database, EDGE)).toEqual({ ok: true, value: expected });
    expect(validateMetric(expected, EDGE)).toEqual({ ok: true, value: expected });
  });

  it("takes 30 labels and names of 200 bytes", () => {
    expect(validateMetric({ name: textOfBytes(200, "é"), value: 1, labels: labels(30) }, EDGE).ok).toBe(true);
  });
});

describe("a log", () => {
  it.each<[string, unknown, string, string]>([
    ["no message", { level: "INFO" }, "missing_field", "message"],
    ["an object as message", { message: {} }, "wrong_type", "message"],
    ["a message over 256 KiB", { message: textOfBytes(256 * 1024 + 1, "€") }, "too_long", "message"],
    ["a number as level", { message: "x", level: 3 }, "wrong_type", "level"],
    ["attributes in an array", { message: "x", attributes: [] }, "wrong_type", "attributes"],
    [
      "a field that its attributes hold too",
      { message: "x", k: 1, attributes: { k: 2 } },
      "forbidden_key",
      "k",
    ],
    [
      "__proto__ in its attributes",
      JSON.parse('{"message":"x","attributes":{"a":[{"__proto__":1}]}}'),
      "forbidden_key",
      "attributes.a[0].__proto__",
    ],
    [
      "attributes nested too deep",
      { message: "x", attributes: { a: nest(31) } },
      "too_deep",
      "attributes.a[0][0][0][0][0][0][0][0][0][0][0]…",
    ],
  ])("with %s", (_, input, reason, path) => {
    expect(validateLog(input, EDGE)).toMatchObject({ ok: false, error: { reason, path } });
  });

  it("keeps unknown fields as attributes, and one name for a level", () => {
    const input = {
      message: "x",
      level: "warning",
      service: null,
      trace: { id: 1 },
      attributes: { k: null },
    };
    expect(validateLog(input, EDGE)).toEqual({
      ok: true,
      value: {
        timestamp: "2026-11-21T10:00:00.000Z",
        level: "WARN",
        message: "x",
        attributes: { k: null, trace: { id: 1 } },
      },
    });
  });

  it("leaves the input as it was", () => {
    const input = { message: "x", extra: 1, attributes: { k: 1 } };
    validateLog(input, EDGE);
    expect(input).toEqual({ message: "x", extra: 1, attributes: { k: 1 } });
  });

  // Regression: a field at the depth limit moves into `attributes`, one deeper, and the consumer refused it.
  it("refuses at the edge what would be too deep where it is kept", () => {
    expect(validateLog({ message: "x", k: nest(31) }, EDGE)).toMatchObject({
      ok: false,
      error: { reason: "too_deep" },
    });
    const kept = validateLog({ message: "x", k: nest(30) }, EDGE);
    expect(kept.ok && validateLog(kept.value, EDGE)).toEqual(kept);
  });

  // Regression: "ŉ" has two bytes, its upper case three.
  it("refuses at the edge a level whose upper case is too long", () => {
    expect(validateLog({ message: "x", level: "ŉ".repeat(100) }, EDGE)).toMatchObject({
      ok: false,
      error: { reason: "too_long", path: "level" },
    });
  });
});

describe("an event", () => {
  it.each<[string, unknown, string, string]>([
    ["nothing", {}, "missing_field", "event_type"],
    ["no data", { event_type: "a" }, "missing_field", "data"],
    ["no type", { data: 1 }, "missing_field", "event_type"],
    ["a number as id", { event_type: "a", data: 1, id: 1 }, "wrong_type", "id"],
    ["infinite data", { event_type: "a", data: { x: [JSON.parse("-1e999")] } }, "not_finite", "data.x[0]"],
    [
      "data nested 33 deep",
      { event_type: "a", data: nest(32) },
      "too_deep",
      "data[0][0][0][0][0][0][0][0][0][0][0][0]…",
    ],
    [
      "a lone surrogate as a key",
      JSON.parse('{"event_type":"a","data":{"\\ud800":1}}'),
      "invalid_unicode",
      'data["\\ud800"]',
    ],
  ])("with %s", (_, input, reason, path) => {
    expect(validateEvent(input, EDGE)).toMatchObject({ ok: false, error: { reason, path } });
  });

  it("takes data nested 32 deep, and null", () => {
    expect(validateEvent({ event_type: "a", data: nest(31) }, EDGE).ok).toBe(true);
    expect(validateEvent({ event_type: "a", data: null }, EDGE).ok).toBe(true);
  });
});

describe("a record's time", () => {
  it("is bounded at the edge, to the millisecond", () => {
    expect(validateLog(at(RECEIVED_MS - MAX_AGE_MS), EDGE).ok).toBe(true);
    expect(validateLog(at(RECEIVED_MS + MAX_AHEAD_MS), EDGE).ok).toBe(true);
    for (const ms of [RECEIVED_MS - MAX_AGE_MS - 1, RECEIVED_MS + MAX_AHEAD_MS + 1]) {
      expect(validateLog(at(ms), EDGE)).toMatchObject({
        error: { reason: "timestamp_out_of_range", path: "timestamp" },
      });
    }
  });

  it("is not bounded for a consumer, which may read much later", () => {
    expect(validateLog(at(RECEIVED_MS - 10 * MAX_AGE_MS), CONSUMER).ok).toBe(true);
  });

  // Regression: a year before 0000 was kept as "-001199-…", which the store could not read: the partition was wedged.
  it("is refused even there when the stores' 64-bit nanoseconds cannot hold it", () => {
    for (const timestamp of [-99_999_999_999, "0001-01-01", "9999-12-31T23:59:59Z", 99_999_999_999]) {
      expect(validateLog({ message: "x", timestamp }, CONSUMER)).toMatchObject({
        ok: false,
        error: { path: "timestamp" },
      });
    }
  });

  it("is the time of receipt where there is none", () => {
    for (const timestamp of [undefined, null]) {
      expect(validateLog({ message: "x", timestamp }, EDGE)).toMatchObject({
        value: { timestamp: "2026-11-21T10:00:00.000Z" },
      });
    }
  });
});

it("never touches the prototype of objects", () => {
  const hostile = JSON.parse(
    '{"message":"x","event_type":"x","data":{"__proto__":{"polluted":1}},"attributes":{"__proto__":{"polluted":1}},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  );
  validateLog(hostile, EDGE);
  validateEvent(hostile, EDGE);
  validateMetric({ name: "a", value: 1, labels: JSON.parse('{"__proto__":"x"}') }, EDGE);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});
