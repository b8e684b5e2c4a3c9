// From an OTLP request to messages: the rules of the edge work on the request itself, and what is left of it is packed.
import { describe, expect, it } from "vitest";
import { SeriesLimiter } from "../../../lib/ingest/cardinality/series-limiter.ts";
import { HotKeys } from "../../../lib/ingest/hot-keys.ts";
import { prepareOtlp } from "../../../lib/ingest/prepare-otlp.ts";
import type { EdgeRules, IntakeRequest, Prepared } from "../../../lib/ingest/prepared.ts";
import { createScrubber } from "../../../lib/ingest/scrub/scrubber.ts";
import type { JsonObject } from "../../../lib/telemetry/json-value.ts";
import { decodeOtlp, encodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { decodeOtlpMessage, otlpFromText } from "../../../lib/telemetry/otlp/message.ts";
import type { OtlpRequest, OtlpSignal } from "../../../lib/telemetry/otlp/request.ts";

const RECEIVED_MS = Date.parse("2026-11-21T10:00:00.000Z");
const request: IntakeRequest = {
  tenant: "acme",
  batch: "b-1",
  attempt: 0,
  receivedMs: RECEIVED_MS,
  skewMs: 0,
  bodyBytes: 1_000,
  partitions: 3,
  carriesText: false,
};

const rules = (more: Partial<EdgeRules> = {}, limit?: number): EdgeRules => ({
  keyStrategy: "source",
  scrubber: undefined,
  hotKeys: undefined,
  series: {
    limiter: new SeriesLimiter(),
    // A directory that lets the first of each name pass.
    directories: {
      of: () => ({
        admit: (most, asks) =>
          Promise.resolve(
            asks.map(({ series }) => ({ folded: series.map((_, i) => i).slice(most), bare: [] })),
          ),
      }),
    },
    options: limit === undefined ? { mode: "off", limit: 1 } : { mode: "enforce", limit },
  },
  ...more,
});

function requestOf(signal: OtlpSignal, json: unknown): OtlpRequest {
  const decoded = decodeOtlp(signal, "json", new TextEncoder().encode(JSON.stringify(json)));
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
}

const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
const resource = (service: string, host = "h") => ({
  attributes: [text("service.name", service), text("host.name", host)],
});
const logs = (...groups: [string, ...JsonObject[]][]) =>
  requestOf("logs", {
    resourceLogs: groups.map(([service, ...logRecords]) => ({
      resource: resource(service),
      scopeLogs: [{ logRecords }],
    })),
  });
const log = (stringValue: string, fields: JsonObject = {}): JsonObject => ({
  body: { stringValue },
  ...fields,
});

/** What stands in the messages: key, identity, and the request as OTLP/JSON. */
const read = (signal: OtlpSignal, { messages }: Prepared) =>
  messages.map(({ key, value, indices }) => {
    const message = decodeOtlpMessage(signal, value);
    if (!message.ok || !message.value.weir) throw new Error("not what Weir writes");
    const { weir, request: inside } = message.value;
    expect(weir.indices).toEqual(indices);
    const json = JSON.parse(new TextDecoder().decode(encodeOtlp("json", inside))) as JsonObject;
    return { key, weir, json, text: `${key}${JSON.stringify(json)}` };
  });

describe("an OTLP request", () => {
  it("becomes a message for each resource, with its identity and the records' places", async () => {
    const body = logs(["a", log("1"), log("2")], ["b", log("3")]);
    const prepared = await prepareOtlp(request, body, rules());
    expect(prepared).toMatchObject({ records: 3, counts: { seriesOver: 0 } });
    expect(prepared.rejections.size).toBe(0);
    const identity = { tenant: "acme", batch: "b-1", attempt: 0, receivedMs: RECEIVED_MS };
    expect(read("logs", prepared)).toMatchObject([
      { key: "a:h", weir: { ...identity, indices: [0, 1] } },
      { key: "b:h", weir: { ...identity, indices: [2] } },
    ]);
  });

  it("loses its bad records alone, and a resource that has no other is not written", async () => {
    const old = { timeUnixNano: "946684800000000000" };
    const body = logs(["a", log("1", old), log("2")], ["b", log("3", old)]);
    const prepared = await prepareOtlp(request, body, rules());
    expect([...prepared.rejections]).toMatchObject([
      [0, { reason: "timestamp_out_of_range", path: "timeUnixNano" }],
      [2, { reason: "timestamp_out_of_range" }],
    ]);
    const [message, ...others] = read("logs", prepared);
    expect(others).toEqual([]);
    expect(message).toMatchObject({ key: "a:h", weir: { indices: [1] } });
    expect(message?.text).not.toContain('"1"');
  });

  it("has its times corrected before they are judged, in the message itself", async () => {
    const month = 30 * 86_400_000;
    const body = logs(["a", log("1", { timeUnixNano: `${RECEIVED_MS - month}000001` }), log("2")]);
    const prepared = await prepareOtlp({ ...request, skewMs: month }, body, rules());
    expect(prepared.rejections.size).toBe(0);
    expect(read("logs", prepared)[0]?.text).toContain(`"timeUnixNano":"${RECEIVED_MS}000001"`);
  });

  it("is scrubbed before it is keyed", async () => {
    const made = createScrubber(JSON.stringify([{ action: "mask", pattern: "email" }]), undefined);
    if (!made.ok) throw new Error("no rules");
    const body = logs(["alice@example.com", log("mail alice@example.com")]);
    const prepared = await prepareOtlp(request, body, rules({ scrubber: made.value }));
    expect(prepared.counts.scrubbed).toEqual([2]);
    expect(read("logs", prepared)[0]?.text).not.toContain("alice");
  });

  it("has the points of series over the limit folded, where they are accepted at all", async () => {
    const points = ["a", "b", "c"].map((user) => ({ asInt: "1", attributes: [text("user", user)] }));
    const body = requestOf("metrics", {
      resourceMetrics: [
        {
          resource: resource("api"),
          scopeMetrics: [{ metrics: [{ name: "n", gauge: { dataPoints: [{}, ...points] } }] }],
        },
      ],
    });
    const prepared = await prepareOtlp(request, body, rules({}, 2));
    expect(prepared.counts).toMatchObject({ seriesOver: 1, seriesUnasked: 0 });
    expect([...prepared.rejections.keys()]).toEqual([0]);
    const [message] = read("metrics", prepared);
    expect(message?.weir.indices).toEqual([1, 2, 3]);
    const users = [...(message?.text ?? "").matchAll(/"user","value":\{"stringValue":"(\w+)"/g)];
    expect(users.map(([, user]) => user)).toEqual(["a", "b", "__other__"]);
    // The resource is the message's key, and is not folded with them.
    expect(message?.key).toBe("api:h");
  });

  it("too large for one message is split by whole records", async () => {
    const body = logs(["a", ...Array.from({ length: 8 }, (_, i) => log(`${i}`.repeat(200_000)))]);
    const prepared = await prepareOtlp(request, body, rules());
    expect(prepared.messages.length).toBeGreaterThan(2);
    expect(prepared.messages.every(({ value }) => value.length <= 700_000)).toBe(true);
    expect(prepared.messages.flatMap(({ indices }) => indices)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(new Set(prepared.messages.map(({ key }) => key))).toEqual(new Set(["a:h"]));
  });

  it("is text for a transport that carries no bytes, and no longer for it", async () => {
    const body = () => logs(["a", ...Array.from({ length: 8 }, (_, i) => log(`${i}`.repeat(200_000)))]);
    const { messages } = await prepareOtlp({ ...request, carriesText: true }, body(), rules());
    expect(messages.every(({ value }) => value.length <= 700_000)).toBe(true);
    expect(messages.flatMap(({ indices }) => indices)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const { value, indices } of messages) {
      const bytes = otlpFromText(new TextDecoder().decode(value)) ?? new Uint8Array();
      expect(decodeOtlpMessage("logs", bytes)).toMatchObject({ ok: true, value: { weir: { indices } } });
    }
  });

  it("without records is no message", async () => {
    for (const body of [logs(), logs(["a"])]) {
      expect(await prepareOtlp(request, body, rules())).toMatchObject({ records: 0, messages: [] });
    }
  });

  it("has keys by the strategy, salted where they are hot, the same in a retry", async () => {
    for (const [keyStrategy, key] of [
      ["instance", "h"],
      ["type", "logs"],
      ["tenant", "acme"],
    ] as const) {
      const { messages } = await prepareOtlp(request, logs(["a", log("1")]), rules({ keyStrategy }));
      expect(messages.map((message) => message.key)).toEqual([key]);
    }
    const keys = async () => {
      const hot = rules({ hotKeys: new HotKeys({ recordsPerSecond: 1 }) });
      const found: string[] = [];
      for (let batch = 0; batch < 20; batch++) {
        const body = logs(["a", ...Array.from({ length: 20 }, () => log("m"))]);
        const { messages } = await prepareOtlp({ ...request, batch: `b-${batch}` }, body, hot);
        for (const { key } of messages) found.push(key);
      }
      return found;
    };
    const first = await keys();
    expect(new Set(first).size).toBeGreaterThan(2);
    expect(await keys()).toEqual(first);
  });
});
