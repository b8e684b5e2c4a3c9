// The spillway's shards as real Durable Objects, before the real local-kafka: what is kept comes to Kafka in order,
// through outages, lost answers and deaths; what cannot is held and told.
import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterOf } from "../../functions/cluster.ts";
import { deploymentOf } from "../../functions/deployment.ts";
import { flush } from "../../functions/flush.ts";
import type { Spillway } from "../../functions/objects/spillway.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import { flushSpill, spillPort, spillStatus, wakeSpill } from "../../functions/spill.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import type { SpillMessage } from "../../lib/ingest/spill/spill-port.ts";
import { createRestV2 } from "../../lib/kafka/rest-v2.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { message } from "../lib/ingest/spill/held.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { makeTopic, messagesWith } from "../support/worker/topic-messages.ts";

const PARTITIONS = 3;
const deployment = deploymentOf(env);

/** Of the deployment's shards, so that a status shows it; each test has its own. */
let shard = -1;
let stub: DurableObjectStub<Spillway>;
let topic: string;

beforeEach(async () => {
  shard = (shard + 1) % deployment.config.SPILL_SHARDS;
  stub = env.SPILLWAY.getByName(`shard-${shard}`);
  topic = `spilled.${crypto.randomUUID()}`;
  await makeTopic(topic, PARTITIONS);
  await clusterOf(env).report({ ok: 1, failed: 0 });
});
afterEach(async () => {
  await healKafka();
  // Nothing of one test is in another's way, whatever became of it.
  await runInDurableObject(stub, (_, { storage }) => {
    storage.sql.exec("DELETE FROM messages");
    storage.sql.exec("DELETE FROM totals");
    storage.sql.exec("DELETE FROM drained");
  });
  await abortAllDurableObjects();
  await clusterOf(env).noteSpill(shard, false);
});

const numbered = (from: number, to: number, more: Partial<SpillMessage> = {}): SpillMessage[] =>
  Array.from({ length: to - from }, (_, i) =>
    message(`key ${(from + i) % 5}`, `${(from + i) % 5}/${from + i}`, {
      topic,
      receivedMs: Date.now(),
      ...more,
    }),
  );

const append = async (messages: SpillMessage[], why: "behind" | "failed" = "failed") =>
  await stub.append(shard, messages, why);
const kept = { ok: true, value: { outcome: "kept" } };
const direct = { ok: true, value: { outcome: "direct" } };

const breakKafka = async (more: { kind?: "refuse" | "lose-answer"; times?: number } = {}) =>
  await failKafka({
    method: "POST",
    path: `/topics/${topic}`,
    times: 10_000,
    kind: "refuse",
    status: 503,
    ...more,
  });

/** Values by key, in the order of the log. */
async function logOf(key: number): Promise<number[]> {
  const found = await messagesWith(topic, `${key}/`, PARTITIONS);
  return found
    .map(({ value }) => new TextDecoder().decode(value ?? undefined))
    .filter((text) => text.startsWith(`${key}/`))
    .map((text) => Number(text.split("/")[1]));
}

const drained = async () => {
  await expect
    .poll(
      async () => {
        await runDurableObjectAlarm(stub);
        const status = await stub.status(shard);
        return status.ok && status.value.messages - status.value.refused;
      },
      { timeout: 10_000, interval: 20 },
    )
    .toBe(0);
};

const isTold = async () => (await clusterOf(env).state()).spilled.includes(shard);

/** Puts something in the place of what the object goes by. */
const change = async (what: object) =>
  await runInDurableObject(stub, (object) => void Object.assign(object, what));

/** The object's transport, with a `produce` of the test's. */
const withProduce = async (produce: (real: KafkaTransport) => KafkaTransport["produce"]) =>
  await change({
    openTransport: () => {
      const real = createRestV2({ url: "http://kafka.test" });
      return { ...real, produce: produce(real) };
    },
  });

