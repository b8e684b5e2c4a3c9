// Many small produce calls through the real host objects: few calls reach Kafka, each caller is answered once its own
// record is there, one caller's bad record is its own affair, and a host that dies leaves nobody waiting.
import { abortAllDurableObjects, env, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { MAX_BROKEN_CALLS, type TransportHost } from "../../functions/objects/transport-host.ts";
import { KafkaError } from "../../lib/kafka/errors.ts";
import { createHosted } from "../../lib/kafka/hosted.ts";
import { createRestV2 } from "../../lib/kafka/rest-v2.ts";
import { produceWithRetry } from "../../lib/kafka/retry.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../../lib/kafka/transport.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";

const PARTITIONS = 8;
const direct = createRestV2({ url: "http://kafka.test" });
const utf8 = new TextEncoder();
const text = new TextDecoder();
const record = (value: string, partition = 0): ProduceRecord => ({
  partition,
  key: null,
  value: utf8.encode(value),
});

/** No log has such a partition; the proxy refuses the whole request (422), as it is no integer that JSON can carry. */
const POISON = 2 ** 60;

async function makeTopic(): Promise<string> {
  const name = `batched.${crypto.randomUUID()}`;
  await fetch("http://control.test/topics", {
    method: "POST",
    body: JSON.stringify({ name, partitions: PARTITIONS }),
  });
  return name;
}

async function produceCalls(topic: string): Promise<number> {
  const calls: [string, number][] = await (await fetch("http://control.test/produce-calls")).json();
  return new Map(calls).get(topic) ?? 0;
}

/** Hosts of this test's own, with its settings. */
async function openHosts(
  shards: number,
  settings: Record<string, string>,
): Promise<{ transport: KafkaTransport; stubs: DurableObjectStub<TransportHost>[] }> {
  const name = crypto.randomUUID();
  const host = (shard: number) => env.PRODUCE_HOST.getByName(`${name}/${shard}`);
  const stubs = Array.from({ length: shards }, (_, shard) => host(shard));
  for (const stub of stubs)
    await runInDurableObject(stub, (object) => void Object.assign(object, { env: { ...env, ...settings } }));
  return { transport: createHosted({ name: "rest-v2", shards, host, direct }), stubs };
}

async function readAll(topic: string): Promise<string[][]> {
  const all: string[][] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const values: string[] = [];
    for (;;) {
      const found = await direct.fetch({
        topic,
        partition,
        offset: values.length,
        maxBytes: 1_000_000,
        waitMs: 0,
      });
      if (found.length === 0) break;
      for (const { value } of found) values.push(text.decode(value!));
    }
    all.push(values);
  }
  return all;
}

/** Is what was answered as written there to be read, now? */
async function expectReadable(topic: string, outcome: ProduceOutcome, value: string): Promise<void> {
  if (!outcome.ok) throw outcome.error;
  const { partition, offset } = outcome;
  const [found] = await direct.fetch({ topic, partition, offset, maxBytes: 1, waitMs: 0 });
  expect(found).toMatchObject({ offset });
  expect(text.decode(found!.value!)).toBe(value);
}

/** Ends the object's life as a deploy or a crash does: calls inside it break. */
async function reset(stub: DurableObjectStub<TransportHost>): Promise<void> {
  await runInDurableObject(stub, (_, state) => state.abort("reset by the test")).catch(() => undefined);
}

afterEach(async () => {
  await healKafka();
});

