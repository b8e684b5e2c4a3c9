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
import { wakeAll } from "../../functions/schedule.ts";
import { emptyCommit } from "../../lib/stream/empty-commit.ts";
import { deploymentOf } from "../../functions/deployment.ts";
import { spillStatus } from "../../functions/spill.ts";
import worker from "../../functions/worker.ts";
import { queryStoreOf, streamStoreOf } from "../../functions/storage.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { drain, getList, GROUP, postJson, send, wakeAndDrain } from "../support/worker/client.ts";
import { makeTopic, messagesWith } from "../support/worker/topic-messages.ts";

interface LagRow {
  group: string;
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
/** Of bare records, which belong to the default tenant. */
const storedMessages = async (ofService: string) => {
  const page = { from: undefined, to: undefined, after: undefined, limit: 100 };
  const filters = { service: ofService, level: undefined, text: undefined };
  const found = await queryStoreOf(env).logs({ tenant: "default", ...page, ...filters });
  return found.map(({ record }) => record.message).toSorted();
};
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

  it("is found after the clock was set back, though the last poke lies ahead then", async () => {
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3_600_000);
    await postLogs("ahead");
    clock.mockRestore();
    await postLogs("after");
    await expect.poll(storedLogs, { timeout: 5_000, interval: 20 }).toHaveLength(2);
  });

  it("shows in the lag", async () => {
    await postLogs("a", "b", "c");
    await drain("logs.raw");
    const lag = await getList<LagRow>("/api/v1/lag");
    // Twelve of the storage group, and three of the one for alerts.
    expect(lag).toHaveLength(15);
    const logs = lag.filter(({ group, topic }) => group === GROUP && topic === "logs.raw");
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
      const answer: { offsets: { offset: number }[] } = await response.json();
      return answer.offsets[0]!.offset;
    };
    const good = (n: number) => JSON.stringify({ message: `good ${n}`, service });
    const first = await produce([
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
      `SELECT idx, error_type, original_value FROM dead_letters JOIN sources ON sources.id = source
        WHERE topic = 'logs.raw' AND partition = 0 AND offset BETWEEN ?1 AND ?1 + 7 ORDER BY offset, idx`,
    )
      .bind(first)
      .all<{
        idx: number;
        error_type: string;
        original_value: string | null;
      }>();
    expect(results.map(({ idx, error_type: type }) => [idx, type])).toEqual([
      [-1, "malformed_json"],
      [-1, "invalid_utf8"],
      [-1, "wrong_type"],
      [-1, "wrong_type"],
      [1, "wrong_type"],
      [-1, "missing_field"],
    ]);
    expect(atob(results[0]!.original_value!)).toBe("not JSON");
    expect(await storedMessages(service)).toEqual(["good 1", "good 2", "good 3", "good 4"]);
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

  it("of such a log end by an operator's word: it is read from its start, as another one", async () => {
    const owned = { group: GROUP, topic: "metrics.raw", partition: 2, signal: "metrics" as const };
    const stub = ownersOf("metrics.raw")[2]!;
    const resume = async (body: object) => await postJson(`/api/v1/admin/groups/${GROUP}/resume`, body);
    const place = { topic: "metrics.raw", partition: 2 };
    expect((await resume({ ...place, partition: 1 })).status).toBe(404);
    expect((await resume({ ...place, partition: 7 })).status).toBe(404);
    expect((await resume({ topic: "metrics.raw" })).status).toBe(400);
    const response = await resume(place);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ group: GROUP, ...place, incarnation: 1, next_offset: 0 });
    expect(await stub.status()).toEqual({ state: "running", error: null, tripped: [] });
    await wakeAndDrain("metrics.raw", "metrics");
    expect(await streamStoreOf(env).position(owned)).toMatchObject({ incarnation: 1, epoch: 0 });
    expect((await resume(place)).status).toBe(404);
  });
});

