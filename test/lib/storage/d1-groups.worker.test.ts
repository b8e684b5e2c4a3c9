// The contract of consumer groups on D1, and what it does to the sources there.
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createD1GroupStore } from "../../../lib/storage/d1-groups.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { groupsSuite } from "../../contract/groups.suite.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";

const open = () => ({ groups: createD1GroupStore(env.DB), stream: createD1StreamStore(env.DB) });

groupsSuite("d1", async () => open());

describe("the sources", () => {
  const name = `g${crypto.randomUUID()}`;
  const topic = `t.${crypto.randomUUID()}`;
  const { groups, stream } = open();
  const read = async (group: string, fields: { epoch?: number; incarnation?: number }, partition: number) =>
    await stream.commit(
      partitionCommit({ group, topic, partition }, { from: undefined, next: positionAt(3, fields) }),
    );
  const sources = async () => {
    const { results } = await env.DB.prepare(
      "SELECT incarnation, epoch, is_visible, visible_until_ms FROM sources WHERE topic = ? ORDER BY incarnation, epoch",
    )
      .bind(topic)
      .all();
    return results.map((row) => Object.values(row));
  };
  const build = async (from: number, fromTimeMs: number, isShown = true) => {
    const plan = [{ topic, incarnation: 1, start: "earliest" as const, fromTimeMs }];
    return (await groups.beginBuilding({ name, isShown }, from, plan, 0)) as number;
  };
  const switchTo = async (from: number, fromTimeMs: number) => {
    const epoch = await build(from, fromTimeMs);
    await groups.handOver(name, epoch);
    await read(`${name}@${epoch}`, { epoch }, 0);
    await read(`${name}@${epoch}`, { epoch, incarnation: 1 }, 1);
    const before = await sources();
    expect(await groups.switchTo(name, epoch)).toBe(true);
    return { epoch, before };
  };

  it("of the new epoch are seen, and of the old ones what is older than it was built from", async () => {
    await read(name, {}, 0);
    await read(name, { incarnation: 1 }, 1);
    const first = await switchTo(0, 5_000);
    expect(first.before).toEqual([
      [0, 0, 1, null],
      [0, first.epoch, 0, null],
      [1, 0, 1, null],
      [1, first.epoch, 0, null],
    ]);
    // Of a making of the topic that is gone nothing can be built anew: it stays.
    expect(await sources()).toEqual([
      [0, 0, 1, null],
      [0, first.epoch, 1, null],
      [1, 0, 1, 5_000],
      [1, first.epoch, 1, null],
    ]);
    const second = await switchTo(first.epoch, 9_000);
    expect(await sources()).toEqual([
      [0, 0, 1, null],
      [0, first.epoch, 1, null],
      [0, second.epoch, 1, null],
      [1, 0, 1, 5_000],
      [1, first.epoch, 1, 9_000],
      [1, second.epoch, 1, null],
    ]);
    const third = await switchTo(second.epoch, 1_000);
    expect((await sources()).filter(([incarnation]) => incarnation === 1).map((row) => row[3])).toEqual([
      1_000,
      1_000,
      1_000,
      null,
    ]);
    // What was built of the making before is seen where the reader has gone on to another one while it was handed over.
    const fourth = await build(third.epoch, 7_000);
    await groups.handOver(name, fourth);
    await read(`${name}@${fourth}`, { epoch: fourth }, 0);
    const built = positionAt(2, { epoch: fourth, incarnation: 1 });
    const reader = { group: `${name}@${fourth}`, topic, partition: 1 };
    await stream.commit(partitionCommit(reader, { from: undefined, next: built }));
    const anew = positionAt(0, { epoch: fourth, incarnation: 2 });
    await stream.commit(partitionCommit(reader, { from: built, next: anew }));
    expect(await groups.switchTo(name, fourth)).toBe(true);
    expect((await sources()).filter(([, epoch]) => epoch === fourth)).toEqual([
      [0, fourth, 1, null],
      [1, fourth, 1, null],
      [2, fourth, 1, null],
    ]);
    // The topic is made anew later: what is read of it then is seen, too.
    const next = positionAt(1, { epoch: fourth, incarnation: 3 });
    await stream.commit(
      partitionCommit({ group: `${name}@${fourth}`, topic, partition: 2 }, { from: undefined, next }),
    );
    expect((await sources()).at(-1)).toEqual([3, fourth, 1, null]);
  });
});
