// What exactly-once costs on D1: one call a commit, look-ups by key, some tens of bytes a claim.
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { D1, D1Value } from "../../../lib/storage/d1-database.ts";
import { createD1QueryStore } from "../../../lib/storage/d1-query.ts";
import { dayStatements } from "../../../lib/storage/d1-days.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { dayOf } from "../../../lib/storage/day.ts";
import type { Claim, OutboxEntry } from "../../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, positionAt } from "../../contract/partition-commit.ts";

const newKey = () => crypto.randomUUID().replaceAll("-", "");
const newClaim = (): Claim => ({
  key: newKey(),
  word: 0,
  attempt: Math.floor(Math.random() * 2 ** 48),
  bits: 1,
});
const newId = () => ({ group: crypto.randomUUID(), topic: "logs.raw", partition: 0 });

/** D1 as it is, telling what it was asked: the plans of all statements, and how many calls. */
function watched(): { db: D1; plans: Map<string, string>; calls: () => number } {
  const plans = new Map<string, string>();
  let calls = 0;
  const prepared = (sql: string, values: D1Value[]) => {
    const statement = env.DB.prepare(sql).bind(...values);
    const explain = async () => {
      if (sql.startsWith("CREATE")) return;
      const explained = env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind(...values);
      const { results } = await explained.all<{ detail: string }>();
      plans.set(sql.trim().replaceAll(/\s+/g, " "), results.map(({ detail }) => detail).join("\n"));
    };
    const all = async () => {
      calls++;
      await explain();
      return await statement.all<Record<string, D1Value>>();
    };
    return { statement, explain, all };
  };
  const prepare = (sql: string) => ({
    ...prepared(sql, []),
    bind: (...values: D1Value[]) => prepared(sql, values),
  });
  const batch = async (statements: { statement: D1PreparedStatement; explain(): Promise<void> }[]) => {
    calls++;
    for (const { explain } of statements) await explain();
    return await env.DB.batch(statements.map(({ statement }) => statement));
  };
  return { db: { prepare, batch } as unknown as D1, plans, calls: () => calls };
}

/** The plan of the one statement that begins so. */
function planOf(plans: Map<string, string>, start: string): string {
  const found = [...plans].filter(([sql]) => sql.startsWith(start));
  expect(found, start).toHaveLength(1);
  return found[0]![1];
}

