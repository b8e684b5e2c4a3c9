// The contract of consumer groups in memory and on a real PostgreSQL, and what only the latter can show.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMemoryGroups } from "../../../lib/storage/memory-groups.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresGroupStore } from "../../../lib/storage/postgres/groups.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import { groupsSuite } from "../../contract/groups.suite.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

groupsSuite("memory", async () => createMemoryGroups(createMemoryStore()));

describe.skipIf(!realPostgres.available)(`PostgreSQL ${realPostgres.why}`, () => {
  let server: RealPostgres;
  let connections: PostgresConnections;

  beforeAll(async () => {
    server = await startPostgres();
    connections = new PostgresConnections({ url: server.url, maxConnections: 20 });
  });

  afterAll(async () => {
    connections?.close();
    await server?.close();
  });

  const open = () => ({
    groups: createPostgresGroupStore(connections),
    stream: createPostgresStreamStore(connections),
  });

  groupsSuite("postgres", async () => open());

  it("hands over at a position that no commit under way moves any more", async () => {
    const { groups, stream } = open();
    const name = `g${crypto.randomUUID()}`;
    const id = { group: name, topic: `t.${crypto.randomUUID()}`, partition: 0 };
    await stream.commit(partitionCommit(id, { from: undefined, next: positionAt(1) }));
    const epoch = (await groups.beginBuilding({ name, isShown: true }, 0, [], 0)) as number;
    let isHandedOver = false;
    let nextOffset = 1;
    const reading = (async () => {
      for (;;) {
        const [from, next] = [positionAt(nextOffset), positionAt(nextOffset + 1)];
        const wasHandedOver = isHandedOver;
        if ((await stream.commit(partitionCommit(id, { from, next }))) === "fenced") return;
        expect(wasHandedOver).toBe(false);
        nextOffset++;
      }
    })();
    expect(await groups.handOver(name, epoch)).toBe(true);
    isHandedOver = true;
    const last = await stream.position(id);
    await reading;
    expect(await stream.position(id)).toEqual(last);
    expect(last).toMatchObject({ nextOffset });
  });

  const sources = async (topic: string) =>
    await connections.read(
      "reading sources",
      "SELECT incarnation, epoch, is_visible, visible_until_ms FROM sources WHERE topic = $1 ORDER BY incarnation, epoch",
      [topic],
    );

  it("shows the new epoch, and of the old ones what is older than it was built from", async () => {
    const { groups, stream } = open();
    const name = `g${crypto.randomUUID()}`;
    const topic = `t.${crypto.randomUUID()}`;
    const read = async (group: string, fields: { epoch?: number; incarnation?: number }, partition: number) =>
      await stream.commit(
        partitionCommit({ group, topic, partition }, { from: undefined, next: positionAt(3, fields) }),
      );
    await read(name, {}, 0);
    await read(name, { incarnation: 1 }, 1);
    const switchTo = async (from: number, fromTimeMs: number) => {
      const plan = [{ topic, incarnation: 1, start: "earliest" as const, fromTimeMs }];
      const epoch = (await groups.beginBuilding({ name, isShown: true }, from, plan, 0)) as number;
      await groups.handOver(name, epoch);
      await read(`${name}@${epoch}`, { epoch }, 0);
      await read(`${name}@${epoch}`, { epoch, incarnation: 1 }, 1);
      expect(await groups.switchTo(name, epoch)).toBe(true);
      return epoch;
    };
    const first = await switchTo(0, 5_000);
    const second = await switchTo(first, 9_000);
    const rows = (await sources(topic)).map((row) => [
      Number(row.incarnation),
      Number(row.epoch),
      row.is_visible,
      row.visible_until_ms === null ? null : Number(row.visible_until_ms),
    ]);
    expect(rows).toEqual([
      [0, 0, true, null],
      [0, first, true, null],
      [0, second, true, null],
      [1, 0, true, 5_000],
      [1, first, true, 9_000],
      [1, second, true, null],
    ]);
    // The topic is made anew later: what is read of it then is seen, too.
    await read(`${name}@${second}`, { epoch: second, incarnation: 2 }, 2);
    expect((await sources(topic)).at(-1)).toMatchObject({ is_visible: true });
    // What was built of the making before is seen where the reader has gone on to another one while it was handed over.
    const plan = [{ topic, incarnation: 1, start: "earliest" as const, fromTimeMs: 9_500 }];
    const third = (await groups.beginBuilding({ name, isShown: true }, second, plan, 0)) as number;
    await groups.handOver(name, third);
    const reader = { group: `${name}@${third}`, topic };
    await read(reader.group, { epoch: third }, 0);
    await read(reader.group, { epoch: third, incarnation: 2 }, 2);
    const built = positionAt(2, { epoch: third, incarnation: 1 });
    await stream.commit(partitionCommit({ ...reader, partition: 1 }, { from: undefined, next: built }));
    const anew = positionAt(0, { epoch: third, incarnation: 3 });
    await stream.commit(partitionCommit({ ...reader, partition: 1 }, { from: built, next: anew }));
    expect(await groups.switchTo(name, third)).toBe(true);
    const own = (await sources(topic)).filter(({ epoch }) => Number(epoch) === third);
    expect(own.map(({ is_visible }) => is_visible)).toEqual([true, true, true, true]);
  });
});
