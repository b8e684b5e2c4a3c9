// From Kafka into storage, through the Durable Object that owns a partition: what wakes it, what holds it up, and
// what must not.
import {
  abortAllDurableObjects,
  createExecutionContext,
  createScheduledController,
  env,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PartitionConsumer } from "../../functions/objects/partition-consumer.ts";
import worker from "../../functions/worker.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { drain, getList, GROUP, postJson, send } from "../support/worker/client.ts";

interface LagRow {
  topic: string;
  partition: number;
  committed: number | null;
  end: number | null;
  lag: number | null;
  records: number;
  dead_letters: number;
}

const ownersOf = (topic: string): DurableObjectStub<PartitionConsumer>[] =>
  [0, 1, 2].map((partition) => env.PARTITION_CONSUMER.getByName(`${GROUP}/${topic}/${partition}`));

let service: string;
const storedLogs = async () =>
  await getList<{ message: string }>(`/api/v1/logs?service=${service}&limit=1000`);
const postLogs = async (...messages: string[]) =>
  await postJson(
    "/api/v1/logs",
    messages.map((message) => ({ message, service })),
  );

beforeEach(() => {
  service = `s-${crypto.randomUUID()}`;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await healKafka();
});

describe("a record's way", () => {
  it("leads from the intake through Kafka to the query, by a poke alone", async () => {
    await postLogs("one", "two");
    await expect.poll(storedLogs, { timeout: 5_000, interval: 20 }).toHaveLength(2);
    expect(await storedLogs()).toMatchObject([{ message: "two" }, { message: "one" }]);
  });

  it("is found by the schedule where every poke was lost", async () => {
    const poke = vi
      .spyOn(Object.getPrototypeOf(env.PARTITION_CONSUMER), "getByName")
      // Every namespace has this prototype; only the consumers' is out of reach.
      .mockImplementation(function (this: DurableObjectNamespace, ...[name]: unknown[]) {
        if (String(name).startsWith(`${GROUP}/`)) throw new Error("lost");
        return this.get(this.idFromName(String(name)));
      });
    await postLogs("unpoked");
    poke.mockRestore();
    expect(await storedLogs()).toEqual([]);
    const context = createExecutionContext();
    await worker.scheduled(createScheduledController({ cron: "* * * * *" }), env);
    await waitOnExecutionContext(context);
    await expect.poll(storedLogs, { timeout: 5_000, interval: 20 }).toHaveLength(1);
  });

  it("keeps what an isolate held back within the poke window", async () => {
    await Promise.all(Array.from({ length: 40 }, (_, i) => postLogs(`burst ${i}`)));
    await expect.poll(storedLogs, { timeout: 5_000, interval: 20 }).toHaveLength(40);
  });

  it("shows in the lag", async () => {
    await postLogs("a", "b", "c");
    await drain("logs.raw");
    const lag = await getList<LagRow>("/api/v1/lag");
    expect(lag).toHaveLength(12);
    const logs = lag.filter(({ topic }) => topic === "logs.raw");
    expect(logs.every((row) => row.lag === 0 && (row.committed ?? 0) === row.end)).toBe(true);
    expect(logs.reduce((sum, { records }) => sum + records, 0)).toBeGreaterThanOrEqual(3);
  });
});

describe("overlap", () => {
  it("of many owners' drains stores each record once", async () => {
    await Promise.all(Array.from({ length: 10 }, (_, i) => postLogs(`${i} a`, `${i} b`)));
    const topicOwners = ownersOf("logs.raw");
    // The same partition under other names: owners that do not know of each other, as after a split brain.
    const strangers = topicOwners.flatMap((_, partition) =>
      Array.from({ length: 4 }, (_, n) => env.PARTITION_CONSUMER.getByName(`stranger ${n} of ${partition}`)),
    );
    await Promise.all(
      strangers.map((stub, i) =>
        runInDurableObject(stub, async (object: PartitionConsumer) => {
          await object.wake({
            group: GROUP,
            topic: "logs.raw",
            partition: Math.floor(i / 4),
            signal: "logs",
          });
          await object.alarm();
        }),
      ),
    );
    await drain("logs.raw");
    await expect.poll(storedLogs, { timeout: 5_000, interval: 20 }).toHaveLength(20);
    await drain("logs.raw");
    expect(new Set((await storedLogs()).map(({ message }) => message)).size).toBe(20);
    expect(await storedLogs()).toHaveLength(20);
  });
});

