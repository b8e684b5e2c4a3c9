// CloudEvents in their three content modes. Examples are those of the specification, version 1.0.2:
// github.com/cloudevents/spec, cloudevents/formats/json-format.md (2.4, 3.2, 4.2) and bindings/http-protocol-binding.md (3.1).
import { describe, expect, it } from "vitest";
import { validateEvent } from "../../../lib/telemetry/event.ts";
import { decodeNativeBody } from "../../../lib/telemetry/native.ts";

const STRUCTURED = { "content-type": "application/cloudevents+json; charset=UTF-8" };
const BATCHED = { "content-type": "application/cloudevents-batch+json" };
const CONTEXT = { receivedMs: Date.parse("2026-11-21T10:00:00.000Z"), enforceTimeRange: false };

function read(body: string | Uint8Array, headers: Record<string, string>): unknown[] {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const decoded = decodeNativeBody("events", new Headers(headers), bytes);
  if (!decoded.ok) return [`${decoded.error.reason} ${decoded.error.path}`];
  return decoded.value.records.map((record) => {
    const event = record.ok ? validateEvent(record.value, CONTEXT) : record;
    return event.ok ? event.value : `${event.error.reason} ${event.error.path}`;
  });
}

const minimal = { specversion: "1.0", type: "a", source: "/s", id: "1" };
const structured = (event: unknown) => read(JSON.stringify(event), STRUCTURED)[0];

