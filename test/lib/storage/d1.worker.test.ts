import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { withDeadline, type D1, type D1Value } from "../../../lib/storage/d1-database.ts";
import { dayStatements } from "../../../lib/storage/d1-days.ts";
import { createD1QueryStore } from "../../../lib/storage/d1-query.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import type { QueryStore, Row } from "../../../lib/storage/storage.ts";
import type { Log } from "../../../lib/telemetry/log.ts";
import { partitionCommit } from "../../contract/partition-commit.ts";
import { storageSuite } from "../../contract/storage.suite.ts";

const refusedLog = (fields: object) =>
  ({ timestamp: "2026-11-21T10:00:00.000Z", level: "INFO", message: "m", attributes: {}, ...fields }) as Log;

storageSuite("d1", async () => ({
  stream: createD1StreamStore(env.DB),
  query: createD1QueryStore(env.DB),
  refused: [
    refusedLog({ level: null }),
    refusedLog({ message: undefined }),
    // D1 takes values up to 2,000,000 bytes.
    refusedLog({ message: "x".repeat(3_000_000) }),
    // SQLite reads JSON down to a depth of 1,000.
    refusedLog({ attributes: JSON.parse(`{"a":${"[".repeat(1_100)}${"]".repeat(1_100)}}`) }),
  ],
}));

describe("D1's own traits", () => {
  it("leaves nothing behind in the fence", async () => {
    const row = await env.DB.prepare("SELECT count(*) AS n FROM fence").first<{ n: number }>();
    expect(row?.n).toBe(0);
  });

  it("gives up on a call that does not answer", async () => {
    const hanging = withDeadline("a query", () => new Promise<never>(() => undefined), 20);
    await expect(hanging).rejects.toMatchObject({ code: "storage_unavailable", retryable: true });
  });

  it("uses an index for the common questions", async () => {
    // A day that no other case writes to.
    for (const kind of ["logs", "metrics"] as const)
      await env.DB.batch(dayStatements(env.DB, kind, [1]) as D1PreparedStatement[]);
    const plan = async (sql: string) => {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
      return results.map(({ detail }) => detail).join("; ");
    };
    const order = "ORDER BY time DESC, source DESC, partition DESC, offset DESC, idx DESC LIMIT 100";
    const newest = await plan(`SELECT * FROM logs_19700102 WHERE tenant = 'a' AND time >= 5 ${order}`);
    expect(newest).toMatch(/SEARCH logs_19700102 USING PRIMARY KEY/);
    expect(newest).not.toMatch(/TEMP B-TREE/);
    const named = await plan(
      `SELECT * FROM metrics_19700102 INDEXED BY metrics_19700102_by_name WHERE tenant = 'a' AND name = 'n' ${order}`,
    );
    expect(named).toMatch(/metrics_19700102_by_name \(tenant=\? AND name=\?\)/);
    expect(named).not.toMatch(/TEMP B-TREE/);
  });
});

/** What a query of the store asks D1, how D1 goes about it, and what it reads for it. */
async function looked(ask: (store: QueryStore) => Promise<unknown>): Promise<{ plan: string; read: number }> {
  const plans: string[] = [];
  let read = 0;
  const prepare = (sql: string) => ({
    bind: (...values: D1Value[]) => ({
      async all() {
        const explained = env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind(...values);
        const { results } = await explained.all<{ detail: string }>();
        // Which days there are is asked first.
        if (!sql.includes("FROM days")) plans.push(...results.map(({ detail }) => detail));
        const answer = await env.DB.prepare(sql)
          .bind(...values)
          .all<Record<string, D1Value>>();
        read += answer.meta.rows_read;
        return answer;
      },
    }),
  });
  const batch = async (statements: ReturnType<ReturnType<typeof prepare>["bind"]>[]) => {
    const answers = [];
    for (const statement of statements) answers.push(await statement.all());
    return answers;
  };
  await ask(createD1QueryStore({ prepare, batch } as unknown as D1));
  return { plan: plans.join("\n"), read };
}

