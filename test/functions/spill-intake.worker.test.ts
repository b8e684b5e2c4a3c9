// The whole way while Kafka is away: what is accepted is kept and said to be, the breaker spares requests the wait, and
// with Kafka back everything is on its topic, in order, once.
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readAcceptance } from "../../functions/acceptance.ts";
import { clusterOf } from "../../functions/cluster.ts";
import { deploymentOf } from "../../functions/deployment.ts";
import { ClusterHealth } from "../../functions/objects/cluster-health.ts";
import { flushSpill, spillPort, spillStatus } from "../../functions/spill.ts";
import { DEV_TENANT } from "../../lib/auth/api-key.ts";
import { fromClusterState } from "../../lib/kafka/cluster-state.ts";
import { getList, post, postJson, problemOf, send, wakeAndDrain } from "../support/worker/client.ts";
import { FORGED_INTAKE } from "../support/worker/forged-intake.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { messagesWith } from "../support/worker/topic-messages.ts";

const AWAY = {
  method: "POST",
  path: "/topics/",
  times: 1_000,
  kind: "refuse",
  status: 503,
  body: "{}",
} as const;
const deployment = () => deploymentOf(env);

let service: string;
beforeEach(() => {
  service = `s-${crypto.randomUUID()}`;
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await recover();
});

/** Kafka is back: what was kept is drained, the breaker closed, and this isolate has heard of it. */
async function recover(): Promise<void> {
  await healKafka();
  await expect
    .poll(async () => (await flushSpill(env, deployment(), 5_000)).messages, {
      timeout: 20_000,
      interval: 50,
    })
    .toBe(0);
  await clusterOf(env).report({ ok: 1, failed: 0 });
  await expect.poll(() => durabilityOf("after"), { timeout: 5_000, interval: 50 }).toBe("kafka");
}

async function durabilityOf(message: string, host?: string): Promise<unknown> {
  const response = await postJson("/api/v1/logs", { message, service, host });
  const body: Record<string, unknown> = await response.json();
  return body["durability"];
}

/** The breaker is open, and this isolate knows. */
async function openBreaker(): Promise<void> {
  await failKafka(AWAY);
  // More than whatever went well within its window.
  await clusterOf(env).report({ ok: 0, failed: 1_000_000 });
  await expect
    .poll(async () => (await timed(() => durabilityOf("opening"))).sent, { timeout: 10_000, interval: 50 })
    .toBe(0);
}

/** What requests of this isolate gave to Kafka, each attempt counted. */
async function attempts(): Promise<number> {
  const text = await (await send("/metrics")).text();
  const lines = text.split("\n").filter((line) => line.startsWith("kafka_messages_sent_total{"));
  return lines.reduce((sum, line) => sum + Number(line.split(" ")[1]), 0);
}

async function timed<T>(act: () => Promise<T>): Promise<{ value: T; ms: number; sent: number }> {
  const before = await attempts();
  const startMs = Date.now();
  const value = await act();
  const ms = Date.now() - startMs;
  return { value, ms, sent: (await attempts()) - before };
}

const stateOfAnotherIsolate = async () => {
  const ask = { bucket: "tenant", limits: null, need: { requests: 1 }, extra: {}, returns: [] };
  const { state } = await env.QUOTA.getByName("another-tenant").lease(ask);
  return fromClusterState(state);
};

