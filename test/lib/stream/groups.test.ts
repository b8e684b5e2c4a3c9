// A group that is built anew beside its old reader, in any order of steps: at the end each record that was accepted is
// seen once, and counted once. The real drain, planning and switching, over a log and a store in memory.
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { readerOf, type TopicPlan } from "../../../lib/storage/groups.ts";
import { createMemoryGroups } from "../../../lib/storage/memory-groups.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import {
  StorageError,
  type PartitionCommit,
  type Position,
  type StreamStore,
} from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import { beginPartition, skipToEnd } from "../../../lib/stream/groups-move.ts";
import { planReset, startOfReset } from "../../../lib/stream/groups-reset.ts";
import { parseGroups } from "../../../lib/stream/groups-setting.ts";
import { advanceSwitch, remaining, type SwitchStep } from "../../../lib/stream/groups-switch.ts";
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
  /** Places in the batch; absent: all of them. */
  places?: readonly number[];
}

/** A batch of which the store takes nothing, or nothing of the places up to the 101st, until it is mended. */
const isRefused = (message: string) =>
  message.startsWith("bad") || /^half[^/]*\/(\d|\d\d|100)$/.test(message);

class World {
  readonly log = createMemoryLog({ maxMessages: 4 });
  readonly memory = createMemoryStore();
  readonly registry = createMemoryGroups(this.memory);
  readonly store = this.refusing(this.registry.stream);
  isMended = false;
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

  refusing(store: StreamStore): StreamStore {
    const judge = ({ rows }: PartitionCommit) => {
      if (!this.isMended && rows.logs.some(({ record }) => isRefused(record.message)))
        throw new StorageError("a record that this store refuses", { code: "storage_rejected" });
    };
    return {
      ...store,
      commit: async (commit) => {
        judge(commit);
        return await store.commit(commit);
      },
      rehearse: async (commit) => {
        judge(commit);
        await store.rehearse(commit);
      },
    };
  }

  write(partition: number, { batch, attempt, receivedMs, times, places }: Sent): void {
    const received = new Date(receivedMs).toISOString();
    const header = {
      tenant: "acme",
      signal: "logs" as const,
      batch,
      attempt,
      received,
      agentVersion: undefined,
    };
    const entries = times
      .map((timeMs, index) => {
        const timestamp = new Date(timeMs).toISOString();
        return { index, record: { timestamp, level: "INFO", message: `${batch}/${index}`, attributes: {} } };
      })
      .filter(({ index }) => places?.includes(index) ?? true);
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
    const deps = { groups: this.registry.groups, store: this.store, hasResults: true };
    return await advanceSwitch(await this.group(), deps);
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

  /** What queries show: of each epoch what is older than all later ones were built from. */
  seen(...switches: { epoch: number; fromTimeMs: number }[]): string[] {
    return [{ epoch: 0, fromTimeMs: 0 }, ...switches]
      .flatMap(({ epoch }, i) =>
        this.rows(epoch, -Infinity, Math.min(...switches.slice(i).map(({ fromTimeMs }) => fromTimeMs))),
      )
      .toSorted();
  }

  /** Reads all there is by the present reader. */
  async drainAll(): Promise<void> {
    const { epoch } = await this.group();
    for (let rounds = 0; rounds < 5; rounds++)
      for (const partition of this.partitions) await this.drain(epoch, partition, 2_000);
  }

  /** Begins anew, reads, and switches. */
  async resetAll(to: Parameters<typeof planReset>[1]): Promise<{ epoch: number; fromTimeMs: number }> {
    const { epoch, topics } = await this.reset(to);
    for (let rounds = 0; (await this.advance()) !== "switched"; rounds++) {
      if (rounds > 20) throw new Error("it never gets there");
      for (const partition of this.partitions) await this.drain(epoch, partition, 2_000);
    }
    return { epoch, fromTimeMs: topics[0]?.fromTimeMs ?? Infinity };
  }

  async counted(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const row of await this.store.ledger(GROUP, "acme"))
      for (const name of ["stored", "dead", "deduplicated", "redelivered"] as const)
        if (row[name] > 0) sums[name] = (sums[name] ?? 0) + row[name];
    return sums;
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
              batch: `${random() < 0.2 ? "bad" : "b"}${accepted.size}`,
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
    world.isMended = true;
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
    const dead = [...world.memory.tables.deadLetters.values()].map(({ letter }) => letter);
    for (const { partition, offset } of dead) {
      const [message] = await world.transport.fetch({
        topic: TOPIC,
        partition,
        offset,
        maxBytes: 1,
        waitMs: 0,
      });
      const { batch } = JSON.parse(new TextDecoder().decode(message?.value ?? undefined)) as {
        batch: string;
      };
      world.write(pick(2), { ...(accepted.get(batch) as Sent), attempt: 10_000 + pick(1_000) });
    }
    await world.drainAll();
    const fromTimeMs = topics[0]?.fromTimeMs ?? Infinity;
    const seen = [...world.rows(0, -Infinity, fromTimeMs), ...world.rows(epoch)].toSorted();
    const wanted = [...accepted.values()]
      .flatMap(({ batch, times }) => times.map((_, index) => `${batch}/${index}`))
      .toSorted();
    expect(seen).toEqual(wanted);
    const built = new Set(world.rows(epoch, fromTimeMs));
    const deadBefore = new Set(wanted.filter((message) => isRefused(message) && built.has(message)));
    // What died and was stored anew beside the old reader is counted as dead alone.
    const counted = await world.stored();
    expect(counted).toBeLessThanOrEqual(wanted.length);
    expect(counted).toBeGreaterThanOrEqual(wanted.length - deadBefore.size);
  });
});

