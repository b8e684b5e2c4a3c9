import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createD1QueryStore } from "../../../lib/storage/d1-query.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { withDeadline } from "../../../lib/storage/d1-database.ts";
import { storageSuite } from "../../contract/storage.suite.ts";

storageSuite("d1", async () => {
  await env.DB.prepare("DELETE FROM dead_letters").run();
  return {
    stream: createD1StreamStore(env.DB),
    query: createD1QueryStore(env.DB),
    async countDeadLetters() {
      const row = await env.DB.prepare("SELECT count(*) AS n FROM dead_letters").first<{ n: number }>();
      return row?.n ?? 0;
    },
  };
});

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
    const plan = async (sql: string) => {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
      return results.map(({ detail }) => detail).join("; ");
    };
    const order = "ORDER BY time DESC, source DESC, partition DESC, offset DESC, idx DESC LIMIT 100";
    const newest = await plan(`SELECT * FROM logs WHERE tenant = 'a' AND time >= 5 ${order}`);
    expect(newest).toMatch(/SEARCH logs USING PRIMARY KEY/);
    expect(newest).not.toMatch(/TEMP B-TREE/);
    const named = await plan(
      `SELECT * FROM metrics INDEXED BY metrics_by_name WHERE tenant = 'a' AND name = 'n' ${order}`,
    );
    expect(named).toMatch(/metrics_by_name \(tenant=\? AND name=\?\)/);
    expect(named).not.toMatch(/TEMP B-TREE/);
  });
});
