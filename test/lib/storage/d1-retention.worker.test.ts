// Retention on a real D1, and what only its tables by day can do.
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { D1 } from "../../../lib/storage/d1-database.ts";
import { tableOf } from "../../../lib/storage/d1-days.ts";
import { createD1QueryStore } from "../../../lib/storage/d1-query.ts";
import { createD1RetentionStore } from "../../../lib/storage/d1-retention.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { ANY_LOG, log, PAGE } from "../../contract/storage-case.ts";
import { retentionSuite } from "../../contract/storage-retention.suite.ts";

const DAY_MS = 86_400_000;

const open = (db: D1 = env.DB) => ({
  stream: createD1StreamStore(db),
  query: createD1QueryStore(db),
  retention: createD1RetentionStore(db),
});

retentionSuite("d1", async () => open());

const tables = async () => {
  const { results } = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{
    name: string;
  }>();
  return new Set(results.map(({ name }) => name));
};

/** Later than those of the suite. */
let day = 30_000;

async function storeDays(days: readonly number[], message = "m"): Promise<string> {
  const tenant = `t${crypto.randomUUID()}`;
  const rows = days.map((one, i) => ({
    tenant,
    offset: i,
    index: 0,
    record: log({ timestamp: new Date(one * DAY_MS).toISOString(), message }),
  }));
  const id = { group: "g", topic: tenant, partition: 0 };
  const { stream } = open();
  const rawFloorDay = await stream.rawFloorDay();
  await stream.commit(partitionCommit(id, { rows: { logs: rows }, rawFloorDay }));
  return tenant;
}

async function retireAll(floorDay: number): Promise<void> {
  const { retention } = open();
  while (await retention.retire("raw", floorDay));
}

describe("tables by day", () => {
  it("are made by the commit that writes to them first, and none of a commit that is taken back", async () => {
    day += 10;
    const id = { group: "g", topic: crypto.randomUUID(), partition: 0 };
    const rows = {
      logs: [
        {
          tenant: "t",
          offset: 0,
          index: 0,
          record: log({ timestamp: new Date(day * DAY_MS).toISOString() }),
        },
      ],
    };
    const { stream } = open();
    const rawFloorDay = await stream.rawFloorDay();
    const commit = partitionCommit(id, { rows, rawFloorDay });
    await stream.rehearse(commit);
    expect(await stream.commit({ ...commit, from: positionAt(7) })).toBe("fenced");
    expect(await tables()).not.toContain(tableOf("logs", day));
    expect(await stream.commit(commit)).toBe("committed");
    expect(await tables()).toContain(tableOf("logs", day));
    expect(await tables()).not.toContain(tableOf("metrics", day));
    await retireAll(day + 1);
    expect(await tables()).not.toContain(tableOf("logs", day));
    // Not by a ghost either: what was planned while the day was kept.
    expect(await stream.commit({ ...commit, from: positionAt(1), next: positionAt(2) })).toBe("conflict");
    expect(await tables()).not.toContain(tableOf("logs", day));
  });

  it("may be dropped while a page is asked for: it begins anew with those that are left", async () => {
    day += 10;
    const tenant = await storeDays([day, day + 1]);
    let asked = 0;
    const dropping: D1 = {
      prepare(sql) {
        const statement = env.DB.prepare(sql);
        if (!sql.includes(`FROM ${tableOf("logs", day)}`) || asked++ > 0) return statement;
        const late = (bound: typeof statement) => ({
          bind: (...values: (string | number | null)[]) => late(bound.bind(...values)),
          all: async () => {
            await retireAll(day + 1);
            return await bound.all<Record<string, string | number | null>>();
          },
        });
        return late(statement);
      },
      batch: (statements) => env.DB.batch(statements as D1PreparedStatement[]),
    };
    const found = await open(dropping).query.logs({ ...PAGE, ...ANY_LOG, tenant });
    expect(asked).toBe(1);
    expect(found.map(({ key }) => key.offset)).toEqual([1]);
  });

  it("give their room back", async () => {
    day += 10;
    await storeDays([day], "x".repeat(200_000));
    await storeDays([day + 1]);
    const { retention } = open();
    const before = await retention.size();
    await retireAll(day + 1);
    const after = await retention.size();
    expect(before?.maxBytes).toBe(10_000_000_000);
    expect(after?.bytes).toBeLessThan((before?.bytes ?? 0) - 150_000);
  });
});