describe("a request sent twice under one key", () => {
  it("is stored once, and counted as it came", async () => {
    const key = { "Idempotency-Key": crypto.randomUUID() };
    const records = ["one", "two"].map((message) => ({ message, service }));
    for (let i = 0; i < 2; i++) expect((await postJson("/api/v1/logs", records, key)).status).toBe(202);
    const before = await streamStoreOf(env).ledger(GROUP, "dev");
    await wakeAndDrain("logs.raw", "logs");
    expect(await storedLogs()).toHaveLength(2);
    const sum = (rows: typeof before, name: "stored" | "deduplicated") =>
      rows.reduce((all, row) => all + row[name], 0);
    const after = await streamStoreOf(env).ledger(GROUP, "dev");
    expect(sum(after, "deduplicated") - sum(before, "deduplicated")).toBe(2);
  });
});

describe("an owner that is to rest", () => {
  it("begins no batch, and goes on by itself where the end does not come", async () => {
    const owned = { group: GROUP, topic: "events.raw", partition: 1, signal: "events" as const };
    const stub = env.PARTITION_CONSUMER.getByName(`resting ${service}`);
    await runInDurableObject(stub, async (object: PartitionConsumer, state) => {
      await object.rest();
      await object.wake(owned);
      // As an alarm that fires is gone.
      await state.storage.deleteAlarm();
      await object.alarm();
      expect((await state.storage.getAlarm())! - Date.now()).toBeGreaterThan(5_000);
      await state.storage.deleteAlarm();
    });
  });
});

describe("an owner whose group reads no more", () => {
  it("sends what its commits have left, and is forgotten then", async () => {
    const owned = { group: `gone ${service}`, topic: "events.raw", partition: 1, signal: "events" as const };
    const topic = `left.${crypto.randomUUID()}`;
    const value = JSON.stringify({ left: service });
    const next = { nextOffset: 1, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0 };
    const commit = emptyCommit(owned, undefined, next, { rawFloorDay: 1e9, nowMs: Date.now() });
    const outbox = [{ id: crypto.randomUUID(), topic, key: null, value }];
    expect(await streamStoreOf(env).commit({ ...commit, outbox })).toBe("committed");
    const stub = env.PARTITION_CONSUMER.getByName(`gone ${service}`);
    const workOnce = async () =>
      await runInDurableObject(stub, async (object: PartitionConsumer, state) => {
        await object.wake(owned);
        // As an alarm that fires is gone.
        await state.storage.deleteAlarm();
        await object.alarm();
        const left = { alarmMs: await state.storage.getAlarm(), owned: await state.storage.get("owned") };
        await state.storage.deleteAlarm();
        return left;
      });
    expect(await workOnce()).toMatchObject({ alarmMs: expect.any(Number), owned });
    expect(await streamStoreOf(env).outbox(owned, 10)).toHaveLength(1);
    await makeTopic(topic);
    // Another life, that has no backoff to wait for.
    await abortAllDurableObjects();
    const again = env.PARTITION_CONSUMER.getByName(`gone again ${service}`);
    await runInDurableObject(again, async (object: PartitionConsumer, state) => {
      await object.wake(owned);
      await state.storage.deleteAlarm();
      await object.alarm();
      expect(await state.storage.get("owned")).toBeUndefined();
    });
    expect(await streamStoreOf(env).outbox(owned, 10)).toEqual([]);
    expect(await messagesWith(topic, service)).toHaveLength(1);
  });
});