describe("an outage", () => {
  it("loses nothing and keeps each key's order, and ends by itself", async () => {
    await breakKafka();
    expect(await append(numbered(0, 20))).toEqual(kept);
    expect(await isTold()).toBe(true);
    await runDurableObjectAlarm(stub);
    expect(await append(numbered(20, 40), "behind")).toEqual(kept);
    expect(await stub.status(shard)).toMatchObject({
      value: { messages: 40, records: 40, error: expect.stringContaining("503") },
    });
    await healKafka();
    expect(await append(numbered(40, 60), "behind")).toEqual(kept);
    await drained();
    for (let key = 0; key < 5; key++)
      expect(await logOf(key)).toEqual(Array.from({ length: 12 }, (_, i) => key + i * 5));
    await expect.poll(isTold).toBe(false);
    expect(await append(numbered(60, 61), "behind")).toEqual(direct);
    expect(await stub.status(shard)).toMatchObject({ value: { messages: 0, error: null } });
  });

  it("with the breaker open keeps what comes, though nothing is held", async () => {
    await clusterOf(env).report({ ok: 0, failed: 5 });
    expect(await append(numbered(0, 1), "behind")).toEqual(kept);
    expect(await isTold()).toBe(true);
    // Its drain is the probe that closes the breaker.
    await drained();
    await expect.poll(async () => (await clusterOf(env).state()).breaker).toBe("closed");
  });

  it("of one topic leaves the shard's others alone", async () => {
    await breakKafka();
    await append(numbered(0, 5));
    await runDurableObjectAlarm(stub);
    await clusterOf(env).report({ ok: 100, failed: 0 });
    const otherTopic = `spilled.${crypto.randomUUID()}`;
    await makeTopic(otherTopic, PARTITIONS);
    const other = numbered(0, 5, { topic: otherTopic });
    expect(await append(other, "behind")).toEqual(direct);
    expect(await append(other)).toEqual(kept);
    await expect
      .poll(
        async () => {
          await runDurableObjectAlarm(stub);
          return (await stub.status(shard)).ok && (await runInDurableObject(stub, heldTopics));
        },
        { timeout: 10_000 },
      )
      .toEqual([topic]);
  });
});

const heldTopics = (_: unknown, { storage }: DurableObjectState) =>
  storage.sql
    .exec("SELECT DISTINCT topic FROM messages")
    .toArray()
    .map(({ topic: held }) => held);

describe("a lost answer", () => {
  it("brings messages twice, and loses none", async () => {
    await breakKafka({ kind: "lose-answer", times: 1 });
    await append(numbered(0, 10));
    await drained();
    for (let key = 0; key < 5; key++) {
      const log = await logOf(key);
      expect(log).toEqual([key, key + 5, key, key + 5]);
    }
  });
});

describe("a death", () => {
  it("between Kafka's answer and the removal brings messages twice, and loses none", async () => {
    const seen = { isWritten: false, isDead: false };
    await withProduce((real) => async (...call) => {
      const outcomes = await real.produce(...call);
      seen.isWritten = true;
      while (!seen.isDead) await scheduler.wait(5);
      return outcomes;
    });
    await append(numbered(0, 10));
    await expect.poll(() => seen.isWritten, { timeout: 5_000, interval: 10 }).toBe(true);
    await abortAllDurableObjects();
    seen.isDead = true;
    stub = env.SPILLWAY.getByName(`shard-${shard}`);
    expect(await stub.status(shard)).toMatchObject({ value: { messages: 10, records: 10 } });
    await stub.wake(shard);
    await drained();
    for (let key = 0; key < 5; key++) expect(await logOf(key)).toEqual([key, key + 5, key, key + 5]);
  });

  it("forgets nothing: the next life tells the cluster again, and drains", async () => {
    await breakKafka();
    await append(numbered(0, 10));
    await abortAllDurableObjects();
    stub = env.SPILLWAY.getByName(`shard-${shard}`);
    await clusterOf(env).noteSpill(shard, false);
    await runInDurableObject(stub, async (_, { storage }) => await storage.deleteAlarm());
    await wakeSpill(env, deployment);
    expect(await isTold()).toBe(true);
    await healKafka();
    // By the alarm alone.
    await expect
      .poll(async () => await stub.status(shard), { timeout: 10_000 })
      .toMatchObject({
        value: { messages: 0 },
      });
    await expect.poll(isTold).toBe(false);
  });

  it("before the cluster was told that nothing is held any more is made good by the next call", async () => {
    await clusterOf(env).noteSpill(shard, true);
    expect(await append(numbered(0, 1), "behind")).toEqual(direct);
    expect(await isTold()).toBe(false);
  });
});

