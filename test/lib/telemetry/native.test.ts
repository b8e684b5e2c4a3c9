import { describe, expect, it } from "vitest";
import { MAX_DECODED_BYTES, MAX_RECORDS } from "../../../lib/telemetry/limits.ts";
import { decodeNativeBody, mediaTypeOf } from "../../../lib/telemetry/native.ts";
import type { NativeSignal } from "../../../lib/telemetry/signal.ts";

const NDJSON = { "content-type": "application/x-ndjson" };
const list = (count: number) => `[${Array(count).fill("0").join()}]`;

function decode(signal: NativeSignal, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return decodeNativeBody(signal, new Headers(headers), bytes);
}

/** The records where all could be read. */
function read(signal: NativeSignal, body: string, headers?: Record<string, string>): unknown[] {
  const decoded = decode(signal, body, headers);
  if (!decoded.ok) throw new Error(`${decoded.error.reason}: ${decoded.error.message}`);
  return decoded.value.records.map((record) => (record.ok ? record.value : record.error.reason));
}

const reasonOf = (signal: NativeSignal, body: string | Uint8Array, headers?: Record<string, string>) => {
  const decoded = decode(signal, body, headers);
  return decoded.ok ? "ok" : decoded.error.reason;
};

describe("the forms of the contract", () => {
  const metric = { name: "cpu", value: 1 };
  const database = {
    metric_name: "connections",
    value: 7,
    database_type: "postgresql",
    instance_id: "db-1",
    tags: { a: "b" },
    timestamp: "2026-11-21T10:00:00Z",
  };
  const log = { message: "x" };
  const event = { event_type: "a", data: {} };

  it.each<[string, NativeSignal, unknown, unknown[]]>([
    ["logs in entries", "logs", { entries: [log, log] }, [log, log]],
    ["logs in an array", "logs", [log], [log]],
    ["one log", "logs", log, [log]],
    ["one metric", "metrics", metric, [metric]],
    ["metrics in an array", "metrics", [metric, database], [metric, database]],
    ["metrics in metrics", "metrics", { metrics: [metric] }, [metric]],
    ["the database form", "metrics", database, [database]],
    ["one event", "events", event, [event]],
    ["events in an array", "events", [event], [event]],
    ["events in events", "events", { events: [event, event] }, [event, event]],
    ["an empty list", "logs", [], []],
    ["an empty wrapper", "logs", { entries: [] }, []],
    [
      "a log with a field of another signal's wrapper",
      "logs",
      { message: "x", metrics: [1] },
      [{ message: "x", metrics: [1] }],
    ],
    // What is no record is told record by record, by the validators.
    ["a number", "logs", 5, [5]],
    ["a text", "metrics", "x", ["x"]],
    ["null", "events", null, [null]],
    ["null in an array", "events", [null, event], [null, event]],
  ])("%s", (_, signal, body, expected) => {
    expect(read(signal, JSON.stringify(body))).toEqual(expected);
  });

  it("keeps the agent's version beside the list", () => {
    expect(decode("logs", '{"entries":[],"agent_version":"1.2.3"}')).toEqual({
      ok: true,
      value: { records: [], agentVersion: "1.2.3" },
    });
  });

  it.each<[string, unknown, string, string]>([
    ["a list that is none", { entries: {} }, "wrong_type", "entries"],
    ["null for a list", { entries: null }, "wrong_type", "entries"],
    ["a version that is no text", { entries: [], agent_version: 1 }, "wrong_type", "agent_version"],
    ["a version without end", { entries: [], agent_version: "1".repeat(101) }, "wrong_type", "agent_version"],
    ["a field beside the list", { entries: [], host: "x" }, "unknown_field", "host"],
  ])("refuses a wrapper with %s", (_, body, reason, path) => {
    expect(decode("logs", JSON.stringify(body))).toMatchObject({ ok: false, error: { reason, path } });
  });
});

describe("NDJSON", () => {
  it.each([
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines; charset=utf-8",
  ])("%s", (type) => {
    expect(read("logs", '{"message":"a"}\n\n{"message":"b"}\r\n  \n', { "content-type": type })).toEqual([
      { message: "a" },
      { message: "b" },
    ]);
  });

  it("tells a bad line and reads the others", () => {
    const decoded = decode("logs", '{"message":"a"}\n{"message" b}\n{"message":"c"}', NDJSON);
    expect(decoded.ok && decoded.value.records).toMatchObject([
      { ok: true, value: { message: "a" } },
      {
        ok: false,
        error: { reason: "malformed_json", message: "is not JSON: it breaks at line 1, column 12" },
      },
      { ok: true, value: { message: "c" } },
    ]);
  });

  it("reads the last line with and without its end", () => {
    expect(read("logs", "1\n2", NDJSON)).toEqual([1, 2]);
    expect(read("logs", "1\n2\n", NDJSON)).toEqual([1, 2]);
  });

  it("is asked for where lines come as JSON", () => {
    expect(decode("logs", '{"message":"a"}\n{"message":"b"}')).toMatchObject({
      error: { reason: "malformed_json", message: expect.stringContaining("application/x-ndjson") },
    });
  });

  // Regression: an open quote hid the values of every later line from the scan.
  it("is bounded in values whatever a line before holds", () => {
    expect(reasonOf("logs", `"\n[${"{},".repeat(500_000)}{}]`, NDJSON)).toBe("too_many_values");
  });

  // Regression: splitting ten million line ends took 160 MB.
  it("takes no memory in proportion to the count of empty lines", () => {
    const before = process.memoryUsage().heapUsed;
    expect(reasonOf("logs", new Uint8Array(10 << 20).fill(0x0a), NDJSON)).toBe("malformed_json");
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 << 20);
  });
});