describe("dead letters", () => {
  it("go to their topic once it is there, and wait until then without holding up anything", async () => {
    const owner = ownersOf("logs.raw")[0]!;
    const owned = { group: GROUP, topic: "logs.raw", partition: 0, signal: "logs" as const };
    const produce = async (value: string) => {
      const response = await fetch("http://kafka.test/topics/logs.raw", {
        method: "POST",
        headers: { "Content-Type": "application/vnd.kafka.binary.v2+json" },
        body: JSON.stringify({ records: [{ partition: 0, value: btoa(value) }] }),
      });
      expect(response.status).toBe(200);
    };
    await produce(`bad ${service}`);
    await produce(JSON.stringify({ message: "good", service }));
    await wakeAndDrain("logs.raw", "logs");
    const waiting = async () =>
      (await streamStoreOf(env).outbox(owned, 100)).filter(({ value }) =>
        value.includes(btoa(`bad ${service}`)),
      );
    expect(await waiting()).toHaveLength(1);
    expect(await storedMessages(service)).toEqual(["good"]);
    expect(await owner.status()).toMatchObject({ state: "running" });
    await makeTopic("logs.dlq");
    // Another life, that has no backoff to wait for.
    await abortAllDurableObjects();
    await ownersOf("logs.raw")[0]!.wake(owned);
    await drain("logs.raw");
    await expect.poll(waiting, { timeout: 5_000, interval: 20 }).toEqual([]);
    const messages = await messagesWith("logs.dlq", btoa(`bad ${service}`));
    const letters = messages.map(
      ({ value }) => JSON.parse(new TextDecoder().decode(value ?? undefined)) as { id: string },
    );
    // At least once: the life that was ended may have been at it.
    expect(new Set(letters.map(({ id }) => id)).size).toBe(1);
    expect(letters[0]).toMatchObject({
      original_topic: "logs.raw",
      error_type: "malformed_json",
      group: GROUP,
    });
  });
});

describe("claims", () => {
  const hour = Math.floor(Date.now() / 3_600_000);
  const put = env.DB.prepare(
    "INSERT OR REPLACE INTO claims (key, word, attempt, bits, hour) VALUES (?, 0, 0, 1, ?)",
  );
  const left = async () => {
    const { results } = await env.DB.prepare(
      "SELECT key FROM claims WHERE key IN ('old', 'new') ORDER BY key",
    ).all();
    return results.map(({ key }) => key);
  };
  const at = (time: string) => () => Date.parse(`2026-11-21T10:${time}Z`);

  beforeEach(async () => {
    for (const signal of ["logs", "metrics", "events", "traces"] as const)
      await wakeAndDrain(`${signal}.raw`, signal);
    await env.DB.batch([put.bind("old", hour - 26), put.bind("new", hour - 23)]);
  });

  it("are dropped every ten minutes, a day behind what everybody has read", async () => {
    await wakeAll(env, at("16:59"));
    expect(await left()).toEqual(["new", "old"]);
    await wakeAll(env, at("17:00"));
    expect(await left()).toEqual(["new"]);
    await env.DB.batch([put.bind("old", hour - 26)]);
    await wakeAll(env, at("07:59"));
    expect(await left()).toEqual(["new"]);
  });

  it("stay while what the spillway sent on after an outage may be unread", async () => {
    const deployment = deploymentOf(env);
    await spillStatus(env, deployment);
    const shard = env.SPILLWAY.getByName("shard-0");
    await runInDurableObject(shard, (_, { storage }) => {
      storage.sql.exec("INSERT INTO drained VALUES (?, ?)", hour + 1, (hour - 30) * 3_600_000);
    });
    await wakeAll(env, at("07:00"));
    expect(await left()).toEqual(["new", "old"]);
    await runInDurableObject(shard, (_, { storage }) => void storage.sql.exec("DELETE FROM drained"));
    await wakeAll(env, at("07:00"));
    expect(await left()).toEqual(["new"]);
  });

  it("are judged by what the spillway holds before it is asked how far all is read", async () => {
    const seen: string[] = [];
    const watched = {
      ...env,
      SPILLWAY: {
        getByName: (name: string) => {
          const stub = env.SPILLWAY.getByName(name);
          return {
            wake: async (shard: number) => await stub.wake(shard),
            status: async (shard: number) => {
              const told = await stub.status(shard);
              await scheduler.wait(10);
              seen.push("spillway");
              return told;
            },
          };
        },
      },
      DB: {
        prepare: (sql: string) => {
          if (sql.includes("FROM offsets WHERE substr")) seen.push("progress");
          return env.DB.prepare(sql);
        },
      },
    } as unknown as Env;
    await wakeAll(watched, at("07:00"));
    const shards = deploymentOf(env).config.SPILL_SHARDS;
    expect(seen).toEqual([...Array.from({ length: shards }, () => "spillway"), "progress"]);
    expect(await left()).toEqual(["new"]);
  });
});