describe("while the cluster's state is away", () => {
  it("messages are kept all the same, and it is told later", async () => {
    const away = { getByName: () => ({ noteSpill: async () => await Promise.reject(new Error("away")) }) };
    await breakKafka();
    await change({ env: { ...env, CLUSTER: { ...away } } });
    expect(await append(numbered(0, 1))).toEqual(kept);
    expect(await isTold()).toBe(false);
    await abortAllDurableObjects();
    stub = env.SPILLWAY.getByName(`shard-${shard}`);
    await expect
      .poll(
        async () => {
          await runDurableObjectAlarm(stub);
          return await isTold();
        },
        { timeout: 5_000 },
      )
      .toBe(true);
  });
});

describe("a drain in flight", () => {
  it("lets nothing go past it", async () => {
    // What another object awaits may not be resolved from here: it looks for itself.
    const seen = { isCalled: false, mayGoOn: false };
    await withProduce((real) => async (...call) => {
      seen.isCalled = true;
      while (!seen.mayGoOn) await scheduler.wait(5);
      return await real.produce(...call);
    });
    await append(numbered(0, 5));
    await expect.poll(() => seen.isCalled, { timeout: 5_000, interval: 10 }).toBe(true);
    expect(await append(numbered(5, 10), "behind")).toEqual(kept);
    seen.mayGoOn = true;
    await drained();
    for (let key = 0; key < 5; key++) expect(await logOf(key)).toEqual([key, key + 5]);
    expect(await append(numbered(10, 11), "behind")).toEqual(direct);
  });

  it("is waited for by a flush, which leaves nothing", async () => {
    await append(numbered(0, 500));
    const [first, second] = await Promise.all([stub.flush(shard, 5_000), stub.flush(shard, 5_000)]);
    expect([first, second]).toMatchObject([{ value: { messages: 0 } }, { value: { messages: 0 } }]);
    expect(await messagesWith(topic, "/", PARTITIONS)).toHaveLength(500);
  });
});

describe("a full shard", () => {
  it("by size takes nothing more, keeps what it has, and says what to do", async () => {
    await breakKafka();
    await change({ env: { ...env, SPILL_MAX_BYTES: "2000" } });
    expect(await append(numbered(0, 5))).toEqual(kept);
    expect(await append(numbered(5, 15), "behind")).toMatchObject({
      value: { outcome: "full", reason: expect.stringMatching(/SPILL_MAX_BYTES/), retryAfterMs: 30_000 },
    });
    expect(await stub.status(shard)).toMatchObject({ value: { messages: 5 } });
    await healKafka();
    await drained();
    expect(await append(numbered(5, 10))).toEqual(kept);
  });

  it("by age, too, of the topic alone that has waited for so long", async () => {
    await breakKafka();
    const ageMs = deployment.config.SPILL_MAX_AGE_MS;
    const missing = `missing.${crypto.randomUUID()}`;
    const old = { topic: missing, receivedMs: Date.now() - ageMs - 1 };
    expect(await append(numbered(0, 1, old))).toEqual(kept);
    expect(await append(numbered(1, 2))).toEqual(kept);
    expect(await append(numbered(2, 3), "behind")).toEqual(kept);
    const more = [...numbered(3, 4), ...numbered(4, 5, { topic: missing })];
    for (const why of ["behind", "failed"] as const)
      expect(await append(more, why)).toMatchObject({
        value: { outcome: "full", reason: expect.stringMatching(`${missing}.*SPILL_MAX_AGE_MS`) },
      });
    expect(await stub.status(shard)).toMatchObject({ value: { messages: 3 } });
  });
});