describe("faults", () => {
  it("of Kafka hold a partition up, visibly, and lose nothing", async () => {
    await failKafka({
      method: "GET",
      path: "/topics/logs.raw/partitions",
      times: 1_000,
      kind: "refuse",
      status: 503,
      body: '{"error_code":50302,"message":"away"}',
    });
    await postLogs("during the outage");
    await expect
      .poll(async () => await (await send("/kafka/status")).json(), { timeout: 5_000, interval: 50 })
      .toMatchObject({ kafka_consumer: "retrying", kafka_producer: "connected" });
    const status: { consumers: { state: string; error: string | null }[] } = await (
      await send("/kafka/status")
    ).json();
    expect(status.consumers.find(({ state }) => state === "retrying")?.error).toMatch(/503/);
    await healKafka();
    await expect.poll(storedLogs, { timeout: 10_000, interval: 50 }).toHaveLength(1);
  });

  it("are retried at a bounded rate, however many pokes come", async () => {
    await failKafka({
      method: "GET",
      path: "/topics/events.raw/partitions",
      times: 1_000,
      kind: "refuse",
      status: 500,
      body: "{}",
    });
    const [stub] = ownersOf("events.raw");
    const owned = { group: GROUP, topic: "events.raw", partition: 0, signal: "events" as const };
    const alarms = await runInDurableObject(stub!, async (object: PartitionConsumer, state) => {
      await object.wake(owned);
      const delays: number[] = [];
      for (let failure = 0; failure < 12; failure++) {
        await object.alarm();
        const before = Date.now();
        await object.poke(owned, 0);
        await object.wake(owned);
        delays.push((await state.storage.getAlarm())! - before);
      }
      return delays;
    });
    expect(alarms[0]).toBeGreaterThan(300);
    expect(Math.min(...alarms.slice(-3))).toBeGreaterThan(29_000);
    expect(Math.max(...alarms)).toBeLessThanOrEqual(60_000);
  });

  it("of single messages dead-letter those, and the partition moves on", async () => {
    const produce = async (values: (string | Uint8Array)[]) => {
      const records = values.map((value) => ({
        partition: 0,
        value: btoa(typeof value === "string" ? value : String.fromCharCode(...value)),
      }));
      const response = await fetch("http://kafka.test/topics/logs.raw", {
        method: "POST",
        headers: { "Content-Type": "application/vnd.kafka.binary.v2+json" },
        body: JSON.stringify({ records }),
      });
      expect(response.status).toBe(200);
    };
    const good = (n: number) => JSON.stringify({ message: `good ${n}`, service });
    await produce([
      good(1),
      "not JSON",
      new Uint8Array([0xff, 0xfe]),
      '{"v":1,"entries":"no envelope"}',
      '{"v":99,"entries":[]}',
      `[${good(2)},{"message":5},${good(3)}]`,
      "",
      good(4),
    ]);
    await ownersOf("logs.raw")[0]!.wake({ group: GROUP, topic: "logs.raw", partition: 0, signal: "logs" });
    await drain("logs.raw");
    const { results } = await env.DB.prepare(
      "SELECT idx, error_type, original_value FROM dead_letters ORDER BY offset, idx",
    ).all<{
      idx: number;
      error_type: string;
      original_value: string | null;
    }>();
    expect(results.slice(-6).map(({ idx, error_type: type }) => [idx, type])).toEqual([
      [-1, "malformed_json"],
      [-1, "invalid_utf8"],
      [-1, "wrong_type"],
      [-1, "wrong_type"],
      [1, "wrong_type"],
      [-1, "missing_field"],
    ]);
    expect(atob(results.at(-6)!.original_value!)).toBe("not JSON");
    // Bare records belong to the default tenant.
    const { results: stored } = await env.DB.prepare(
      "SELECT message FROM logs WHERE tenant = 'default' AND service = ? ORDER BY message",
    )
      .bind(service)
      .all<{ message: string }>();
    expect(stored.map(({ message }) => message)).toEqual(["good 1", "good 2", "good 3", "good 4"]);
  });

  it("of a lost commit answer do not store twice", async () => {
    await postLogs("answer lost");
    const batch = env.DB.batch.bind(env.DB);
    const loseAnswer = async (...statements: Parameters<typeof batch>): Promise<never> => {
      await batch(...statements);
      throw new Error("D1_ERROR: Network connection lost.");
    };
    const prototype = Object.getPrototypeOf(env.DB) as { batch: typeof batch };
    const lossy = vi.spyOn(prototype, "batch").mockImplementationOnce(loseAnswer);
    await drain("logs.raw");
    lossy.mockRestore();
    await expect.poll(storedLogs, { timeout: 10_000, interval: 50 }).toHaveLength(1);
    await drain("logs.raw");
    expect(await storedLogs()).toHaveLength(1);
  });

  it("of a log that ends before the stored offset stop the partition instead of guessing", async () => {
    await env.DB.prepare(
      "INSERT OR REPLACE INTO offsets (group_id, topic, partition, incarnation, next_offset, records_total, dead_total, expired_total, updated_at) VALUES (?, 'metrics.raw', 2, 0, 1000000, 0, 0, 0, '2026-01-01')",
    )
      .bind(GROUP)
      .run();
    const owned = { group: GROUP, topic: "metrics.raw", partition: 2, signal: "metrics" as const };
    const stub = ownersOf("metrics.raw")[2]!;
    await stub.wake(owned);
    await drain("metrics.raw");
    await expect
      .poll(async () => await stub.status(), { timeout: 5_000, interval: 20 })
      .toMatchObject({
        state: "stopped",
        error: expect.stringMatching(/made anew/),
      });
    expect(await (await send("/kafka/status")).json()).toMatchObject({ kafka_consumer: "stopped" });
    // An object that has lost its memory still knows.
    await abortAllDurableObjects();
    expect(await ownersOf("metrics.raw")[2]!.status()).toMatchObject({ state: "stopped" });
  });
});