describe("the first request that meets a Kafka that is away", () => {
  it("is accepted, says that it is kept, is counted, and is on its topic once Kafka is back", async () => {
    const before = await acceptedLogs();
    await failKafka(AWAY);
    const response = await postJson("/api/v1/logs?results=all", { message: "kept", service });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({
      status: "queued",
      message: "Accepted",
      accepted: 1,
      rejected: 0,
      durability: "spilled",
      batch: expect.any(String),
      results: [{ index: 0, status: "spilled", topic: "logs.raw" }],
    });
    expect((await acceptedLogs()) - before).toBe(1);
    expect(await messagesWith("logs.raw", service)).toEqual([]);
    expect((await spillStatus(env, deployment())).records).toBeGreaterThanOrEqual(1);
    expect(await (await send("/metrics")).text()).toMatch(
      /weir_records_spilled_total\{signal="logs"\} [1-9]/,
    );
    await recover();
    expect(
      (await messagesWith("logs.raw", service)).filter(({ text }) => text.includes('"kept"')),
    ).toHaveLength(1);
  });

  it("may have been written all the same: its answers were lost, it is kept besides, and stored once", async () => {
    await failKafka({ ...AWAY, path: "/topics/logs.raw", kind: "lose-answer" });
    expect(await durabilityOf("twice")).toBe("spilled");
    await recover();
    expect((await messagesWith("logs.raw", service)).length).toBeGreaterThan(1);
    expect((await storedMessages()).filter((message) => message === "twice")).toHaveLength(1);
  });

  it("tells the operator's log why, and the client nothing of it", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    await failKafka({ ...AWAY, body: '{"error_code":50302,"message":"broker-7 is away"}' });
    const response = await postJson("/api/v1/logs", { message: "kept", service });
    expect(await response.text()).not.toMatch(/broker-7/);
    expect(log.mock.calls.join()).toMatch(/produce_failed.*broker-7/);
  });

  it("of an isolate that has never seen Kafka is kept, too", async () => {
    await failKafka({ ...AWAY, method: "GET", path: "/" });
    await failKafka(AWAY);
    // Other settings: a deployment that knows nothing yet.
    const response = await send(
      "/api/v1/logs",
      {
        method: "POST",
        body: JSON.stringify({ message: "m", service }),
        headers: { "Content-Type": "application/json" },
      },
      { LOG_REQUESTS: "errors" },
    );
    expect(await response.json()).toMatchObject({ accepted: 1, durability: "spilled" });
    await recover();
    expect((await messagesWith("logs.raw", service)).length).toBeGreaterThan(0);
  });

  it("is 503 with SPILL=off, and where Kafka refuses us for good", async () => {
    const init = {
      method: "POST",
      body: JSON.stringify({ message: "m", service }),
      headers: { "Content-Type": "application/json" },
    };
    await failKafka({ ...AWAY, times: 4 });
    const off = await send("/api/v1/logs", init, { SPILL: "off" });
    expect(await problemOf(off)).toMatchObject({ status: 503, code: "kafka_unavailable" });
    await healKafka();
    await failKafka({ ...AWAY, status: 401, body: '{"error_code":40101,"message":"no"}' });
    expect(await problemOf(await send("/api/v1/logs", init))).toMatchObject({
      status: 503,
      code: "kafka_unavailable",
    });
    expect((await spillStatus(env, deployment())).messages).toBe(0);
  });
});

/** Of the messages `n-…`, in the order of the log. */
async function numbersOnTopic(): Promise<number[]> {
  return (await messagesWith("logs.raw", service))
    .flatMap(({ text }) => [...text.matchAll(/"message":"n-(\d+)"/g)])
    .map(([, number]) => Number(number));
}

/** What the store holds of this test, as soon as it holds all that is on the topic. */
async function storedMessages(): Promise<string[]> {
  await wakeAndDrain("logs.raw", "logs");
  const stored = await getList<{ message: string }>(`/api/v1/logs?service=${service}&limit=1000`);
  return stored.map(({ message }) => message);
}

async function acceptedLogs(): Promise<number> {
  const { counts } = await readAcceptance(env, DEV_TENANT);
  return counts.filter(({ signal }) => signal === "logs").reduce((sum, { accepted }) => sum + accepted, 0);
}