describe("batching", () => {
  it("makes at most 100 produce calls a second of 1,000 requests, and answers none before its record is there", async () => {
    const topic = await makeTopic();
    const lingerMs = 40;
    const shards = 2;
    const { transport, stubs } = await openHosts(shards, { KAFKA_LINGER_MS: String(lingerMs) });
    const beganMs = performance.now();
    const client = async (id: number) => {
      for (let i = 0; i < 20; i++) {
        const value = `${id}:${i}`;
        const [outcome] = await transport.produce(topic, [record(value, id % PARTITIONS)]);
        await expectReadable(topic, outcome!, value);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, id) => client(id)));
    const elapsedMs = performance.now() - beganMs;
    const calls = await produceCalls(topic);
    // A host's next call leaves a linger after the one before it at the earliest (its clock may lag some ms behind).
    expect(calls).toBeLessThanOrEqual(shards * (elapsedMs / (lingerMs * 0.8) + 1));
    expect(calls).toBeLessThanOrEqual(0.1 * elapsedMs);
    expect(calls).toBeLessThan(500);
    const logs = await readAll(topic);
    expect(logs.flat()).toHaveLength(1_000);
    expect(new Set(logs.flat()).size).toBe(1_000);
    for (let id = 0; id < 50; id++) {
      const own = logs[id % PARTITIONS]!.filter((value) => value.startsWith(`${id}:`));
      expect(own).toEqual(Array.from({ length: 20 }, (_, i) => `${id}:${i}`));
    }
    const stats = await Promise.all(stubs.map(async (stub) => await stub.stats()));
    const sum = (field: "requests" | "calls" | "records" | "pendingBytes") =>
      stats.reduce((total, one) => total + (one.ok ? one.value[field] : Number.NaN), 0);
    expect([sum("requests"), sum("calls"), sum("records"), sum("pendingBytes")]).toEqual([
      1_000,
      calls,
      1_000,
      0,
    ]);
    expect(stats.every((one) => one.ok && one.value.records > 0)).toBe(true);
  });

  it("without linger gathers what comes while a call is in flight, across requests", async () => {
    const topic = await makeTopic();
    const { transport } = await openHosts(1, { KAFKA_LINGER_MS: "0" });
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) => transport.produce(topic, [record(`${i}`, i % PARTITIONS)])),
    );
    for (const [i, [outcome]] of outcomes.entries()) await expectReadable(topic, outcome!, `${i}`);
    // One each if nothing were gathered.
    expect(await produceCalls(topic)).toBeLessThan(200);
  });

  it("refuses a poisoned request alone", async () => {
    const topic = await makeTopic();
    const { transport } = await openHosts(1, { KAFKA_LINGER_MS: "50" });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 64 }, (_, i) =>
        transport.produce(topic, [record(`${i}`, i === 37 ? POISON : i % PARTITIONS)]),
      ),
    );
    for (const [i, settled] of outcomes.entries()) {
      const [outcome] = settled.status === "fulfilled" ? settled.value : [];
      if (i === 37)
        expect(settled).toMatchObject({ status: "rejected", reason: { code: "rejected", retryable: false } });
      else await expectReadable(topic, outcome!, `${i}`);
    }
    expect((await readAll(topic)).flat()).toHaveLength(63);
    expect(await produceCalls(topic)).toBeLessThanOrEqual(4 * (1 + 2 * 6));
  });

  it("answers nobody as written whose produce call failed, and everybody's retry goes through", async () => {
    const topic = await makeTopic();
    const { transport } = await openHosts(2, { KAFKA_LINGER_MS: "20" });
    await failKafka({ method: "POST", path: topic, times: 2, kind: "refuse", status: 503, body: "{}" });
    const retry = { maxAttempts: 10, baseDelayMs: 10, maxDelayMs: 100, deadlineMs: 10_000 };
    const first = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) => transport.produce(topic, [record(`first ${i}`, i % PARTITIONS)])),
    );
    const failed = first.filter(({ status }) => status === "rejected");
    const written = (await readAll(topic)).flat();
    expect(written).toHaveLength(40 - failed.length);
    expect(failed.length).toBeGreaterThan(0);
    for (const call of failed)
      expect(call).toMatchObject({ reason: { code: "unavailable", retryable: true } });
    await failKafka({ method: "POST", path: topic, times: 2, kind: "lose-answer", status: 503, body: "{}" });
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        produceWithRetry(transport, topic, [record(`again ${i}`, i % PARTITIONS)], retry),
      ),
    );
    for (const [i, [outcome]] of outcomes.entries()) await expectReadable(topic, outcome!, `again ${i}`);
  });
});

