// What every store of consumer groups promises: each change once, epochs that nobody else has, and a reader that is
// stopped commits nothing more, whoever it is.
import { beforeEach, describe, expect, it } from "vitest";
import { readerOf, type GroupId, type GroupStore, type TopicPlan } from "../../lib/storage/groups.ts";
import type { PartitionId, Position, StreamStore } from "../../lib/storage/storage.ts";
import { partitionCommit, positionAt } from "./partition-commit.ts";

const DAY_MS = 86_400_000;
const NOON_MS = Date.parse("2026-11-21T12:00:00.000Z");

export interface GroupsUnderTest {
  groups: GroupStore;
  /** Of the same store. */
  stream: StreamStore;
}

export function groupsSuite(name: string, open: () => Promise<GroupsUnderTest>): void {
  describe(`groups: ${name}`, () => {
    let groups: GroupStore;
    let stream: StreamStore;
    let id: GroupId;
    let topic: string;

    beforeEach(async () => {
      ({ groups, stream } = await open());
      id = { name: `g${crypto.randomUUID()}`, isShown: true };
      topic = `topic.${crypto.randomUUID()}`;
    });

    const found = async () => (await groups.groups()).find((one) => one.name === id.name);
    const at = (group: string, partition = 0): PartitionId => ({ group, topic, partition });
    const plan = (fields: Partial<TopicPlan> = {}): TopicPlan[] => [
      { topic, incarnation: 0, start: "earliest", fromTimeMs: 0, ...fields },
    ];
    const read = async (
      group: string,
      from: number | undefined,
      to: number,
      { epoch = 0, partition = 0 } = {},
    ) =>
      await stream.commit(
        partitionCommit(at(group, partition), {
          from: from === undefined ? undefined : positionAt(from, { epoch }),
          next: positionAt(to, { epoch }),
        }),
      );
    const build = async (fields?: Partial<TopicPlan>) =>
      (await groups.beginBuilding(id, 0, plan(fields), 1_000)) as number;

    it("know nothing of a group that nothing was done to", async () => {
      expect(await found()).toBeUndefined();
    });

    it("pause and go on", async () => {
      await groups.setPaused(id, true);
      expect(await found()).toEqual({
        name: id.name,
        epoch: 0,
        isPaused: true,
        start: null,
        building: null,
      });
      await groups.setPaused(id, false);
      expect(await found()).toMatchObject({ isPaused: false });
    });

    it("give each group that stands apart an epoch of its own, once", async () => {
      const other = { name: `${id.name}-other`, isShown: false };
      await groups.addApart(id);
      await groups.addApart(other);
      await groups.addApart(id);
      const epochs = (await groups.groups())
        .filter(({ name: known }) => known.startsWith(id.name))
        .map(({ epoch }) => epoch);
      expect(new Set(epochs).size).toBe(2);
      expect(Math.min(...epochs)).toBeGreaterThan(0);
      expect(await build()).toBeUndefined();
    });

    it("begin an epoch anew, and stop the reader before it for good", async () => {
      expect(await read(id.name, undefined, 5)).toBe("committed");
      const epoch = (await groups.beginAnew(id, 0, { timeMs: 7 })) as number;
      expect(await found()).toMatchObject({ epoch, start: { timeMs: 7 }, building: null });
      expect(await read(id.name, 5, 6)).toBe("fenced");
      // Also where it has never read.
      expect(await read(id.name, undefined, 1, { partition: 1 })).toBe("fenced");
      expect(await stream.position(at(id.name))).toMatchObject({ nextOffset: 5 });
      expect(await groups.beginAnew(id, 0, "earliest")).toBeUndefined();
      expect(await groups.beginAnew(id, epoch, "earliest")).toBeGreaterThan(epoch);
    });

    it("build one epoch at a time beside the old reader", async () => {
      const epoch = await build({ fromTimeMs: 3, start: { timeMs: 2 } });
      expect(await found()).toMatchObject({
        epoch: 0,
        building: {
          epoch,
          isHandingOver: false,
          begunAtMs: 1_000,
          topics: plan({ fromTimeMs: 3, start: { timeMs: 2 } }),
        },
      });
      expect(await groups.beginBuilding(id, 0, plan(), 0)).toBeUndefined();
      expect(await groups.beginAnew(id, 0, "latest")).toBeUndefined();
      expect(await read(id.name, undefined, 1)).toBe("committed");
    });

    it("stop the old reader with the handing over, once", async () => {
      const epoch = await build();
      await read(id.name, undefined, 5);
      expect(await groups.handOver(id.name, epoch + 1)).toBe(false);
      expect(await groups.handOver(id.name, epoch)).toBe(true);
      expect(await found()).toMatchObject({ epoch: 0, building: { epoch, isHandingOver: true } });
      expect(await groups.handOver(id.name, epoch)).toBe(false);
      expect(await read(id.name, 5, 6)).toBe("fenced");
      expect(await read(id.name, undefined, 6, { partition: 1 })).toBe("fenced");
      expect(await read(readerOf(id.name, epoch), undefined, 1, { epoch })).toBe("committed");
    });

    it("switch where the new reader stands exactly where the old one ended, not before, and once", async () => {
      const epoch = await build();
      const reader = readerOf(id.name, epoch);
      await read(id.name, undefined, 5);
      await read(id.name, undefined, 7, { partition: 1 });
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await groups.handOver(id.name, epoch);
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await read(reader, undefined, 5, { epoch });
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await read(reader, undefined, 6, { epoch, partition: 1 });
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await read(reader, 6, 7, { epoch, partition: 1 });
      expect(await groups.switchTo(id.name, epoch)).toBe(true);
      expect(await found()).toMatchObject({ epoch, start: null, building: null });
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      expect(await read(reader, 5, 6, { epoch })).toBe("committed");
      expect(await read(id.name, 5, 6)).toBe("fenced");
    });

    it("take an earlier making of the topic for another place", async () => {
      const epoch = await build();
      const old = positionAt(5, { incarnation: 1 });
      await stream.commit(partitionCommit(at(id.name), { from: undefined, next: old }));
      await groups.handOver(id.name, epoch);
      const [earlier, same] = [positionAt(5, { epoch }), positionAt(5, { epoch, incarnation: 1 })];
      const reader = at(readerOf(id.name, epoch));
      await stream.commit(partitionCommit(reader, { from: undefined, next: earlier }));
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await stream.commit(partitionCommit(reader, { from: earlier, next: same }));
      expect(await groups.switchTo(id.name, epoch)).toBe(true);
    });

    it("switch where the topic was made anew meanwhile: what the old log held is gone", async () => {
      const epoch = await build();
      await read(id.name, undefined, 5);
      await read(id.name, undefined, 5, { partition: 1 });
      await groups.handOver(id.name, epoch);
      const reader = readerOf(id.name, epoch);
      const next = positionAt(0, { epoch, incarnation: 1 });
      await stream.commit(partitionCommit(at(reader), { from: undefined, next }));
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await read(reader, undefined, 5, { epoch, partition: 1 });
      expect(await groups.switchTo(id.name, epoch)).toBe(true);
    });

    it("switch without what the old reader read of topics and partitions that are read no more", async () => {
      const epoch = await build({ gonePartitions: [3] });
      await read(id.name, undefined, 5);
      await read(id.name, undefined, 9, { partition: 3 });
      const renamed = { ...at(id.name), topic: `${topic}.before` };
      await stream.commit(partitionCommit(renamed, { from: undefined, next: positionAt(7) }));
      await groups.handOver(id.name, epoch);
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      await read(readerOf(id.name, epoch), undefined, 5, { epoch });
      expect(await groups.switchTo(id.name, epoch)).toBe(true);
    });

    it("hand over once the old reader has sent what was due of its windows", async () => {
      const window = (dueMs: number) => ({
        tenant: "t",
        name: "cpu",
        series: "0".repeat(31) + "1",
        window: "1m",
        startMs: NOON_MS,
        endMs: NOON_MS + 60_000,
        dueMs,
        revision: 0,
        state: "AQ==",
      });
      const commit = async (from: Position | undefined, next: Position, dueMs: number) =>
        await stream.commit(
          partitionCommit(at(id.name), {
            from,
            next,
            windows: { put: [window(dueMs)] },
            rawFloorDay: await stream.rawFloorDay(),
          }),
        );
      const epoch = await build();
      const [first, second] = [1, 2].map((offset) => positionAt(offset, { watermarkMs: NOON_MS + 60_000 }));
      await commit(undefined, first as Position, NOON_MS + 60_000);
      expect(await groups.handOver(id.name, epoch)).toBe(false);
      expect(await commit(first, second as Position, NOON_MS + 60_001)).toBe("committed");
      expect(await groups.handOver(id.name, epoch)).toBe(true);
    });

    it("hand over what is due where no results are sent, or of topics that are read no more", async () => {
      const due = async (topicName: string) => {
        const next = positionAt(1, { watermarkMs: NOON_MS + 60_000 });
        const place = {
          tenant: "t",
          name: "cpu",
          series: "0".repeat(31) + "1",
          window: "1m",
          startMs: NOON_MS,
        };
        const put = [{ ...place, endMs: NOON_MS + 60_000, dueMs: NOON_MS, revision: 0, state: "AQ==" }];
        const rawFloorDay = await stream.rawFloorDay();
        const commit = partitionCommit(at(id.name), { from: undefined, next, windows: { put }, rawFloorDay });
        await stream.commit({ ...commit, topic: topicName });
      };
      const epoch = await build();
      await due(`${topic}.before`);
      expect(await groups.handOver(id.name, epoch)).toBe(true);
      expect(await groups.abandon(id.name, epoch)).toBe(true);
      const next = await build();
      await due(topic);
      expect(await groups.handOver(id.name, next)).toBe(false);
      expect(await groups.handOver(id.name, next, { hasResults: false })).toBe(true);
    });

    it("tell the next epoch how far those before it are seen", async () => {
      const readers: [number, number][] = [];
      let present = 0;
      await read(id.name, undefined, 5);
      for (const fromTimeMs of [DAY_MS * 9, DAY_MS * 12, null]) {
        const topics = plan({ fromTimeMs });
        const epoch = (await groups.beginBuilding(id, present, topics, 0)) as number;
        await read(readerOf(id.name, epoch), undefined, 5, { epoch });
        await groups.handOver(id.name, epoch);
        expect(await groups.switchTo(id.name, epoch)).toBe(true);
        readers.push([present, epoch]);
        present = epoch;
      }
      const next = present + 1;
      const source = { ...at(readerOf(id.name, next)), incarnation: 0, epoch: next };
      const { epochs } = await stream.epochsBefore(source, 0, 9);
      const untils = [DAY_MS * 9, DAY_MS * 12, null, null];
      expect(epochs.toSorted((a, b) => a.epoch - b.epoch)).toEqual(
        [0, ...readers.map(([, epoch]) => epoch)].map((epoch, i) => ({ epoch, untilMs: untils[i] })),
      );
    });

    it("give up what is being built, and never its number again", async () => {
      const epoch = await build();
      const reader = readerOf(id.name, epoch);
      await read(reader, undefined, 1, { epoch });
      expect(await groups.abandon(id.name, epoch)).toBe(true);
      expect(await groups.abandon(id.name, epoch)).toBe(false);
      expect(await found()).toMatchObject({ epoch: 0, building: null });
      expect(await read(reader, 1, 2, { epoch })).toBe("fenced");
      expect(await read(id.name, undefined, 1)).toBe("committed");
      const next = await build();
      expect(next).toBeGreaterThan(epoch);
    });

    it("give it up while it is handed over, too: the old reader goes on", async () => {
      const epoch = await build();
      const reader = readerOf(id.name, epoch);
      await read(id.name, undefined, 5);
      await read(reader, undefined, 4, { epoch });
      await groups.handOver(id.name, epoch);
      expect(await read(id.name, 5, 6)).toBe("fenced");
      expect(await groups.abandon(id.name, epoch + 1)).toBe(false);
      expect(await groups.abandon(id.name, epoch)).toBe(true);
      expect(await found()).toMatchObject({ epoch: 0, building: null });
      expect(await read(reader, 4, 5, { epoch })).toBe("fenced");
      expect(await groups.switchTo(id.name, epoch)).toBe(false);
      expect(await read(id.name, 5, 6)).toBe("committed");
      expect(await read(id.name, undefined, 1, { partition: 1 })).toBe("committed");
      // The one before that stays stopped.
      const anew = (await groups.beginAnew(id, 0, "earliest")) as number;
      const built = (await groups.beginBuilding(id, anew, plan(), 0)) as number;
      await groups.handOver(id.name, built);
      await groups.abandon(id.name, built);
      expect(await read(id.name, 6, 7)).toBe("fenced");
    });

    it("let one of many at once begin", async () => {
      const begun = await Promise.all(
        Array.from({ length: 5 }, async () => await groups.beginBuilding(id, 0, plan(), 0)),
      );
      expect(begun.filter((epoch) => epoch !== undefined)).toHaveLength(1);
    });
  });
}