describe("the breaker", () => {
  it("opens by failing requests alone; later ones are kept at once, and Kafka is not touched", async () => {
    await failKafka(AWAY);
    // Of many keys, since those of one shard queue behind the first that failed.
    const isOpen = async () => {
      await Promise.all(Array.from({ length: 4 }, () => durabilityOf("m", crypto.randomUUID())));
      return (await clusterOf(env).state()).breaker !== "closed";
    };
    await expect.poll(isOpen, { timeout: 20_000, interval: 10 }).toBe(true);
    // Of so many keys that some are of shards which hold nothing: this isolate knows of the breaker then.
    const sendMany = () =>
      Promise.all(Array.from({ length: 24 }, () => durabilityOf("m", crypto.randomUUID())));
    await expect.poll(async () => (await timed(sendMany)).sent, { timeout: 10_000 }).toBe(0);
    const { value, ms, sent } = await timed(() => durabilityOf("fast"));
    expect({ value, sent }).toEqual({ value: "spilled", sent: 0 });
    expect(ms).toBeLessThan(1_000);
  });

  it("hears of a request's failure at once, and nothing of what goes well while it is closed", async () => {
    const told = vi.spyOn(ClusterHealth.prototype, "report");
    const reports = async () => {
      told.mockClear();
      expect(await durabilityOf("well")).toBe("kafka");
      return told.mock.calls.length;
    };
    // As soon as this isolate has heard that it is closed.
    await expect.poll(reports, { timeout: 5_000, interval: 20 }).toBe(0);
    await failKafka(AWAY);
    expect(await durabilityOf("m")).toBe("spilled");
    // What follows is told by the drain of what was kept.
    expect(told.mock.calls[0]).toEqual([{ ok: expect.any(Number), failed: 1 }]);
  });

  it("is known to another isolate within a lease, with the shards that hold messages", async () => {
    await openBreaker();
    const state = await stateOfAnotherIsolate();
    expect(state?.breaker).not.toBe("closed");
    const isRight = async () => {
      const { shards } = await spillStatus(env, deployment());
      const holding = shards.filter(({ messages }) => messages > 0).map(({ shard }) => shard);
      expect(holding).not.toEqual([]);
      return JSON.stringify((await stateOfAnotherIsolate())?.spilled) === JSON.stringify(holding);
    };
    await expect.poll(isRight, { timeout: 10_000 }).toBe(true);
    await recover();
    await expect
      .poll(stateOfAnotherIsolate, { timeout: 10_000 })
      .toMatchObject({ breaker: "closed", spilled: [] });
  });

  it("may be closed while a shard holds messages: the shard's later ones queue behind them", async () => {
    await clusterOf(env).report({ ok: 10_000, failed: 0 });
    await failKafka(AWAY);
    let sent = 0;
    const sendNext = () => durabilityOf(`n-${sent++}`);
    await expect.poll(async () => (await timed(sendNext)).sent, { timeout: 10_000, interval: 10 }).toBe(0);
    expect((await clusterOf(env).state()).breaker).toBe("closed");
    await healKafka();
    for (let i = 0; i < 20; i++) await sendNext();
    await recover();
    expect(await numbersOnTopic()).toEqual(Array.from({ length: sent }, (_, i) => i));
  });

  it("lets a drain through once Kafka is back, which closes it: order of a key holds, and nothing is there twice", async () => {
    await openBreaker();
    for (let i = 0; i < 20; i++) expect(await durabilityOf(`n-${i}`)).toBe("spilled");
    await healKafka();
    let isBack = false;
    for (let i = 20; i < 2_000 && !isBack; i++) isBack = (await durabilityOf(`n-${i}`)) === "kafka";
    expect(isBack).toBe(true);
    const numbers = await numbersOnTopic();
    expect(numbers).toEqual(numbers.map((_, i) => i));
    expect(numbers.length).toBeGreaterThan(20);
    const stored = (await storedMessages()).filter((message) => message.startsWith("n-"));
    expect(stored.toSorted()).toEqual(numbers.map((number) => `n-${number}`).toSorted());
  });
});

describe("the other forms", () => {
  it("OTLP is answered as for accepted", async () => {
    await openBreaker();
    const response = await postJson("/v1/logs", {
      resourceLogs: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
          scopeLogs: [{ logRecords: [{ body: { stringValue: "otlp" } }] }],
        },
      ],
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({});
    await recover();
    expect((await messagesWith("logs.raw", "otlp")).length).toBeGreaterThan(0);
  });

  it("remote write, too", async () => {
    await openBreaker();
    const [write] = FORGED_INTAKE["POST /api/v1/write"]?.attempts(service, DEV_TENANT) ?? [];
    const response = await post("/api/v1/write", write?.body ?? "", write?.headers);
    expect(response.status).toBe(204);
    await recover();
    expect(await messagesWith("metrics.raw", service)).toHaveLength(1);
  });

  it("a published event is a success without a place yet", async () => {
    await openBreaker();
    const event = { event_type: service, data: 1 };
    const response = await postJson("/kafka/publish", event);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: "success",
      message: "Published",
      event,
      topic: "events.raw",
      partition: null,
      offset: null,
    });
    await recover();
    expect(await messagesWith("events.raw", service)).toHaveLength(1);
  });
});

describe("a spillway that is full", () => {
  it("is 503 spill_full with the time to wait, and Kafka's word where it is back", async () => {
    await failKafka(AWAY);
    await fill();
    const full = await postJson("/api/v1/logs", { message: "m", service });
    expect(full.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const problem = await problemOf(full);
    expect(problem).toMatchObject({ status: 503, code: "spill_full" });
    const otlp = await postJson("/v1/logs", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: service } }] }] }],
    });
    expect(otlp.status).toBe(503);
    expect(otlp.headers.get("x-weir-reason")).toBe("spill_full");
    expect(otlp.headers.get("retry-after")).not.toBeNull();
  });

  /** By age: each shard gets a message of the topic that was received too long ago. */
  async function fill(): Promise<void> {
    const topic = "logs.raw";
    const port = spillPort(env, deployment());
    const { SPILL_SHARDS, SPILL_MAX_AGE_MS } = deployment().config;
    const old = new Map<number, Uint8Array>();
    for (let i = 0; old.size < SPILL_SHARDS; i++) {
      const key = new TextEncoder().encode(`k-${i}`);
      old.set(port.shardOf(key), key);
    }
    for (const [shard, key] of old) {
      const message = { topic, key, value: key, tenant: DEV_TENANT, signal: "logs", records: 1 } as const;
      const receivedMs = Date.now() - SPILL_MAX_AGE_MS;
      expect(await port.append(shard, [{ ...message, receivedMs }], "failed")).toEqual({ outcome: "kept" });
    }
  }
});