describe("a message that Kafka refuses for itself", () => {
  it("is held and shown, and blocks nothing", async () => {
    const large = message("key 0", "x".repeat(1_100_000), {
      topic,
      receivedMs: Date.now(),
      tenant: "beta",
      records: 7,
    });
    await append([...numbered(0, 5), large, ...numbered(5, 10)]);
    await drained();
    expect(await logOf(0)).toEqual([0, 5]);
    const status = await spillStatus(env, deployment);
    // Nothing of it is in the log, so nothing need be kept for it.
    expect(status).toMatchObject({ messages: 1, records: 7, refused: 1, oldestMs: null, isComplete: true });
    expect(status.byTenant).toEqual([{ tenant: "beta", signal: "logs", records: 7 }]);
    expect(status.shards[shard]?.refusals).toMatchObject([{ topic, tenant: "beta", code: "too_large" }]);
    // It waits for somebody, not for Kafka: nothing queues behind it.
    await expect.poll(isTold).toBe(false);
    expect(await append(numbered(10, 11), "behind")).toEqual(direct);
    expect(await (await post("/kafka/flush")).json()).toMatchObject({
      status: "partial",
      held: { messages: 1, records: 7, refused: 1 },
      shards: [{ shard, refusals: [{ topic, code: "too_large", records: 7 }] }],
    });
  });
});

describe("a topic that is missing", () => {
  it("holds its messages until it is made, with as many partitions as it has then", async () => {
    const missing = `missing.${crypto.randomUUID()}`;
    await append(numbered(0, 10, { topic: missing }));
    await runDurableObjectAlarm(stub);
    expect(await stub.status(shard)).toMatchObject({
      value: { messages: 10, refused: 0, error: expect.stringContaining("unknown_topic") },
    });
    await makeTopic(missing, 7);
    topic = missing;
    expect((await flushSpill(env, deployment, 5_000)).messages).toBe(0);
    expect(await messagesWith(missing, "/", 7)).toHaveLength(10);
  });
});

describe("a status", () => {
  it("tells how old what was sent on was, of all shards by the hour", async () => {
    const HOUR = 3_600_000;
    const other = (shard + 1) % deployment.config.SPILL_SHARDS;
    const otherStub = env.SPILLWAY.getByName(`shard-${other}`);
    const receivedMs = Date.now() - 30 * HOUR;
    const fromMs = Date.now();
    await append(numbered(0, 3, { receivedMs }));
    await otherStub.append(other, numbered(3, 6, { receivedMs: receivedMs - HOUR }), "failed");
    expect((await flushSpill(env, deployment, 5_000)).messages).toBe(0);
    const { drained: told, shards } = await spillStatus(env, deployment);
    expect(Math.min(...told.map(({ oldestMs }) => oldestMs))).toBe(receivedMs - HOUR);
    // Two where the hour ended in between.
    expect(new Set(told.map(({ untilMs }) => untilMs)).size).toBe(told.length);
    for (const { untilMs } of told) expect(untilMs).toSatisfy((ms) => ms > fromMs && ms % HOUR === 0);
    expect(shards[shard]).not.toHaveProperty("drained");
    await runInDurableObject(otherStub, (_, { storage }) => void storage.sql.exec("DELETE FROM drained"));
  });
});

describe("a shard beyond the settings' count", () => {
  it("is told, woken and flushed as long as it holds messages", async () => {
    shard = deployment.config.SPILL_SHARDS + 3;
    stub = env.SPILLWAY.getByName(`shard-${shard}`);
    await breakKafka();
    await append(numbered(0, 10));
    const status = await spillStatus(env, deployment);
    expect(status).toMatchObject({ messages: 10, isComplete: true });
    expect(status.shards).toHaveLength(deployment.config.SPILL_SHARDS + 1);
    expect(status.shards.at(-1)).toMatchObject({ shard, messages: 10 });
    await runInDurableObject(stub, async (_, { storage }) => await storage.deleteAlarm());
    await abortAllDurableObjects();
    stub = env.SPILLWAY.getByName(`shard-${shard}`);
    await healKafka();
    await wakeSpill(env, deployment);
    await expect
      .poll(async () => await stub.status(shard), { timeout: 10_000 })
      .toMatchObject({ value: { messages: 0 } });
    await append(numbered(10, 20));
    expect((await flushSpill(env, deployment, 5_000)).messages).toBe(0);
    expect(await messagesWith(topic, "/", PARTITIONS)).toHaveLength(20);
    await expect.poll(isTold).toBe(false);
    expect((await spillStatus(env, deployment)).shards).toHaveLength(deployment.config.SPILL_SHARDS);
  });
});

