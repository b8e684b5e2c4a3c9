// Where a group begins: what it is built from after a reset, no day of it by halves; what it passes over; which offset a
// time stands for; and which groups the setting names. Over a log and a store in memory.
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import type { Position } from "../../../lib/storage/storage.ts";
import { beginPartition, skipToEnd } from "../../../lib/stream/groups-move.ts";
import { planReset, startOfReset } from "../../../lib/stream/groups-reset.ts";
import { parseGroups } from "../../../lib/stream/groups-setting.ts";
import { offsetAt, timeAt } from "../../../lib/stream/offset-at.ts";
import { GROUP, NOW_MS, TOPIC, World } from "./group-world.ts";

describe("the plan of a reset", () => {
  const at = (text: string) => Date.parse(`2026-11-${text}:00.000Z`);
  const filled = () => {
    const world = new World();
    for (let day = 14; day < 21; day++)
      for (const partition of [0, 1]) {
        const receivedMs = at(`${day}T12:00`) + partition;
        world.write(partition, { batch: `${day}/${partition}`, attempt: 0, receivedMs, times: [receivedMs] });
      }
    return world;
  };
  const topicOf = async (world: World, to: Parameters<typeof planReset>[1]) => {
    const plan = await world.plan(to);
    return plan.ok ? plan.topics[0] : plan.reason;
  };

  it("builds all where the log is whole", async () => {
    expect(await topicOf(filled(), "earliest")).toEqual({
      topic: TOPIC,
      incarnation: 0,
      fromTimeMs: 0,
      start: "earliest",
    });
  });

  it("begins with a midnight, and reads from a day before for the claims", async () => {
    expect(await topicOf(filled(), { timeMs: at("18T15:30") })).toMatchObject({
      fromTimeMs: at("18T00:00"),
      start: { timeMs: at("16T23:50") },
    });
  });

  it("builds nothing of which the log has lost a part", async () => {
    const world = filled();
    world.log.expire(TOPIC, 1, 2);
    // Its oldest message is of the 16th, noon: from the 17th on all is there.
    expect(await topicOf(world, "earliest")).toMatchObject({ fromTimeMs: at("17T00:00") });
    expect(await topicOf(world, { timeMs: at("19T01:00") })).toMatchObject({ fromTimeMs: at("19T00:00") });
    world.log.expire(TOPIC, 1, 7);
    expect(await topicOf(world, "earliest")).toMatchObject({ fromTimeMs: at("22T00:00") });
  });

  it("takes offsets for the times of the messages there", async () => {
    const offsets = [
      { topic: TOPIC, partition: 0, offset: 5 },
      { topic: TOPIC, partition: 1, offset: 4 },
    ];
    expect(await topicOf(filled(), { offsets })).toMatchObject({ fromTimeMs: at("18T00:00") });
    const other = [{ topic: "metrics.raw", partition: 0, offset: 0 }];
    expect(await topicOf(filled(), { offsets: other })).toMatch(/metrics.raw\/0 is not read by this group/);
    expect(await topicOf(filled(), { timeMs: NOW_MS + 1 })).toMatch(/lies ahead/);
    expect(await topicOf(filled(), { offsets: [{ topic: TOPIC, partition: 0, offset: 8 }] })).toMatch(
      /holds 0 to 7, not 8/,
    );
    expect(await topicOf(filled(), { offsets: [{ topic: TOPIC, partition: 5, offset: 0 }] })).toMatch(
      /not read by this group/,
    );
    const partitions = [{ group: "g", topic: TOPIC, partition: 0, signal: "logs" as const }];
    expect(await startOfReset(partitions, { offsets: [offsets[0]!] }, filled().moveDeps)).toEqual({
      ok: true,
      start: { timeMs: at("19T12:00") },
    });
    const end = [{ topic: TOPIC, partition: 0, offset: 7 }];
    expect(await startOfReset(partitions, { offsets: end }, filled().moveDeps)).toEqual({
      ok: true,
      start: { timeMs: NOW_MS },
    });
  });

  it("is refused where a partition ends before what was read, or is of another making", async () => {
    const place = async (world: World, partition: number, fields: Partial<Position>) => {
      const next = { nextOffset: 3, incarnation: 0, epoch: 0, mark: null, watermarkMs: 0, ...fields };
      const id = { group: GROUP, topic: TOPIC, partition, signal: "logs" as const };
      await beginPartition(
        { ...id, ...next, startAt: { timeMs: Infinity }, recentOffset: undefined, atMost: next.nextOffset },
        world.moveDeps,
      );
    };
    const mixed = filled();
    await place(mixed, 0, {});
    await place(mixed, 1, { incarnation: 1 });
    expect(await topicOf(mixed, "earliest")).toMatch(/different makings/);
    const anew = new World();
    anew.write(0, { batch: "b", attempt: 0, receivedMs: NOW_MS, times: [NOW_MS] });
    anew.write(0, { batch: "c", attempt: 0, receivedMs: NOW_MS, times: [NOW_MS] });
    await anew.drain(0, 0);
    const short = { ...anew.transport, latestOffset: async () => 1 };
    const partitions = [{ group: GROUP, topic: TOPIC, partition: 0, signal: "logs" as const }];
    expect(await planReset(partitions, "earliest", { ...anew.moveDeps, transport: short })).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/resume it first/),
    });
  });
});

