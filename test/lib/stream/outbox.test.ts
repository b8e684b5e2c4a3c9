// What commits leave to be sent arrives at least once and in order, under the same id however often, and what cannot be
// sent waits without holding up anything.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { partitionOf } from "../../../lib/kafka/partitioner.ts";
import { emptyCommit } from "../../../lib/stream/empty-commit.ts";
import { sendOutbox, type OutboxDeps } from "../../../lib/stream/outbox.ts";
import { openWorld, Reading, type World } from "../../support/stream-world.ts";

let world: World;
let reading: Reading;
let deps: OutboxDeps;
let deadLetterTopic: string;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
});
beforeEach(async () => {
  reading = new Reading(world, await world.newTopic());
  deadLetterTopic = await world.newTopic();
  const { source } = reading;
  reading.source = (partition) => ({ ...source.call(reading, partition), deadLetterTopic });
  deps = {
    transport: world.transport,
    store: reading.store,
    partitionCount: async (topic) => await world.transport.partitionCount(topic),
    now: () => reading.nowMs,
  };
});

async function leave(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await reading.send({ batch: `b${i}`, records: { 0: { message: i } } });
  await reading.drainAll();
}

const send = async (changes: Partial<OutboxDeps> = {}) =>
  await sendOutbox(reading.source(), { ...deps, ...changes }, 5_000);

async function arrived(): Promise<{ id: string; offset: number; partition: number }[]> {
  const found = [];
  for (const partition of [0, 1]) {
    const page = { topic: deadLetterTopic, partition, offset: 0, maxBytes: 10_000_000, waitMs: 0 };
    for (const { value } of await world.transport.fetch(page)) {
      const letter = JSON.parse(new TextDecoder().decode(value ?? undefined)) as {
        id: string;
        offset: number;
      };
      found.push({ ...letter, partition });
    }
  }
  return found;
}

describe("the outbox", () => {
  it("is sent in order, to the partition of each key, and is empty then", async () => {
    await leave(50);
    expect(await send()).toEqual({ sent: 50, isLeft: false, reason: undefined });
    const found = await arrived();
    expect(new Set(found.map(({ offset }) => offset)).size).toBe(50);
    for (const partition of [0, 1]) {
      const offsets = found.filter((one) => one.partition === partition).map(({ offset }) => offset);
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    }
    expect(
      found.every(({ id, partition }) => partitionOf(new TextEncoder().encode(id), 2) === partition),
    ).toBe(true);
    expect(await reading.store.outbox(reading.source(), 100)).toEqual([]);
  });

  it("is sent again under the same ids where the answer, or what follows it, was lost", async () => {
    await leave(3);
    const lost = await send({
      store: {
        ...reading.store,
        sent: async () => {
          throw new Error("killed");
        },
      },
    });
    expect(lost).toMatchObject({ isLeft: true, reason: "killed" });
    expect(await send()).toMatchObject({ sent: 3, isLeft: false });
    const ids = (await arrived()).map(({ id }) => id);
    expect(ids).toHaveLength(6);
    expect(new Set(ids).size).toBe(3);
  });

  it("waits where its topic is missing, or Kafka is away, and says why", async () => {
    await leave(2);
    const missing = async () => {
      throw new KafkaError("unknown_topic", "there is no such topic");
    };
    expect(await send({ partitionCount: missing })).toEqual({
      sent: 0,
      isLeft: true,
      reason: "there is no such topic",
    });
    const away = async () => {
      throw new KafkaError("unreachable", "away");
    };
    expect(await send({ transport: { produce: away } })).toMatchObject({ isLeft: true, reason: "away" });
    expect(await send()).toMatchObject({ sent: 2, isLeft: false });
  });

  it("sends what stands behind a topic that is missing, and each topic in its order", async () => {
    const { source, store } = { source: reading.source(), store: reading.store };
    const topics = [await world.newTopic(), await world.newTopic()];
    const rows = [
      ...Array.from({ length: 80 }, (_, n) => ({ n, topic: "missing" })),
      ...Array.from({ length: 120 }, (_, n) => ({ n: 80 + n, topic: topics[n % 2] as string })),
    ].map(({ n, topic }) => ({
      id: `${n}`,
      topic,
      key: "",
      value: JSON.stringify({ id: `${n}`, offset: n }),
    }));
    const next = { nextOffset: 1, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0 };
    const commit = { ...emptyCommit(source, undefined, next, { rawFloorDay: 0, nowMs: 0 }), outbox: rows };
    expect(await store.commit(commit)).toBe("committed");
    const missing = async (topic: string) => {
      if (topic === "missing") throw new KafkaError("unknown_topic", "there is no such topic");
      return 2;
    };
    expect(await send({ partitionCount: missing })).toEqual({
      sent: 120,
      isLeft: true,
      reason: "there is no such topic",
    });
    for (const topic of topics) {
      deadLetterTopic = topic;
      const offsets = (await arrived()).map(({ offset }) => offset);
      expect(offsets).toHaveLength(60);
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    }
    expect((await store.outbox(source, 1_000)).map(({ id }) => id)).toEqual(
      rows.slice(0, 80).map(({ id }) => id),
    );
  });

  it("sends what stands beside a row that Kafka refuses", async () => {
    await leave(5);
    const produce: OutboxDeps["transport"]["produce"] = async (topic, records) => {
      const isBad = records.some(({ value }) =>
        new TextDecoder().decode(value ?? undefined).includes('"offset":2,'),
      );
      if (isBad) throw new KafkaError("too_large", "too large");
      return await world.transport.produce(topic, records);
    };
    expect(await send({ transport: { produce } })).toEqual({ sent: 4, isLeft: true, reason: "too large" });
    const [row, ...others] = await reading.store.outbox(reading.source(), 10);
    expect([JSON.parse(row?.value ?? "")]).toMatchObject([{ offset: 2 }]);
    expect(others).toEqual([]);
  });

  it("is not begun anew when its time is over", async () => {
    await leave(50);
    const produce: OutboxDeps["transport"]["produce"] = async (topic, records) => {
      reading.nowMs += 5_000;
      return await world.transport.produce(topic, records);
    };
    expect(await send({ transport: { produce } })).toMatchObject({ isLeft: true, reason: undefined });
    expect((await reading.store.outbox(reading.source(), 100)).length).toBeGreaterThan(0);
  });
});