describe("a commit on D1", () => {
  it("is one call, which looks everything up by its key", async () => {
    const { db, plans, calls } = watched();
    const id = newId();
    const day = dayOf(Date.parse("2026-11-21T10:00:00.000Z"));
    await env.DB.batch(dayStatements(env.DB, "logs", [day]) as D1PreparedStatement[]);
    const whole = partitionCommit(id, {
      rows: {
        logs: [
          {
            tenant: "t",
            offset: 0,
            index: 0,
            record: { timestamp: "2026-11-21T10:00:00.000Z", level: "INFO", message: "m", attributes: {} },
          },
        ],
      },
      claims: { first: [newClaim()], repeated: [newClaim()], receivedMs: 0 },
      ledger: [ledgerEntry("t", { stored: 1 })],
      outbox: [{ id: newKey(), topic: "logs.dlq", key: null, value: "{}" }],
    });
    expect(await createD1StreamStore(db).commit(whole)).toBe("committed");
    expect(calls()).toBe(1);
    const next = { ...whole, from: whole.next, next: positionAt(2), claims: { ...whole.claims, first: [] } };
    expect(await createD1StreamStore(db).commit(next)).toBe("conflict");
    expect(calls()).toBe(2);
    const fence = planOf(plans, "INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS");
    expect(fence).toMatch(/SEARCH offsets USING PRIMARY KEY/);
    const guards = [...plans].filter(([sql]) => sql.includes("INSERT INTO fence (ok, conflict)"));
    expect(guards).toHaveLength(2);
    for (const [, plan] of guards) expect(plan).toMatch(/SEARCH c USING PRIMARY KEY \(key=\? AND word=\?/);
    for (const plan of plans.values())
      expect(plan).not.toMatch(/SCAN (offsets|claims|c|ledger|outbox|sources)\b/);
  });

  it("reads claims, the outbox and dead letters by their keys", async () => {
    const { db, plans } = watched();
    const stream = createD1StreamStore(db);
    const id = newId();
    await stream.claimed([newKey()]);
    await stream.outbox(id, 10);
    await stream.sent(id, ["a"]);
    expect(planOf(plans, "SELECT lower(hex(c.key))")).toMatch(/SEARCH c USING PRIMARY KEY \(key=\?\)/);
    expect(planOf(plans, "SELECT id, topic, key, value")).toMatch(
      /SEARCH outbox USING INDEX outbox_by_partition \(group_id=\? AND source_topic=\? AND partition=\?\)/,
    );
    expect(planOf(plans, "DELETE FROM outbox")).toMatch(/SEARCH outbox USING INDEX \w+ \(id=\?\)/);

    const query = createD1QueryStore(db);
    const page = {
      topic: undefined,
      errorType: undefined,
      from: undefined,
      to: undefined,
      limit: 10,
      after: "g/t/0/0/0/-1",
    };
    await query.deadLetters({ ...page, tenant: "t" });
    expect([...plans.values()].at(-1)).toMatch(
      /^SEARCH d USING INDEX dead_letters_by_tenant \(tenant=\? AND dlq_timestamp<\?\)/,
    );
    await query.deadLetters({ ...page, tenant: undefined });
    expect([...plans.values()].at(-1)).toMatch(
      /^SEARCH d USING INDEX dead_letters_by_time \(dlq_timestamp<\?\)/,
    );
    await query.deadLetter("g/t/0/0/0/-1", "t");
    for (const [sql, plan] of plans) expect(plan, sql).not.toMatch(/SCAN (d|s|l|ls|c|outbox)\b/);
    const letters = [...plans].filter(([sql]) => sql.includes("dead_letters"));
    expect(letters).toHaveLength(3);
    for (const [, plan] of letters) expect(plan).not.toMatch(/TEMP B-TREE/);
  });

  it("reads no more of a long outbox than it gives", async () => {
    const id = newId();
    const outbox = Array.from({ length: 2_000 }, (_, i): OutboxEntry => ({
      id: `${id.group}/${i}`,
      topic: "x",
      key: null,
      value: "{}",
    }));
    await createD1StreamStore(env.DB).commit(partitionCommit(id, { outbox }));
    let read = 0;
    const prepare = (sql: string) => ({
      bind: (...values: D1Value[]) => ({
        async all() {
          const answer = await env.DB.prepare(sql)
            .bind(...values)
            .all();
          read += answer.meta.rows_read;
          return answer;
        },
      }),
    });
    const found = await createD1StreamStore({ prepare } as unknown as D1).outbox(id, 10);
    expect(found.map((one) => one.id)).toEqual(outbox.slice(0, 10).map((one) => one.id));
    expect(read).toBeLessThan(50);
  });

  it("gives no more of an outbox at once than an isolate can hold", async () => {
    const id = newId();
    const store = createD1StreamStore(env.DB);
    const value = "x".repeat(900_000);
    const outbox = Array.from({ length: 8 }, (_, i): OutboxEntry => ({
      id: `${id.group}/${i}`,
      topic: "x",
      key: null,
      value,
    }));
    await store.commit(partitionCommit(id, { outbox }));
    expect(await store.outbox(id, 100)).toEqual(outbox.slice(0, 5));
    expect(await store.outbox(id, 1)).toEqual(outbox.slice(0, 1));
  });

  /** For the figures in migrations/0005_exactly_once.sql this was 1_000_000. */
  const CLAIMS = 100_000;

  it("keeps a claim on some 40 bytes", { timeout: 600_000 }, async () => {
    const store = createD1StreamStore(env.DB);
    const size = async () => (await env.DB.prepare("SELECT 1").all()).meta.size_after;
    const before = await size();
    for (let i = 0; i < CLAIMS / 10_000; i++) {
      const first = Array.from({ length: 10_000 }, newClaim);
      const commit = partitionCommit(newId(), { claims: { first, receivedMs: Date.now() } });
      expect(await store.commit(commit)).toBe("committed");
    }
    const bytes = ((await size()) - before) / CLAIMS;
    expect(bytes).toBeGreaterThan(20);
    expect(bytes).toBeLessThan(60);
  });
});
