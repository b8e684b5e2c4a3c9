// From a body's records to messages: what is refused, what is changed on the way, and in which order that happens.
import { describe, expect, it } from "vitest";
import { SeriesLimiter } from "../../../lib/ingest/cardinality/series-limiter.ts";
import { HotKeys } from "../../../lib/ingest/hot-keys.ts";
import { prepareRecords, type RecordsBody } from "../../../lib/ingest/prepare-records.ts";
import type { EdgeRules, IntakeRequest, Prepared } from "../../../lib/ingest/prepared.ts";
import { createScrubber } from "../../../lib/ingest/scrub/scrubber.ts";
import { ok, reject } from "../../../lib/telemetry/result.ts";
import type { NativeSignal } from "../../../lib/telemetry/signal.ts";

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

const rules = (more: Partial<EdgeRules> = {}): EdgeRules => ({
  keyStrategy: "source",
  scrubber: undefined,
  hotKeys: undefined,
  series: {
    limiter: new SeriesLimiter(),
    directories: {
      of: () => {
        throw new Error("nobody is to be asked");
      },
    },
    options: { mode: "off", limit: 1 },
  },
  ...more,
});

const scrubbing = (json: unknown): Partial<EdgeRules> => {
  const made = createScrubber(JSON.stringify(json), undefined);
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  return { scrubber: made.value };
};

const body = (signal: NativeSignal, records: unknown[], more: Partial<RecordsBody> = {}): RecordsBody => ({
  signal,
  records: records.map(ok),
  agentVersion: undefined,
  ...more,
});

interface Envelope {
  batch: string;
  indices: number[];
  entries: Record<string, unknown>[];
}
const envelopes = ({ messages }: Prepared): [string, Envelope][] =>
  messages.map(({ key, value }) => [key, JSON.parse(new TextDecoder().decode(value)) as Envelope]);

describe("records", () => {
  it("go together by their key, in their order, with their places in the request", async () => {
    const records = [
      { message: "a1", service: "a", host: "h" },
      { message: "b1", service: "b", host: "h" },
      { message: 5 },
      { message: "a2", service: "a", host: "h" },
      { message: "nowhere" },
    ];
    const prepared = await prepareRecords(request, body("logs", records, { agentVersion: "9" }), rules());
    expect(prepared.records).toBe(5);
    expect([...prepared.rejections]).toMatchObject([[2, { reason: "wrong_type", path: "message" }]]);
    const head = {
      v: 1,
      tenant: "acme",
      signal: "logs",
      batch: "b-1",
      received: "2026-11-21T10:00:00.000Z",
      agent_version: "9",
    };
    expect(envelopes(prepared)).toMatchObject([
      ["a:h", { ...head, indices: [0, 3], entries: [{ message: "a1" }, { message: "a2" }] }],
      ["b:h", { ...head, indices: [1] }],
      ["acme", { ...head, indices: [4] }],
    ]);
    expect(prepared.messages.map(({ indices }) => indices)).toEqual([[0, 3], [1], [4]]);
  });

  it("that could not even be read keep their place", async () => {
    const unread = reject("malformed_json", "", "is no JSON");
    const lines = { ...body("logs", []), records: [unread, ok({ message: "m" })] };
    const prepared = await prepareRecords(request, lines, rules());
    expect([...prepared.rejections]).toEqual([[0, unread.error]]);
    expect(prepared.messages.map(({ indices }) => indices)).toEqual([[1]]);
  });

  it("of ours may say more than those of clients", async () => {
    const stale = { name: "n", value: "stale", labels: {}, kind: "gauge", detail: {} };
    expect((await prepareRecords(request, body("metrics", [stale]), rules())).rejections.size).toBe(1);
    const kept = await prepareRecords(request, body("metrics", [stale], { isKept: true }), rules());
    expect(envelopes(kept)).toMatchObject([["acme", { entries: [stale] }]]);
  });

  it("too large for a message are refused alone", async () => {
    const huge = { event_type: "e", data: "x".repeat(700_000), key: "k" };
    const records = [{ event_type: "e", data: 1, key: "k" }, huge, { event_type: "e", data: 2, key: "k" }];
    const prepared = await prepareRecords(request, body("events", records), rules());
    expect([...prepared.rejections]).toMatchObject([[1, { reason: "record_too_large" }]]);
    expect(prepared.messages.map(({ indices }) => indices)).toEqual([[0, 2]]);
  });

  it("are corrected by the skew before their times are judged", async () => {
    const month = 30 * 86_400_000;
    const old = new Date(RECEIVED_MS - month).toISOString();
    const prepared = await prepareRecords(
      { ...request, skewMs: month },
      body("logs", [{ message: "m", timestamp: old }, { message: "now" }]),
      rules(),
    );
    expect(prepared.rejections.size).toBe(0);
    expect(envelopes(prepared)[0]?.[1].entries.map(({ timestamp }) => timestamp)).toEqual([
      "2026-11-21T10:00:00.000Z",
      "2026-11-21T10:00:00.000Z",
    ]);
  });

  it("are scrubbed before they are keyed: a secret is in no key either", async () => {
    const record = { message: "m", service: "alice@example.com", host: "h" };
    const prepared = await prepareRecords(
      request,
      body("logs", [record]),
      rules(scrubbing([{ action: "mask", pattern: "email" }])),
    );
    expect(prepared.counts.scrubbed).toEqual([1]);
    const [message] = prepared.messages;
    expect(message?.key + new TextDecoder().decode(message?.value)).not.toContain("alice");
  });
});

describe("keys", () => {
  it.each([
    ["source", "api:web-1"],
    ["instance", "web-1"],
    ["type", "INFO"],
    ["tenant", "acme"],
  ] as const)("by %s are %s", async (keyStrategy, key) => {
    const record = { message: "m", service: "api", host: "web-1" };
    const { messages } = await prepareRecords(request, body("logs", [record]), rules({ keyStrategy }));
    expect(messages.map((message) => message.key)).toEqual([key]);
  });

  it("by chance are one for a request, and another for the next", async () => {
    const records = [
      { message: "m", service: "a" },
      { message: "m", service: "b" },
    ];
    const random = rules({ keyStrategy: "random" });
    const keys = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const { messages } = await prepareRecords(request, body("logs", records), random);
      expect(messages).toHaveLength(1);
      for (const { key } of messages) keys.add(key);
    }
    expect(keys.size).toBe(5);
  });

  it("that are hot are salted by the records' identity: a retry gives the same ones", async () => {
    const hot = () => rules({ hotKeys: new HotKeys({ recordsPerSecond: 1 }) });
    const records = Array.from({ length: 2_000 }, (_, i) => ({ message: `${i}`, service: "a", host: "h" }));
    const first = await prepareRecords(request, body("logs", records), hot());
    const retry = await prepareRecords(request, body("logs", records), hot());
    const groups = (prepared: Prepared) => prepared.messages.map(({ key, indices }) => [key, indices]);
    expect(groups(retry)).toEqual(groups(first));
    expect(first.messages.length).toBeGreaterThan(2);
    const places = first.messages.flatMap(({ indices }) => indices).toSorted((a, b) => a - b);
    expect(places).toEqual(records.map((_, i) => i));
    const chosen = records.map(({ message }) => ({ event_type: "e", data: message, key: "mine" }));
    const { messages } = await prepareRecords(request, body("events", chosen), hot());
    expect(messages.map(({ key }) => key)).toEqual(["mine"]);
  });
});