describe("limits", () => {
  it("takes 10,000 records and no more, in every form", () => {
    for (const [signal, wrap] of [
      ["logs", "entries"],
      ["metrics", "metrics"],
      ["events", "events"],
    ] as const) {
      for (const form of [(text: string) => text, (text: string) => `{"${wrap}":${text}}`]) {
        expect(read(signal, form(list(MAX_RECORDS)))).toHaveLength(MAX_RECORDS);
        expect(reasonOf(signal, form(list(MAX_RECORDS + 1)))).toBe("too_many_records");
      }
      expect(read(signal, "0\n".repeat(MAX_RECORDS), NDJSON)).toHaveLength(MAX_RECORDS);
      expect(reasonOf(signal, "0\n".repeat(MAX_RECORDS + 1), NDJSON)).toBe("too_many_records");
    }
    const batched = { "content-type": "application/cloudevents-batch+json" };
    expect(reasonOf("events", list(MAX_RECORDS + 1), batched)).toBe("too_many_records");
  });

  // Regression: colons were counted too, so that values in objects weighed double and this was refused.
  it("takes what all other limits allow: 10,000 metrics with every field and 30 labels", () => {
    const labels = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`l${i}`, "x"]));
    const metric = { name: "cpu", value: 1, timestamp: "2026-11-21T10:00:00.000Z", id: "x", labels };
    const body = JSON.stringify({ metrics: Array.from({ length: MAX_RECORDS }, () => metric) });
    expect(body.length).toBeLessThan(MAX_DECODED_BYTES);
    expect(reasonOf("metrics", body)).toBe("ok");
  });

  it("refuses 10 MiB of `{},` before it is parsed", () => {
    const before = process.memoryUsage().heapUsed;
    const startedMs = performance.now();
    expect(reasonOf("logs", new TextEncoder().encode(`[${"{},".repeat(3_495_250)}{}]`))).toBe(
      "too_many_values",
    );
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 << 20);
  });
});

describe("text", () => {
  it.each(["", " ", "\n\t \n", "\ufeff"])("an empty body (%j) is refused, in words", (body) => {
    for (const headers of [{}, NDJSON]) {
      expect(decode("logs", body, headers)).toMatchObject({
        error: { reason: "malformed_json", message: "is empty; send at least one record" },
      });
    }
  });

  it("may begin with a byte order mark", () => {
    expect(read("logs", '\ufeff{"message":"x"}')).toEqual([{ message: "x" }]);
    expect(read("logs", '\ufeff{"message":"x"}\n{"message":"y"}', NDJSON)).toEqual([
      { message: "x" },
      { message: "y" },
    ]);
  });

  it("must be UTF-8", () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc3],
      [0xed, 0xa0, 0x80],
    ]) {
      expect(reasonOf("logs", new Uint8Array(bytes))).toBe("invalid_utf8");
    }
    expect(reasonOf("logs", new Uint8Array(Buffer.from('{"message":"x"}', "utf16le")))).toBe(
      "malformed_json",
    );
  });

  it("that is not JSON is refused with the place where it breaks", () => {
    for (const body of ["{", "{'a':1}", "[1,]", "NaN", "undefined", '{"a":1}}', "\u0000", "01"]) {
      expect(decode("logs", body)).toMatchObject({
        error: {
          reason: "malformed_json",
          message: expect.stringMatching(/^is not JSON: it breaks (at line \d+, column \d+|near .+)/),
        },
      });
    }
  });
});

describe("media types", () => {
  it.each([
    undefined,
    "application/json",
    "Application/JSON; charset=UTF-8",
    "text/plain",
    "application/x-www-form-urlencoded",
    "",
  ])("%s is read as JSON", (type) => {
    expect(read("logs", "[1]", type === undefined ? {} : { "content-type": type })).toEqual([1]);
  });

  it.each([
    "application/xml",
    "application/x-protobuf",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "constructor",
  ])("%s is refused", (type) => {
    expect(reasonOf("logs", "[1]", { "content-type": type })).toBe("unsupported_media_type");
  });

  it("of CloudEvents are taken for events alone", () => {
    expect(reasonOf("logs", "{}", { "content-type": "application/cloudevents+json" })).toBe(
      "unsupported_media_type",
    );
    expect(reasonOf("metrics", "[]", { "content-type": "application/cloudevents-batch+json" })).toBe(
      "unsupported_media_type",
    );
  });

  it("are compared without their parameters and in any case", () => {
    expect(mediaTypeOf(" Text/JSON ;a=b")).toBe("text/json");
    expect(mediaTypeOf(null)).toBe("");
  });
});
