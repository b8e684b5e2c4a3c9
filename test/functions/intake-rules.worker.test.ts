// The rules of the edge, through the whole worker: what of a request reaches the topic, and in which form a refusal comes
// out of each protocol.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import worker from "../../functions/worker.ts";
import { admission } from "../../lib/ingest/admission.ts";
import type { JsonObject } from "../../lib/telemetry/json-value.ts";
import { decodeOtlp, encodeOtlp } from "../../lib/telemetry/otlp/decode.ts";
import { decodeOtlpMessage } from "../../lib/telemetry/otlp/message.ts";
import type { OtlpSignal } from "../../lib/telemetry/otlp/request.ts";
import type { Signal } from "../../lib/telemetry/signal.ts";
import { problemOf, wakeAndDrain } from "../support/worker/client.ts";
import { storeKey } from "../support/worker/stored-tenant.ts";
import { makeTopic, messagesWith } from "../support/worker/topic-messages.ts";

const HOUR_MS = 3_600_000;

let service: string;
let tenant: string;
let headers: Record<string, string>;
beforeAll(async () => {
  await makeTopic("traces.raw");
});
beforeEach(async () => {
  service = `s-${crypto.randomUUID()}`;
  tenant = `t-${crypto.randomUUID()}`;
  headers = { Authorization: `Bearer ${await storeKey(tenant, ["ingest", "query"])}` };
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

type Send = (path: string, init?: RequestInit) => Promise<Response>;

/** One deployment with settings of its own, which its requests share. */
function deploy(settings: Record<string, string> = {}): Send {
  const deployed = { ...env, ...settings };
  return async (path, init = {}) => {
    const context = createExecutionContext();
    const all = { ...headers, ...(init.headers as Record<string, string> | undefined) };
    const response = await worker.fetch(
      new Request(`http://weir.test${path}`, { ...init, headers: all }),
      deployed,
      context,
    );
    await waitOnExecutionContext(context);
    return response;
  };
}

const postJson = async (send: Send, path: string, json: unknown, more: Record<string, string> = {}) =>
  await send(path, {
    method: "POST",
    body: JSON.stringify(json),
    headers: { "Content-Type": "application/json", ...more },
  });

async function postProtobuf(
  send: Send,
  signal: OtlpSignal,
  json: unknown,
  more: Record<string, string> = {},
): Promise<Response> {
  const request = decodeOtlp(signal, "json", new TextEncoder().encode(JSON.stringify(json)));
  if (!request.ok) throw new Error(request.error.message);
  const body = new Uint8Array(encodeOtlp("protobuf", request.value));
  return await send(`/v1/${signal}`, {
    method: "POST",
    body,
    headers: { "Content-Type": "application/x-protobuf", ...more },
  });
}

async function stored<T>(signal: Signal, path: string): Promise<T[]> {
  await wakeAndDrain(`${signal}.raw`, signal);
  const response = await deploy()(path);
  expect(response.status).toBe(200);
  return await response.json();
}

const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
const resource = (...attributes: JsonObject[]) => ({
  attributes: [text("service.name", service), ...attributes],
});
const otlpLogs = (...logRecords: JsonObject[]) => ({
  resourceLogs: [{ resource: resource(), scopeLogs: [{ logRecords }] }],
});
const otlpPoints = (...dataPoints: JsonObject[]) => ({
  resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: service, gauge: { dataPoints } }] }] }],
});
const nanos = (ms: number) => `${ms}000000`;

