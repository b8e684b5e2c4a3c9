// A group that is built anew beside its old reader, in any order of steps: at the end each record that was accepted is
// seen once, and counted once. The real drain, planning and switching, over a log and a store in memory.
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { readerOf, type TopicPlan } from "../../../lib/storage/groups.ts";
import { createMemoryGroups } from "../../../lib/storage/memory-groups.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import type { Position } from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import { beginPartition, skipToEnd } from "../../../lib/stream/groups-move.ts";
import { planReset, startOfReset } from "../../../lib/stream/groups-reset.ts";
import { parseGroups } from "../../../lib/stream/groups-setting.ts";
import { advanceSwitch, type SwitchStep } from "../../../lib/stream/groups-switch.ts";
import { offsetAt, timeAt } from "../../../lib/stream/offset-at.ts";
import type { DrainMemory, DrainResult } from "../../../lib/stream/run.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { createMemoryLog } from "../../support/memory-log.ts";

const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
const DAY_MS = 86_400_000;
const TOPIC = "logs.raw";
const GROUP = "weir-storage";

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Sent {
  batch: string;
  attempt: number;
  receivedMs: number;
  /** Event times. */
  times: number[];
}

class World {
  readonly log = createMemoryLog({ maxMessages: 4 });
  readonly memory = createMemoryStore();
  readonly registry = createMemoryGroups(this.memory);
  readonly store = this.registry.stream;
  readonly partitions: readonly number[];
  nowMs = NOW_MS;
  readonly #drains = new Map<string, DrainMemory>();
  /** As most transports: no message tells when it was written. */
  readonly transport = {
    ...this.log.transport,
    fetch: async (request: Parameters<typeof this.log.transport.fetch>[0]) =>
      (await this.log.transport.fetch(request)).map(({ offset, key, value }) => ({ offset, key, value })),
  };

  constructor(partitions = 2) {
    this.partitions = Array.from({ length: partitions }, (_, partition) => partition);
  }

  get moveDeps() {
    return { transport: this.transport, store: this.store, now: () => this.nowMs };
  }

  write(partition: number, { batch, attempt, receivedMs, times }: Sent): void {
    const received = new Date(receivedMs).toISOString();
    const header = {
      tenant: "acme",
      signal: "logs" as const,
      batch,
      attempt,
      received,
      agentVersion: undefined,
    };
    const entries = times.map((timeMs, index) => {
      const timestamp = new Date(timeMs).toISOString();
      return { index, record: { timestamp, level: "INFO", message: `${batch}/${index}`, attributes: {} } };
    });
    for (const { value } of packEnvelopes(header, entries).envelopes)
      this.log.append(TOPIC, partition, value);
  }

  async group() {
    const rows = await this.registry.groups.groups();
    return (
      rows.find(({ name }) => name === GROUP) ?? {
        name: GROUP,
        epoch: 0,
        isPaused: false,
        start: null,
        building: null,
      }
    );
  }

  /** As an owner does: places the reader where need be, and drains. */
  async drain(epoch: number, partition: number, batches = 20): Promise<DrainResult | undefined> {
    const { epoch: present, building } = await this.group();
    const isBuilt = building?.epoch === epoch;
    const plan = isBuilt ? building.topics[0] : undefined;
    const id = { group: readerOf(GROUP, epoch), topic: TOPIC, partition };
    const oldId = { ...id, group: readerOf(GROUP, present) };
    if (isBuilt && !(await this.store.position(id))) {
      const last = await this.store.position(oldId);
      if (!last) return undefined;
      const beginning = {
        ...id,
        signal: "logs" as const,
        epoch,
        incarnation: last.incarnation,
        startAt: plan?.start ?? "earliest",
        recentOffset: undefined,
        atMost: last.nextOffset,
      };
      await beginPartition(beginning, this.moveDeps);
    }
    const key = `${epoch}/${partition}`;
    const memory = this.#drains.get(key) ?? newDrainMemory();
    this.#drains.set(key, memory);
    return await drainPartition(
      {
        ...id,
        signal: "logs",
        startAt: "earliest",
        defaultTenant: "nobody",
        deadLetterTopic: "logs.dlq",
        lateTopic: "logs.late",
        processedTopic: null,
        processedTopics: null,
        windows: [],
        latenessMs: 0,
        recentOffset: undefined,
        building: isBuilt
          ? {
              untilOffset: async () => (await this.store.position(oldId))?.nextOffset ?? 0,
              fromTimeMs: plan?.fromTimeMs ?? Date.UTC(9999, 0, 1),
              takesAllFrom: null,
            }
          : undefined,
      },
      {
        transport: this.transport,
        store: this.store,
        now: () => this.nowMs,
        sleep: async () => undefined,
        reached: async () => undefined,
        isSpillEmpty: async () => false,
      },
      { timeMs: 20_000, batches },
      memory,
    );
  }