describe("a host", () => {
  it("that is reset while requests wait in it leaves nobody waiting: its callers may try again", async () => {
    const topic = await makeTopic();
    const { transport, stubs } = await openHosts(2, { KAFKA_LINGER_MS: "5" });
    // Kafka takes the calls and stays silent.
    const silent: KafkaTransport = {
      ...direct,
      produce: () => new Promise((end) => setTimeout(end, 60_000)),
    };
    for (const stub of stubs)
      await runInDurableObject(stub, (object) => void Object.assign(object, { openTransport: () => silent }));
    const calls = Array.from({ length: 20 }, (_, i) =>
      transport.produce(topic, [record(`${i}`, i % PARTITIONS)]).catch((error: unknown) => error),
    );
    await expect
      .poll(
        async () => {
          const all = await Promise.all(stubs.map(async (stub) => await stub.stats()));
          return all.reduce((sum, one) => sum + (one.ok ? one.value.pendingRequests : 0), 0);
        },
        { timeout: 20_000 },
      )
      .toBe(20);
    for (const stub of stubs) await reset(stub);
    for (const call of calls) {
      expect(await call).toMatchObject({ name: "KafkaError", code: "unavailable", retryable: true });
    }
    const [again] = await transport.produce(topic, [record("again")]);
    await expectReadable(topic, again!, "again");
  });

  it("that is reset or evicted at any moment leaves each call written or free to be tried again", async () => {
    for (const end of ["reset", "evict"] as const) {
      const topic = await makeTopic();
      const { transport, stubs } = await openHosts(2, { KAFKA_LINGER_MS: "2" });
      const sent = new Set<string>();
      const failed = new Set<string>();
      const run = { isOver: false };
      const client = async (id: number) => {
        for (let i = 0; !run.isOver; i++) {
          const value = `${id}:${i}`;
          sent.add(value);
          try {
            const [outcome] = await transport.produce(topic, [record(value, id % PARTITIONS)]);
            await expectReadable(topic, outcome!, value);
          } catch (error) {
            expect(error).toMatchObject({ name: "KafkaError", retryable: true });
            failed.add(value);
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 16 }, (_, id) => client(id)));
      try {
        for (let round = 0; round < 5; round++) {
          const before = await produceCalls(topic);
          await expect
            .poll(async () => await produceCalls(topic), { interval: 1, timeout: 20_000 })
            .toBeGreaterThan(before + 2);
          if (end === "reset") await reset(stubs[round % 2]!);
          else await abortAllDurableObjects();
        }
      } finally {
        run.isOver = true;
      }
      await clients;
      const written = new Set((await readAll(topic)).flat());
      expect([...sent].filter((value) => !written.has(value) && !failed.has(value))).toEqual([]);
      if (end === "reset") expect(failed.size).toBeGreaterThan(0);
    }
  });

  it("tells a call under which it gave its client up why it did", async () => {
    const { stubs } = await openHosts(1, {});
    const stub = stubs[0] as (typeof stubs)[number];
    let end: ((reason: KafkaError) => void) | undefined;
    const ill = {
      name: "rest-v2",
      topics: () => Promise.reject(new KafkaError("unreachable", "it speaks no TLS")),
      partitionCount: () => new Promise((_, reject) => (end = reject)),
      close: async () => end?.(new KafkaError("unreachable", "this Kafka client is closed")),
    };
    await runInDurableObject(stub, (object) => void Object.assign(object, { openTransport: () => ill }));
    const waiting = stub.partitionCount("logs.raw");
    const told: unknown[] = [];
    for (let calls = 0; calls < MAX_BROKEN_CALLS; calls++) told.push(await stub.topics());
    told.push(await waiting);
    for (const one of told)
      expect(one).toMatchObject({ ok: false, error: { code: "unreachable", message: "it speaks no TLS" } });
  });

  it("answers every other call of a transport, errors included", async () => {
    const topic = await makeTopic();
    const name = crypto.randomUUID();
    const transport = createHosted({
      name: "rest-v2",
      shards: 3,
      host: (shard) => env.PRODUCE_HOST.getByName(`${name}/${shard}`),
    });
    expect(await transport.capabilities()).toEqual(await direct.capabilities());
    const outcomes = await transport.produce(
      topic,
      Array.from({ length: 16 }, (_, i) => record(`${i}`, i % PARTITIONS)),
    );
    expect(outcomes).toEqual(
      Array.from({ length: 16 }, (_, i) => ({
        ok: true,
        partition: i % PARTITIONS,
        offset: Math.floor(i / PARTITIONS),
      })),
    );
    const back = await transport.fetch({ topic, partition: 5, offset: 0, maxBytes: 1 << 20, waitMs: 0 });
    expect(back.map(({ offset, key, value }) => [offset, key, text.decode(value!)])).toEqual([
      [0, null, "5"],
      [1, null, "13"],
    ]);
    expect(await transport.earliestOffset(topic, 5)).toBe(0);
    expect(await transport.latestOffset(topic, 5, 1)).toBe(2);
    expect(await transport.partitionCount(topic)).toBe(PARTITIONS);
    expect(await transport.topics()).toContain(topic);
    expect((await transport.describeTopic(topic)).partitions).toHaveLength(PARTITIONS);
    await expect(transport.partitionCount("no.such.topic")).rejects.toMatchObject({
      name: "KafkaError",
      code: "unknown_topic",
      retryable: false,
    });
    await expect(transport.commitOffset("g", topic, 0, 1)).rejects.toMatchObject({ code: "unsupported" });
    await expect(
      transport.fetch({ topic, partition: 5, offset: 3, maxBytes: 1, waitMs: 0 }),
    ).rejects.toMatchObject({ code: "offset_out_of_range" });
    await transport.close();
    expect(await transport.latestOffset(topic, 5, 1)).toBe(2);
  });
});