describe("what a query costs", () => {
  const tenant = `t-${crypto.randomUUID()}`;
  const page = { tenant, from: undefined, to: undefined, after: undefined, limit: 10 };
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
  const LONG_TRACE = hex(0xfff, 32);

  beforeAll(async () => {
    const row = <T>(record: T, index: number) => ({ tenant, offset: 0, index, record });
    const timestamp = (i: number) => new Date(1_795_255_200_000 + i).toISOString();
    const id = { group: "cost", topic: "cost", partition: 0 };
    const commit = partitionCommit(id, {
      rows: {
        // Twenty names of 200 points each.
        metrics: Array.from({ length: 4_000 }, (_, i) =>
          row({ timestamp: timestamp(i), name: `n${10 + (i % 20)}`, value: i, labels: {} }, i),
        ),
        // 300 traces of ten spans each, and one of a thousand.
        traces: Array.from({ length: 4_000 }, (_, i): Row<"traces"> => {
          const trace = i < 3_000 ? hex(Math.floor(i / 10) + 1, 32) : LONG_TRACE;
          return row(
            {
              timestamp: timestamp(i),
              duration_ns: "1",
              trace_id: trace,
              span_id: hex(i + 1, 16),
              ...(i % 10 === 0 && i < 3_000 ? {} : { parent_span_id: hex(1, 16) }),
              name: "n",
              kind: "server",
              status: "ok",
              attributes: {},
              detail: {},
            },
            i,
          );
        }),
      },
    });
    await createD1StreamStore(env.DB).commit(commit);
  });

  it("goes by the rows of a page, not by those stored", async () => {
    const filters = { text: undefined, service: undefined, level: undefined };
    const asks = [
      (store: QueryStore) => store.metrics({ ...page, name: undefined, labels: {} }),
      (store: QueryStore) => store.metrics({ ...page, name: "n11", labels: {} }),
      (store: QueryStore) => store.logs({ ...page, ...filters }),
      (store: QueryStore) => store.logs({ ...page, ...filters, service: "s" }),
      (store: QueryStore) => store.events({ ...page, eventType: undefined }),
      (store: QueryStore) => store.events({ ...page, eventType: "e" }),
    ];
    for (const ask of asks) {
      const { plan, read } = await looked(ask);
      expect(plan).toMatch(/SEARCH r USING (PRIMARY KEY|INDEX \w+) \(tenant=\?/);
      expect(plan).not.toMatch(/TEMP B-TREE/);
      expect(read).toBeLessThan(50);
    }
  });

  it("goes by the traces listed, not by those stored", async () => {
    const filters = { service: undefined, name: undefined, status: undefined, minDuration: undefined };
    const { plan, read } = await looked((store) => store.traces({ ...page, ...filters }));
    expect(plan).toMatch(/SEARCH r USING (COVERING )?INDEX spans_\d{8}_at_root \(tenant=\?\)/);
    expect(plan).toMatch(
      /SEARCH o USING (COVERING )?INDEX spans_\d{8}_by_trace \(tenant=\? AND trace_id=\?\)/,
    );
    expect(plan).not.toMatch(/SCAN (r|o)\b|TEMP B-TREE FOR ORDER BY/);
    expect(read).toBeLessThan(10 * 10 * 8);
  });

  it("goes by the spans told of a trace, not by those it has", async () => {
    const { plan, read } = await looked((store) => store.spans(tenant, LONG_TRACE, 10));
    expect(plan).toMatch(/SEARCH s USING INDEX spans_\d{8}_by_trace \(tenant=\? AND trace_id=\?\)/);
    expect(read).toBeLessThan(100);
  });

  it.each([
    ["all names", { prefix: "", after: "", limit: 100 }],
    ["a prefix behind the others", { prefix: "n25", after: "", limit: 100 }],
    ["a page behind others", { prefix: "n", after: "n28", limit: 100 }],
    ["a cursor from before the prefix", { prefix: "n25", after: "n10", limit: 100 }],
  ])("goes by the names of metrics, not by their points: %s", async (_, query) => {
    const { plan, read } = await looked((store) => store.metricNames({ tenant, ...query }));
    expect(plan).toMatch(/metrics_\d{8}_by_name \(tenant=\? AND name>\?\)/);
    expect(plan).not.toMatch(/SCAN m\b|TEMP B-TREE/);
    expect(read).toBeLessThan(200);
  });
});