  async reset(to: Parameters<typeof planReset>[1]): Promise<{ epoch: number; topics: TopicPlan[] }> {
    const { epoch } = await this.group();
    const plan = await this.plan(to);
    if (!plan.ok) throw new Error(plan.reason);
    const id = { name: GROUP, isShown: true };
    const built = await this.registry.groups.beginBuilding(id, epoch, plan.topics, this.nowMs);
    if (built === undefined) throw new Error("busy");
    return { epoch: built, topics: plan.topics };
  }

  async plan(to: Parameters<typeof planReset>[1]) {
    const { epoch } = await this.group();
    const partitions = this.partitions.map((partition) => ({
      group: readerOf(GROUP, epoch),
      topic: TOPIC,
      partition,
      signal: "logs" as const,
    }));
    return await planReset(partitions, to, this.moveDeps);
  }

  async advance(): Promise<SwitchStep> {
    return await advanceSwitch(await this.group(), { groups: this.registry.groups, store: this.store });
  }

  /** Messages of the rows of an epoch, of times from ≤ t < to. */
  rows(epoch: number, fromMs = -Infinity, toMs = Infinity): string[] {
    const { sources, rows } = this.memory.tables;
    const ids = new Set(sources.filter((source) => source.epoch === epoch).map(({ id }) => id));
    return [...rows.logs.values()]
      .filter(({ key, record }) => {
        const timeMs = Date.parse(record.timestamp);
        return ids.has(key.source) && timeMs >= fromMs && timeMs < toMs;
      })
      .map(({ record }) => record.message);
  }

  async stored(): Promise<number> {
    return (await this.store.ledger(GROUP, "acme")).reduce((sum, row) => sum + row.stored, 0);
  }
}

describe("a switch", () => {
  it.each(Array.from({ length: 150 }, (_, seed) => seed))("in any order of steps, case %i", async (seed) => {
    const random = seeded(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const world = new World();
    const accepted = new Map<string, Sent>();
    const write = () => {
      const known = [...accepted.values()];
      const isRepeat = known.length > 0 && random() < 0.3;
      // A repeat is another acceptance, or a copy of the same one; on whichever partition.
      const before = known[pick(known.length)];
      const sent: Sent =
        isRepeat && before
          ? { ...before, attempt: random() < 0.5 ? before.attempt : pick(1_000) }
          : {
              batch: `b${accepted.size}`,
              attempt: pick(1_000),
              receivedMs: world.nowMs,
              times: Array.from({ length: 1 + pick(4) }, () => world.nowMs - pick(2 * DAY_MS)),
            };
      accepted.set(sent.batch, before && isRepeat ? before : sent);
      world.write(pick(2), sent);
      world.nowMs += pick(3 * 3_600_000);
    };
    for (let i = 0; i < pick(40); i++) write();
    for (const partition of world.partitions) await world.drain(0, partition, pick(8));
    const to = [
      "earliest" as const,
      { timeMs: world.nowMs - pick(3 * DAY_MS) },
      { offsets: [{ topic: TOPIC, partition: 0, offset: 0 }] },
    ][pick(3)] as "earliest";
    const { epoch, topics } = await world.reset(to);
    let step: SwitchStep = "none";
    for (let steps = 0; step !== "switched"; steps++) {
      if (steps > 400) throw new Error("it never gets there");
      if (steps < 40 && random() < 0.3) write();
      // Also the old one, when it is stopped for good.
      await world.drain(random() < 0.5 ? 0 : epoch, pick(2), 1 + pick(6));
      if (random() < 0.4) step = await world.advance();
    }
    for (let i = 0; i < pick(10); i++) write();
    for (let rounds = 0; rounds < 30; rounds++)
      for (const partition of world.partitions) {
        await world.drain(epoch, partition);
        await world.drain(0, partition);
      }
    const fromTimeMs = topics[0]?.fromTimeMs ?? Infinity;
    const seen = [...world.rows(0, -Infinity, fromTimeMs), ...world.rows(epoch)].toSorted();
    const wanted = [...accepted.values()]
      .flatMap(({ batch, times }) => times.map((_, index) => `${batch}/${index}`))
      .toSorted();
    expect(seen).toEqual(wanted);
    expect(await world.stored()).toBe(wanted.length);
  });
});

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
    expect(await topicOf(filled(), { offsets: other })).toMatchObject({ fromTimeMs: null });
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

describe("a reader that is built beside another", () => {
  it("begins where that one stands at the latest", async () => {
    const world = new World();
    for (let i = 0; i < 5; i++)
      world.write(0, { batch: `b${i}`, attempt: 0, receivedMs: NOW_MS + i, times: [NOW_MS] });
    const id = { group: `${GROUP}@1`, topic: TOPIC, partition: 0, signal: "logs" as const, incarnation: 0 };
    const beginning = {
      ...id,
      epoch: 1,
      recentOffset: undefined,
      startAt: { timeMs: NOW_MS + 9 },
      atMost: 2,
    };
    expect(await beginPartition(beginning, world.moveDeps)).toBe(true);
    expect(await world.store.position(id)).toMatchObject({ nextOffset: 2, epoch: 1 });
    expect(await beginPartition(beginning, world.moveDeps)).toBe(false);
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