describe("structured", () => {
  it("reads the example of the JSON format with a text as data", () => {
    const event = {
      specversion: "1.0",
      type: "com.example.someevent",
      source: "/mycontext",
      subject: null,
      id: "C234-1234-1234",
      time: "2018-04-05T17:31:00Z",
      comexampleextension1: "value",
      comexampleothervalue: 5,
      datacontenttype: "application/vnd.apache.thrift.binary",
      data_base64: "... base64 encoded string ...",
    };
    expect(structured(event)).toEqual({
      event_type: "com.example.someevent",
      timestamp: "2018-04-05T17:31:00.000Z",
      data: "... base64 encoded string ...",
      id: '["/mycontext","C234-1234-1234"]',
      attributes: {
        subject: null,
        comexampleextension1: "value",
        comexampleothervalue: 5,
        datacontenttype: "application/vnd.apache.thrift.binary",
        data_base64: true,
        ce_source: "/mycontext",
        ce_id: "C234-1234-1234",
      },
    });
  });

  it("reads the example of the JSON format with an object as data", () => {
    const event = {
      ...minimal,
      unsetextension: null,
      datacontenttype: "application/json",
      data: { appinfoA: "abc", appinfoB: 123, appinfoC: true },
    };
    expect(structured(event)).toMatchObject({ data: { appinfoA: "abc", appinfoB: 123, appinfoC: true } });
  });

  it("keeps two events apart whose source and id would read the same when joined", () => {
    const [a, b] = [
      structured({ ...minimal, source: "a", id: "b c" }),
      structured({ ...minimal, source: "a b", id: "c" }),
    ];
    expect((a as { id: string }).id).not.toBe((b as { id: string }).id);
  });

  it("takes an event without data and without time", () => {
    expect(structured(minimal)).toMatchObject({ data: null, timestamp: "2026-11-21T10:00:00.000Z" });
  });

  it("wins over headers that would make the request binary", () => {
    const headers = {
      ...STRUCTURED,
      "ce-specversion": "1.0",
      "ce-type": "wrong",
      "ce-source": "wrong",
      "ce-id": "wrong",
    };
    expect(read(JSON.stringify({ ...minimal, data: 1 }), headers)).toMatchObject([
      { event_type: "a", data: 1 },
    ]);
  });

  it.each<[string, unknown, string]>([
    ["no version", { ...minimal, specversion: undefined }, "missing_field specversion"],
    ["version 0.3", { ...minimal, specversion: "0.3" }, "wrong_type specversion"],
    ["version 1 as a number", { ...minimal, specversion: 1 }, "wrong_type specversion"],
    ["no type", { ...minimal, type: undefined }, "missing_field type"],
    ["an empty source", { ...minimal, source: "" }, "wrong_type source"],
    ["a number as id", { ...minimal, id: 7 }, "wrong_type id"],
    ["data twice", { ...minimal, data: 1, data_base64: "AA==" }, "forbidden_key data_base64"],
    ["data_base64 that is no text", { ...minimal, data_base64: 1 }, "wrong_type data_base64"],
    ["a number as time", { ...minimal, time: 5 }, "wrong_type time"],
    ["a time that is none", { ...minimal, time: "soon" }, "invalid_timestamp timestamp"],
    ["an array", [minimal], "not_an_object "],
  ])("refuses %s", (_, event, expected) => expect(structured(event)).toBe(expected));

  it("refuses `__proto__` as an extension", () => {
    const body = '{"specversion":"1.0","type":"a","source":"s","id":"1","__proto__":{"polluted":true}}';
    expect(read(body, STRUCTURED)).toEqual(["forbidden_key attributes.__proto__"]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe("batched", () => {
  it("reads the example of the JSON format, each event with its own verdict", () => {
    const batch = [
      {
        specversion: "1.0",
        type: "com.example.someevent",
        source: "/mycontext/4",
        id: "B234-1234-1234",
        time: "2018-04-05T17:31:00Z",
        datacontenttype: "application/vnd.apache.thrift.binary",
        data_base64: "... base64 encoded string ...",
      },
      {
        specversion: "1.0",
        type: "com.example.someotherevent",
        source: "/mycontext/9",
        id: "C234-1234-1234",
        time: "2018-04-05T17:31:05Z",
        datacontenttype: "application/json",
        data: { appinfoA: "abc", appinfoB: 123, appinfoC: true },
      },
      { specversion: "1.0" },
    ];
    expect(read(JSON.stringify(batch), BATCHED)).toMatchObject([
      { id: '["/mycontext/4","B234-1234-1234"]' },
      { data: { appinfoB: 123 } },
      "missing_field type",
    ]);
  });

  it("takes an empty batch (HTTP binding, 3.3) and nothing but an array", () => {
    expect(read("[]", BATCHED)).toEqual([]);
    expect(read(JSON.stringify(minimal), BATCHED)).toEqual(["wrong_type "]);
  });
});

describe("binary", () => {
  const headers = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.someevent",
    "ce-time": "2018-04-05T03:56:24Z",
    "ce-id": "1234-1234-1234",
    "ce-source": "/mycontext/subcontext",
  };

  it("reads the example of the HTTP binding", () => {
    const body = '{"much":"wow"}';
    expect(read(body, { ...headers, "content-type": "application/json; charset=utf-8" })).toEqual([
      {
        event_type: "com.example.someevent",
        timestamp: "2018-04-05T03:56:24.000Z",
        data: { much: "wow" },
        id: '["/mycontext/subcontext","1234-1234-1234"]',
        attributes: {
          datacontenttype: "application/json; charset=utf-8",
          ce_source: "/mycontext/subcontext",
          ce_id: "1234-1234-1234",
        },
      },
    ]);
  });

  it("decodes what headers carry in percent-encoding (3.1.3.2), once, and leaves what is not", () => {
    const event = read("", {
      ...headers,
      "ce-euro": "Euro%20%E2%82%AC%20%F0%9F%98%80",
      "ce-half": "100%",
      "ce-twice": "%2541",
    })[0];
    expect(event).toMatchObject({
      data: null,
      attributes: { euro: "Euro € 😀", half: "100%", twice: "%41" },
    });
  });

  it("keeps data of another type as text, whatever its media type", () => {
    expect(read("a,b", { ...headers, "content-type": "text/csv" })).toMatchObject([{ data: "a,b" }]);
    expect(read('{"a":1}', { ...headers, "content-type": "application/vnd.x+json" })).toMatchObject([
      { data: { a: 1 } },
    ]);
    expect(read("null", headers)).toMatchObject([{ data: null }]);
  });

  it("refuses a lacking attribute, bad JSON and another version", () => {
    const { "ce-type": _, ...untyped } = headers;
    expect(read("1", untyped)).toEqual(["missing_field type"]);
    expect(read("{", headers)).toEqual(["malformed_json "]);
    expect(read("1", { ...headers, "ce-specversion": "2.0" })).toEqual(["wrong_type specversion"]);
  });

  it("takes no attribute for the data, and no header for a prototype", () => {
    expect(read("1", { ...headers, "ce-data": "2", "ce-__proto__": "x" })).toMatchObject([{ data: 1 }]);
  });
});