describe("the clock of a client", () => {
  it("that is wrong is corrected where it says so, before its times are judged", async () => {
    const send = deploy();
    // A clock that was never set: a month behind, further than a record may be old.
    const sentMs = Date.now() - 30 * 24 * HOUR_MS;
    const at = (ms: number) => new Date(ms).toISOString();
    const record = { message: "json", service, timestamp: at(sentMs - HOUR_MS) };
    expect((await postJson(send, "/api/v1/logs", record)).status).toBe(400);
    for (const sentAt of [at(sentMs), String(sentMs)]) {
      expect((await postJson(send, "/api/v1/logs", record, { "X-Sent-At": sentAt })).status).toBe(202);
    }
    const otlp = otlpLogs({ body: { stringValue: "otlp" }, timeUnixNano: nanos(sentMs - HOUR_MS) });
    const answer = await postProtobuf(send, "logs", otlp, { "X-Sent-At": at(sentMs) });
    expect((await answer.arrayBuffer()).byteLength).toBe(0);
    const logs = await stored<{ timestamp: string; message: string }>("logs", "/api/v1/logs");
    expect(logs.map(({ message }) => message).toSorted()).toEqual(["json", "json", "otlp"]);
    for (const { timestamp } of logs) {
      const ageMs = Date.now() - Date.parse(timestamp);
      expect(ageMs).toBeGreaterThan(HOUR_MS - 5_000);
      expect(ageMs).toBeLessThan(HOUR_MS + 60_000);
    }
  });

  it("that cannot be read is refused, in each protocol's form", async () => {
    const send = deploy();
    const bad = { "X-Sent-At": "noon" };
    const json = await postJson(send, "/api/v1/logs", { message: "m", service }, bad);
    expect(await problemOf(json)).toMatchObject({
      status: 400,
      code: "invalid_header",
      errors: [{ path: "X-Sent-At" }],
    });
    const otlp = await postProtobuf(send, "logs", otlpLogs({}), bad);
    expect(otlp.status).toBe(400);
    expect(otlp.headers.get("content-type")).toBe("application/x-protobuf");
    expect(await messagesWith("logs.raw", service)).toEqual([]);
  });
});

describe("what is scrubbed", () => {
  const SECRET = "alice.secret@example.com";
  const TOKEN = "tok-3141592653589793";
  const SCRUB_RULES = JSON.stringify([
    { action: "mask", pattern: "email" },
    { action: "drop", path: "attributes.token" },
    { action: "drop", path: "labels.token" },
    { action: "drop", path: "data.token" },
  ]);
  const otlpAttributes = [text("user", SECRET), text("token", TOKEN)];

  const requests: [string, Signal, (send: Send) => Promise<Response>, (status: number) => boolean][] = [
    [
      "a log in JSON",
      "logs",
      (send) =>
        postJson(send, "/api/v1/logs", {
          message: `login of ${SECRET}`,
          service,
          attributes: { token: TOKEN, deep: [{ user: SECRET }] },
          other: SECRET,
        }),
      (status) => status === 202,
    ],
    [
      "a metric in JSON",
      "metrics",
      (send) =>
        postJson(send, "/api/v1/metrics", {
          name: "n",
          value: 1,
          labels: { service, user: SECRET, token: TOKEN },
        }),
      (status) => status === 202,
    ],
    [
      "an event in JSON",
      "events",
      (send) =>
        postJson(send, "/api/v1/events", { event_type: service, data: { token: TOKEN, mail: [SECRET] } }),
      (status) => status === 202,
    ],
    [
      "a published event",
      "events",
      (send) =>
        postJson(send, "/kafka/publish", { event_type: service, data: { mail: SECRET, token: TOKEN } }),
      (status) => status === 200,
    ],
    [
      "a log in OTLP",
      "logs",
      (send) =>
        postProtobuf(send, "logs", {
          resourceLogs: [
            {
              resource: resource(text("owner", SECRET)),
              scopeLogs: [
                {
                  scope: { name: "lib", attributes: [text("by", SECRET)] },
                  logRecords: [
                    { body: { stringValue: `login of ${SECRET}` }, attributes: otlpAttributes },
                    { body: { kvlistValue: { values: [text("mail", SECRET)] } } },
                  ],
                },
              ],
            },
          ],
        }),
      (status) => status === 200,
    ],
    [
      "a span in OTLP",
      "traces",
      (send) =>
        postProtobuf(send, "traces", {
          resourceSpans: [
            {
              resource: resource(),
              scopeSpans: [
                {
                  spans: [
                    {
                      traceId: "5b8efff798038103d269b633813fc60c",
                      spanId: "eee19b7ec3c1b174",
                      name: `GET /users/${SECRET}`,
                      attributes: otlpAttributes,
                      events: [{ name: "e", attributes: otlpAttributes }],
                      status: { message: `no ${SECRET}` },
                    },
                  ],
                },
              ],
            },
          ],
        }),
      (status) => status === 200,
    ],
    [
      "a point in OTLP",
      "metrics",
      (send) => postProtobuf(send, "metrics", otlpPoints({ asDouble: 1, attributes: otlpAttributes })),
      (status) => status === 200,
    ],
  ];
  it.each(requests)("is in no byte of the message: %s", async (_, signal, request, isTaken) => {
    expect(isTaken((await request(deploy({ SCRUB_RULES }))).status)).toBe(true);
    const [message, ...others] = await messagesWith(`${signal}.raw`, service);
    expect(others).toEqual([]);
    expect(message?.text).not.toMatch(/alice|secret@|tok-3141/);
    // Without the rules it is there: what is looked for can be found.
    expect(isTaken((await request(deploy())).status)).toBe(true);
    const plain = await messagesWith(`${signal}.raw`, service);
    expect(plain.some(({ text: all }) => all.includes(SECRET) && all.includes(TOKEN))).toBe(true);
  });
});