describe("an epoch that a later one tells anew from a midnight on", () => {
  it("is seen before that, and not from then on", async () => {
    day += 10;
    const tenant = await storeDays([day, day + 1]);
    await env.DB.prepare("UPDATE sources SET visible_until_ms = ? WHERE topic = ?")
      .bind((day + 1) * DAY_MS, tenant)
      .run();
    const found = await open().query.logs({ ...PAGE, ...ANY_LOG, tenant });
    expect(found.map(({ key }) => key.offset)).toEqual([0]);
    await env.DB.prepare("DELETE FROM sources WHERE topic = ?").bind(tenant).run();
  });
});

describe("sources of epochs that were given up", () => {
  it("never give their number to another one", async () => {
    const topic = `topic.${crypto.randomUUID()}`;
    const add = async (epoch: number) => {
      const { results } = await env.DB.prepare(
        "INSERT INTO sources (topic, incarnation, epoch, is_visible) VALUES (?, 0, ?, 0) RETURNING id",
      )
        .bind(topic, epoch)
        .all();
      return Number(results[0]?.id);
    };
    const count = async () => {
      const { results } = await env.DB.prepare("SELECT count(*) AS count FROM sources").all();
      return Number(results[0]?.count);
    };
    let last = 0;
    for (let round = 1; round <= 3; round++) {
      const ids = [await add(2 * round), await add(2 * round + 1)];
      expect(Math.min(...ids)).toBeGreaterThan(last);
      last = Math.max(...ids);
      await open().retention.dropSources(Date.now());
      const left = await count();
      await open().retention.dropSources(Date.now());
      expect(await count()).toBe(left);
    }
    const { results } = await env.DB.prepare("SELECT id FROM sources WHERE topic = ?").bind(topic).all();
    expect(results).toEqual([]);
  });

  it("go once nobody has written to them for long, and not those that are seen, or read, or have dead letters", async () => {
    const topic = `topic.${crypto.randomUUID()}`;
    const add = (incarnation: number, epoch: number, isVisible: number, until: number | null) =>
      env.DB.prepare(
        "INSERT INTO sources (topic, incarnation, epoch, is_visible, visible_until_ms) VALUES (?, ?, ?, ?, ?)",
      ).bind(topic, incarnation, epoch, isVisible, until);
    await env.DB.batch([
      add(0, 0, 1, null),
      add(0, 1, 0, null),
      add(0, 2, 1, 5),
      add(0, 3, 0, null),
      add(0, 4, 0, null),
    ]);
    const nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    const { stream, retention } = open();
    const rawFloorDay = await stream.rawFloorDay();
    const reader = async (epoch: number, committedAtMs: number, fields: object = {}) =>
      await stream.commit(
        partitionCommit(
          { group: `g@${epoch}`, topic, partition: 0 },
          { next: positionAt(1, { epoch }), committedAtMs, rawFloorDay, ...fields },
        ),
      );
    await reader(1, nowMs - 1);
    await reader(2, nowMs - 1);
    await reader(3, nowMs);
    const letter = {
      offset: 0,
      index: -1,
      originalKey: null,
      originalValue: null,
      error: "e",
      errorType: "x",
    };
    await reader(4, nowMs - 1, { deadLetters: [{ tenant: "t", ...letter, attempts: 1 }] });
    await retention.dropSources(nowMs);
    const { results } = await env.DB.prepare("SELECT epoch FROM sources WHERE topic = ? ORDER BY epoch")
      .bind(topic)
      .all();
    expect(results.map(({ epoch }) => epoch)).toEqual([0, 3, 4]);
    await env.DB.prepare("DELETE FROM sources WHERE topic = ?").bind(topic).run();
  });
});
