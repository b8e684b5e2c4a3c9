// A group that is built anew beside its old reader, in any order of steps: at the end each record that was accepted is
// seen once, and counted once. The real drain, planning and switching, over a log and a store in memory.
import { describe, expect, it } from "vitest";
import { readerOf, type TopicPlan } from "../../../lib/storage/groups.ts";
import { beginPartition } from "../../../lib/stream/groups-move.ts";
import { planReset } from "../../../lib/stream/groups-reset.ts";
import { remaining, type SwitchStep } from "../../../lib/stream/groups-switch.ts";
import { GROUP, isRefused, NOW_MS, TOPIC, World, type Sent } from "./group-world.ts";

const DAY_MS = 86_400_000;

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