describe("series over the limit", () => {
  const enforce = { CARDINALITY: "enforce", CARDINALITY_LIMIT: "3" };
  const users = ["a", "b", "c", "d", "e"];

  it("are folded, in JSON and OTLP alike, and their points stay", async () => {
    const send = deploy(enforce);
    const records = users.map((user, i) => ({ name: service, value: 2 ** i, labels: { user } }));
    expect((await postJson(send, "/api/v1/metrics", records)).status).toBe(202);
    const points = users.map((user, i) => ({ asInt: String(2 ** i), attributes: [text("user", user)] }));
    expect((await postProtobuf(send, "metrics", otlpPoints(...points))).status).toBe(200);
    const found = await stored<{ value: number; labels: { user: string } }>(
      "metrics",
      `/api/v1/metrics?name=${service}`,
    );
    expect(found).toHaveLength(10);
    const sums: Record<string, number> = {};
    for (const { labels, value } of found) sums[labels.user] = (sums[labels.user] ?? 0) + value;
    expect(sums).toEqual({ a: 2, b: 4, c: 8, __other__: 2 * (8 + 16) });
  });

  it("pass where they are only counted", async () => {
    const records = users.map((user) => ({ name: service, value: 1, labels: { user } }));
    await postJson(deploy({ ...enforce, CARDINALITY: "passive" }), "/api/v1/metrics", records);
    const found = await stored<{ labels: { user: string } }>("metrics", `/api/v1/metrics?name=${service}`);
    expect(found.map(({ labels }) => labels.user).toSorted()).toEqual(users);
  });
});

describe("a hot key", () => {
  const hot = { HOT_KEY_RECORDS_PER_SECOND: "1" };
  const keysOf = async (topic: string) => {
    const messages = await messagesWith(topic, service);
    return {
      keys: new Set(messages.map(({ text: all }) => all.split("\n", 1)[0])),
      partitions: new Set(messages.map(({ partition }) => partition)),
    };
  };
  const numbers = Array.from({ length: 1_000 }, (_, i) => String(i));

  it("is spread over partitions, and every record is stored once", async () => {
    const records = numbers.map((message) => ({ message, service, host: "h" }));
    const send = deploy(hot);
    for (let at = 0; at < records.length; at += 40)
      expect((await postJson(send, "/api/v1/logs", records.slice(at, at + 40))).status).toBe(202);
    const { keys, partitions } = await keysOf("logs.raw");
    expect([...keys].every((key) => key?.startsWith(`${service}:h`))).toBe(true);
    expect(partitions.size).toBeGreaterThan(1);
    const logs = await stored<{ message: string }>("logs", `/api/v1/logs?service=${service}&limit=1000`);
    expect(logs.map(({ message }) => Number(message)).toSorted((a, b) => a - b)).toEqual(numbers.map(Number));
  });

  it("is spread by messages in OTLP", async () => {
    const send = deploy(hot);
    for (let request = 0; request < 12; request++) {
      const bodies = numbers.slice(request * 20, request * 20 + 20);
      await postProtobuf(send, "logs", otlpLogs(...bodies.map((body) => ({ body: { stringValue: body } }))));
    }
    const { keys } = await keysOf("logs.raw");
    expect(keys.size).toBeGreaterThan(1);
    expect([...keys].every((key) => key?.startsWith(`${service}:`))).toBe(true);
    const logs = await stored<{ message: string }>("logs", `/api/v1/logs?service=${service}&limit=1000`);
    expect(logs.map(({ message }) => Number(message)).toSorted((a, b) => a - b)).toEqual(
      numbers.slice(0, 240).map(Number),
    );
  });

  it("stays one where it is turned off, and where the client chose it", async () => {
    const records = numbers.map((message) => ({ message, service, host: "h" }));
    await postJson(deploy({ ...hot, HOT_KEYS: "off" }), "/api/v1/logs", records);
    expect([...(await keysOf("logs.raw")).keys]).toEqual([`${service}:h`]);
    const events = numbers.map((data) => ({ event_type: "e", data, key: service }));
    await postJson(deploy(hot), "/api/v1/events", events);
    expect([...(await keysOf("events.raw")).keys]).toEqual([service]);
  });
});