describe("the port", () => {
  const port = spillPort(env, deployment);

  it("puts a key's messages into one shard, with bytes that are views of larger ones", async () => {
    const buffer = new TextEncoder().encode(`before${"x".repeat(100)}after`);
    const key = buffer.subarray(0, 6);
    expect(port.shardOf(key)).toBe(port.shardOf(new TextEncoder().encode("before")));
    await breakKafka();
    const one = message("", "", { topic, key, value: buffer.subarray(6, 106) });
    expect(await port.append(shard, [one], "failed")).toEqual({ outcome: "kept" });
    await healKafka();
    await drained();
    expect((await messagesWith(topic, "xxx", PARTITIONS)).map(({ text }) => text)).toEqual([
      `before\n${"x".repeat(100)}`,
    ]);
  });

  it("tells a shard that throws or hangs as that, and leaves the others alone", async () => {
    await breakKafka();
    await append(numbered(0, 3));
    const { SPILLWAY } = env;
    const faulty = {
      ...env,
      SPILLWAY: {
        getByName: (name: string) => {
          if (name === `shard-${(shard + 1) % 8}`) throw new Error("overloaded");
          if (name === `shard-${(shard + 2) % 8}`) return { append: hang, status: hang };
          return SPILLWAY.getByName(name);
        },
      },
    } as unknown as Env;
    const some = spillPort(faulty, deployment);
    const [failed, hanging, good, status] = await Promise.all([
      some.append((shard + 1) % 8, numbered(3, 4), "failed"),
      some.append((shard + 2) % 8, numbered(3, 4), "failed"),
      some.append(shard, numbered(3, 4), "failed"),
      spillStatus(faulty, deployment),
    ]);
    expect(failed).toMatchObject({ outcome: "failed", message: expect.stringContaining("overloaded") });
    expect(hanging).toMatchObject({ outcome: "failed", message: expect.stringContaining("5000 ms") });
    expect(good).toEqual({ outcome: "kept" });
    expect(status.isComplete).toBe(false);
    expect(status.messages).toBeGreaterThanOrEqual(3);
    expect(status.shards.filter(({ error }) => /overloaded|5000 ms/.test(error ?? ""))).toHaveLength(2);
  });
});

const hang = async () => await new Promise(() => {});

describe("POST /kafka/flush", () => {
  it("sends what is held", async () => {
    await breakKafka();
    await append(numbered(0, 50));
    await runDurableObjectAlarm(stub);
    expect(await (await post("/kafka/flush?timeout_ms=300")).json()).toMatchObject({
      status: "partial",
      held: { messages: 50, records: 50, refused: 0 },
      shards: [{ shard, messages: 50, error: expect.stringContaining("503") }],
    });
    await healKafka();
    expect(await (await post("/kafka/flush")).json()).toEqual({
      status: "success",
      message: "Kafka producer flushed",
      held: { messages: 0, records: 0, bytes: 0, refused: 0, oldest_ms: null },
      shards: [],
    });
    expect(await messagesWith(topic, "/", PARTITIONS)).toHaveLength(50);
  });

  it("takes no time that it cannot keep", async () => {
    expect((await post("/kafka/flush?timeout_ms=25001")).status).toBe(400);
    expect((await post("/kafka/flush?timeout=1")).status).toBe(400);
  });
});

async function post(path: string): Promise<Response> {
  const app = new Hono<AppEnv>().use(prepare).route("/", flush);
  return await app.request(path, { method: "POST", headers: { Authorization: `Bearer ${DEV_KEY}` } }, env);
}