describe("what is not read yet", () => {
  it("is passed over, and counted as not read", async () => {
    const world = new World();
    for (let i = 0; i < 5; i++)
      world.write(0, { batch: `b${i}`, attempt: 0, receivedMs: NOW_MS, times: [NOW_MS] });
    await world.drain(0, 0, 1);
    const id = { group: GROUP, topic: TOPIC, partition: 0, epoch: 0, recentOffset: undefined };
    expect(await skipToEnd(id, world.moveDeps)).toEqual({ nextOffset: 5, skipped: 1 });
    expect(await skipToEnd({ ...id, partition: 1 }, world.moveDeps)).toEqual({ nextOffset: 0, skipped: 0 });
    expect((await world.store.progress(GROUP)).map(({ expiredTotal }) => expiredTotal)).toEqual([1, 0]);
    expect(await skipToEnd(id, world.moveDeps)).toEqual({ nextOffset: 5, skipped: 0 });
  });
});

describe("an offset by time", () => {
  const range = { topic: TOPIC, partition: 0, signal: "logs" as const, earliest: 0 };
  const received = (i: number) => NOW_MS + i * 1_000;
  const filled = (count: number) => {
    const world = new World();
    for (let i = 0; i < count; i++)
      world.write(0, { batch: `b${i}`, attempt: 0, receivedMs: received(i), times: [NOW_MS] });
    return world;
  };

  it("has no message of that time or later before it, and is found in few reads", async () => {
    const world = filled(200);
    for (const i of [0, 1, 57, 100, 199]) {
      let reads = 0;
      const transport = {
        fetch: async (request: Parameters<typeof world.transport.fetch>[0]) => {
          reads++;
          return await world.transport.fetch(request);
        },
      };
      const offset = await offsetAt(transport, { ...range, latest: 200 }, received(i));
      expect(offset).toBeLessThanOrEqual(i);
      expect(offset).toBeGreaterThan(i - 4);
      expect(reads).toBeLessThan(10);
    }
    expect(await offsetAt(world.transport, { ...range, latest: 200 }, received(200))).toBe(200);
    expect(await offsetAt(world.transport, { ...range, latest: 0 }, 0)).toBe(0);
  });

  it("goes by what the spillway held back as little as by what tells no time", async () => {
    const world = filled(50);
    world.log.append(TOPIC, 0, new TextEncoder().encode('{"message":"bare"}'));
    world.write(0, { batch: "held", attempt: 0, receivedMs: received(-9_000), times: [NOW_MS] });
    for (let i = 52; i < 100; i++)
      world.write(0, { batch: `b${i}`, attempt: 0, receivedMs: received(i), times: [NOW_MS] });
    for (let i = 1; i < 100; i++)
      if (i !== 50 && i !== 51)
        expect(await offsetAt(world.transport, { ...range, latest: 100 }, received(i))).toBeLessThanOrEqual(
          i,
        );
    expect(await timeAt(world.transport, { ...range, latest: 100 }, 50)).toBe(received(-9_000));
    const away = async (): Promise<never> => {
      throw new KafkaError("unavailable", "away");
    };
    await expect(offsetAt({ fetch: away }, { ...range, latest: 100 }, 0)).rejects.toThrow("away");
  });
});

describe("CONSUMER_GROUPS", () => {
  it("names groups under the prefix", () => {
    const text =
      '[{"name":"a","does":"storage","signals":["logs"],"start":"latest"},{"name":"b","does":"alerting","start":"2026-11-21T10:00:00Z"}]';
    expect(parseGroups(text, "weir")).toEqual({
      ok: true,
      value: [
        { name: "weir-a", does: "storage", signals: ["logs"], startAt: "latest", isShown: false },
        {
          name: "weir-b",
          does: "alerting",
          signals: ["metrics"],
          startAt: { timeMs: NOW_MS },
          isShown: false,
        },
      ],
    });
    expect(parseGroups("[]", "weir")).toEqual({ ok: true, value: [] });
  });

  it.each([
    ["x", /JSON array/],
    ["{}", /array/],
    ['[{"name":"storage","does":"storage"}]', /0\.name: is a group that there always is/],
    ['[{"name":"a","does":"storage"},{"name":"a","does":"storage"}]', /1\.name: stands there twice/],
    ['[{"name":"A b","does":"storage"}]', /0\.name: must be lower-case/],
    ['[{"name":"a","does":"archive"}]', /0\.does/],
    ['[{"name":"a","does":"alerting","signals":["logs"]}]', /0\.signals: must be left out/],
    ['[{"name":"a","does":"storage","start":"noon"}]', /0\.start: must be `earliest`/],
    ['[{"name":"a","does":"storage","begin":1}]', /begin/],
  ])("refuses %s", (text, fault) => {
    const parsed = parseGroups(text, "weir");
    expect(parsed.ok ? [] : parsed.error).toEqual([expect.stringMatching(fault)]);
  });
});