describe("a refusal for the moment", () => {
  const requests: [string, string, (send: Send) => Promise<Response>][] = [
    ["JSON", "application/problem+json", (send) => postJson(send, "/api/v1/logs", { message: "m", service })],
    [
      "publishing",
      "application/problem+json",
      (send) => postJson(send, "/kafka/publish", { event_type: service, data: 1 }),
    ],
    ["OTLP", "application/x-protobuf", (send) => postProtobuf(send, "logs", otlpLogs({}))],
    ["OTLP in JSON", "application/json", (send) => postJson(send, "/v1/logs", otlpLogs({}))],
    [
      "remote write",
      "application/problem+json",
      (send) =>
        send("/api/v1/write", {
          method: "POST",
          body: new Uint8Array([0]),
          headers: { "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy" },
        }),
    ],
  ];

  it.each(requests)(
    "has the form of its protocol when the quota is used up: %s",
    async (_, type, request) => {
      const send = deploy({ QUOTA_REQUESTS_PER_SECOND: "1", QUOTA_BURST: "2" });
      const statuses: number[] = [];
      let last = await request(send);
      for (let i = 0; i < 4 && last.status !== 429; i++) {
        statuses.push(last.status);
        last = await request(send);
      }
      expect(statuses.every((status) => status < 300)).toBe(true);
      expect(last.status).toBe(429);
      expect(last.headers.get("content-type")).toMatch(
        new RegExp(`^(${type.replace("+", "\\+")}|text/plain)`),
      );
      expect(last.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      expect(last.headers.get("ratelimit-policy")).toBe('"requests";q=2;w=2');
      expect(last.headers.get("ratelimit")).toMatch(/^"requests";r=0;t=\d+$/);
      expect(last.headers.get("x-weir-reason")).toBe("quota_exceeded");
    },
  );

  it.each(requests)("has it when too much is in progress: %s", async (_, type, request) => {
    const full = admission.enter(0);
    expect(full?.weigh(12 * 1024 * 1024)).toBe(true);
    try {
      const response = await request(deploy());
      expect(response.status).toBe(503);
      expect(response.headers.get("content-type")).toMatch(
        new RegExp(`^(${type.replace("+", "\\+")}|text/plain)`),
      );
      expect(response.headers.get("retry-after")).toBe("1");
      expect(response.headers.get("x-weir-reason")).toBe("overloaded");
    } finally {
      full?.leave();
    }
    // And no ticket is left behind.
    expect(admission.weight).toBe(0);
    expect((await request(deploy())).status).toBeLessThan(300);
  });

  it("counts records and bytes, too, and says which", async () => {
    const send = deploy({ QUOTA_RECORDS_PER_SECOND: "5" });
    const records = Array.from({ length: 500 }, (_, i) => ({ message: `${i}`, service }));
    // More than ever fits: it passes once, as a debt that the next one waits for.
    expect((await postJson(send, "/api/v1/logs", records)).status).toBe(202);
    const written = (await messagesWith("logs.raw", service)).length;
    const problem = await problemOf(await postJson(send, "/api/v1/logs", records));
    expect(problem).toMatchObject({ status: 429, code: "quota_exceeded" });
    expect(problem.detail).toMatch(/records/);
    expect(await messagesWith("logs.raw", service)).toHaveLength(written);
  });
});

describe("events that tell of requests", () => {
  interface Told {
    event_type: string;
    data: { endpoint: string; status_code?: number; error_type?: string };
  }
  const eventsOf = async (): Promise<Told[]> => {
    const messages = await messagesWith("events.raw", tenant);
    return messages.flatMap(({ text: all }) => {
      const envelope = JSON.parse(all.slice(all.indexOf("\n"))) as { tenant: string; entries: Told[] };
      return envelope.tenant === tenant ? envelope.entries : [];
    });
  };

  it("are written for each request, and none for themselves", async () => {
    const send = deploy({ REQUEST_EVENTS: "all", REQUEST_EVENTS_TENANT: tenant });
    await postJson(send, "/api/v1/logs", { message: "m", service });
    await postJson(send, "/api/v1/logs", { message: 5 });
    await send("/healthz");
    await wakeAndDrain("events.raw", "events");
    const told = (await eventsOf()).map(({ event_type: type, data }) => [type, data.status_code]);
    expect(told).toEqual([
      ["http_request", undefined],
      ["http_response", 202],
      ["http_request", undefined],
      ["http_response", 400],
      ["error", 400],
    ]);
    // What stores them writes none either.
    await wakeAndDrain("events.raw", "events");
    expect(await eventsOf()).toHaveLength(5);
    const list = await stored<Told>("events", "/api/v1/events");
    expect(list).toHaveLength(5);
    expect(list.find(({ event_type: type }) => type === "error")?.data).toMatchObject({
      endpoint: "/api/v1/logs",
      error_type: "invalid_records",
    });
  });

  it("of requests to the events topic itself are two each, no more", async () => {
    const send = deploy({ REQUEST_EVENTS: "all", REQUEST_EVENTS_TENANT: `${tenant}-w` });
    await postJson(send, "/api/v1/events", { event_type: "own", data: tenant });
    const own = await messagesWith("events.raw", `"tenant":"${tenant}"`);
    const told = await messagesWith("events.raw", `"tenant":"${tenant}-w"`);
    expect(own).toHaveLength(1);
    expect(told.reduce((sum, { text: all }) => sum + all.split('"event_type"').length - 1, 0)).toBe(2);
  });

  it("are of refused requests alone where that is asked for", async () => {
    const send = deploy({ REQUEST_EVENTS: "errors", REQUEST_EVENTS_TENANT: tenant });
    await postJson(send, "/api/v1/logs", { message: "m", service });
    await postJson(send, "/v1/logs", { resourceLogs: 5 });
    expect((await eventsOf()).map(({ event_type: type, data }) => [type, data.status_code])).toEqual([
      ["error", 400],
    ]);
  });

  it("that cannot be written fail no request", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(console, "error").mockImplementation(() => {});
    const send = deploy({
      REQUEST_EVENTS: "all",
      REQUEST_EVENTS_TENANT: tenant,
      KAFKA_TOPIC_EVENTS: "there-is-no-such-topic",
    });
    expect((await postJson(send, "/api/v1/logs", { message: "m", service })).status).toBe(202);
    expect(warn.mock.calls.join()).toMatch(/request_events_failed/);
  });
});

describe("a message of OTLP", () => {
  it("whose times were corrected tells the corrected ones to every reader", async () => {
    const sentMs = Date.now() - HOUR_MS;
    await postProtobuf(deploy(), "logs", otlpLogs({ timeUnixNano: nanos(sentMs) }), {
      "X-Sent-At": String(sentMs),
    });
    const [message] = await messagesWith("logs.raw", service);
    const read = decodeOtlpMessage("logs", message?.value ?? new Uint8Array());
    if (!read.ok || read.value.request.signal !== "logs") throw new Error("not read");
    const [record] = read.value.request.message.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
    expect(Date.now() - Number((record?.timeUnixNano ?? 0n) / 1_000_000n)).toBeLessThan(60_000);
  });
});