describe("a record that died in the epoch before", () => {
  const YESTERDAY_MS = NOW_MS - DAY_MS;
  const sent = (batch: string, fields: Partial<Sent> = {}): Sent => ({
    batch,
    attempt: 1,
    receivedMs: NOW_MS,
    times: [YESTERDAY_MS],
    ...fields,
  });
  /** Begins with what is read while the store refuses some, and is mended then. */
  const worldOf = async (...all: Sent[]) => {
    const world = new World();
    for (const one of all) world.write(0, one);
    await world.drainAll();
    world.isMended = true;
    return world;
  };

  it.each([
    ["is older than what is built anew", { timeMs: NOW_MS }],
    ["lies in a topic of which nothing is", { offsets: [{ topic: TOPIC, partition: 0, offset: 2 }] }],
  ])("and %s is stored once it is replayed", async (_, to) => {
    const world = await worldOf(sent("good"), sent("bad"));
    expect(await world.counted()).toEqual({ stored: 1, dead: 1 });
    const built = await world.resetAll(to);
    expect(world.seen(built)).toEqual(["good/0"]);
    for (const attempt of [2, 3]) world.write(0, sent("bad", { attempt }));
    world.write(0, sent("good", { attempt: 2 }));
    await world.drainAll();
    expect(world.seen(built)).toEqual(["bad/0", "good/0"]);
    expect(await world.counted()).toEqual({ stored: 2, dead: 1, deduplicated: 2 });
  });

  it.each(["beside it", "beside it, claims long gone", "on another partition"])(
    "is not claimed by a copy of its message %s",
    async (where) => {
      const world = new World();
      // The new reader comes by partition 0 first.
      world.write(where === "on another partition" ? 1 : 0, sent("bad"));
      await world.drainAll();
      // More than are read at once.
      for (let i = 0; i < 5; i++) world.write(0, sent(`good${i}`));
      world.write(0, sent("bad"));
      await world.drainAll();
      expect(await world.counted()).toEqual({ stored: 5, dead: 1, redelivered: 1 });
      world.isMended = true;
      // The letters stay for longer.
      if (where.endsWith("gone")) await world.store.dropClaims(Infinity, 1_000);
      const built = await world.resetAll({ timeMs: NOW_MS });
      world.write(0, sent("bad", { attempt: 2 }));
      await world.drainAll();
      expect(world.seen(built).filter((message) => isRefused(message))).toEqual(["bad/0"]);
    },
  );

  it("is claimed where a copy of it was stored", async () => {
    const world = await worldOf(sent("bad"));
    world.write(1, sent("bad"));
    await world.drainAll();
    const built = await world.resetAll({ timeMs: NOW_MS });
    world.write(0, sent("bad", { attempt: 2 }));
    await world.drainAll();
    expect(world.seen(built)).toEqual(["bad/0"]);
  });

  it("is claimed where it was replayed before", async () => {
    const world = await worldOf(sent("bad"));
    world.write(1, sent("bad", { attempt: 2 }));
    await world.drainAll();
    const built = await world.resetAll({ timeMs: NOW_MS });
    world.write(0, sent("bad", { attempt: 3 }));
    await world.drainAll();
    expect(world.seen(built)).toEqual(["bad/0"]);
    expect(await world.counted()).toEqual({ stored: 1, dead: 1, deduplicated: 1 });
  });

  it("is told from what was stored of a message that died as one", async () => {
    const times = Array.from({ length: 103 }, () => YESTERDAY_MS);
    const world = await worldOf(sent("half", { times }));
    expect(await world.counted()).toEqual({ stored: 2, dead: 101 });
    const built = await world.resetAll({ timeMs: NOW_MS });
    world.write(0, sent("half", { times, attempt: 2 }));
    await world.drainAll();
    expect(new Set(world.seen(built)).size).toBe(103);
    expect(world.seen(built)).toHaveLength(103);
    expect(await world.counted()).toEqual({ stored: 103, dead: 101, deduplicated: 2 });
  });

  it("and was stored in the one between them is not stored again", async () => {
    const world = await worldOf(sent("bad"), sent("good"));
    const first = await world.resetAll("earliest");
    expect(world.seen(first)).toEqual(["bad/0", "good/0"]);
    // Nothing but the letter tells of it then.
    await world.store.dropClaims(Infinity, 1_000);
    const second = await world.resetAll({ timeMs: NOW_MS });
    world.write(0, sent("bad", { attempt: 2 }));
    await world.drainAll();
    expect(world.seen(first, second)).toEqual(["bad/0", "good/0"]);
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

describe("what is left of a reader until it has caught up", () => {
  it("is of topics and partitions that are read, and none of a making that is gone", () => {
    const base = {
      recordsTotal: 0,
      deadTotal: 0,
      expiredTotal: 0,
      readThroughMs: 0,
      watermarkMs: 0,
      updatedAt: "",
    };
    const at = (group: string, topic: string, partition: number, nextOffset: number, incarnation = 1) => ({
      ...base,
      group,
      topic,
      partition,
      nextOffset,
      incarnation,
      epoch: group === "old" ? 0 : 1,
    });
    const topics: TopicPlan[] = [
      { topic: "a", incarnation: 1, start: "earliest", fromTimeMs: 0, gonePartitions: [5] },
      { topic: "b", incarnation: 1, start: "earliest", fromTimeMs: null },
    ];
    const progress = [
      [at("old", "a", 0, 9), at("new", "a", 0, 2)],
      [at("old", "a", 1, 9), at("new", "a", 1, 0, 2)],
      [at("old", "b", 0, 4), at("new", "b", 0, 3, 0)],
      [at("old", "a", 5, 99), at("old", "gone", 0, 99)],
    ].flat();
    expect(remaining(progress, "old", "new", topics)).toEqual({ messages: 7, apart: 1 });
  });

  it("is planned without partitions that are read no more", async () => {
    const world = new World(3);
    for (const partition of world.partitions)
      world.write(partition, { batch: "b", attempt: 0, receivedMs: NOW_MS, times: [NOW_MS] });
    await world.drainAll();
    const of = (partitions: number[]) =>
      planReset(
        partitions.map((partition) => ({ group: GROUP, topic: TOPIC, partition, signal: "logs" as const })),
        "earliest",
        world.moveDeps,
      );
    expect(await of([0, 1, 2])).toMatchObject({
      topics: [expect.not.objectContaining({ gonePartitions: [] })],
    });
    expect(await of([0, 1])).toMatchObject({ topics: [{ gonePartitions: [2] }] });
  });
});

describe("a reader that is built beside another", () => {
  it("takes nothing for complete that the old one did not: it would keep back results that nobody has sent", async () => {
    const world = new World(1);
    const AHEAD_MS = 300_000;
    world.write(0, { batch: "a", attempt: 0, receivedMs: NOW_MS, times: [NOW_MS + AHEAD_MS, NOW_MS] });
    world.write(0, { batch: "b", attempt: 0, receivedMs: NOW_MS + 1_000, times: [NOW_MS] });
    await world.drainAll();
    const watermark = async (group: string) =>
      (await world.store.position({ group, topic: TOPIC, partition: 0 }))?.watermarkMs;
    expect(await watermark(GROUP)).toBe(NOW_MS);
    world.nowMs += 2 * AHEAD_MS;
    const { epoch } = await world.reset("earliest");
    await world.drain(epoch, 0);
    expect(await watermark(readerOf(GROUP, epoch))).toBe(NOW_MS);
  });

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
