// The consumers' figures on D1: one statement a commit, in the commit's own batch.
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import { createD1StatsStore, statsStatements } from "../../../lib/storage/d1-consumer-stats.ts";
import { consumerStatsSuite } from "../../contract/consumer-stats.suite.ts";
import { ledgerEntry, partitionCommit } from "../../contract/partition-commit.ts";

consumerStatsSuite("d1", async () => ({
  stats: createD1StatsStore(env.DB),
  async add(commit) {
    const statements = statsStatements(env.DB, commit);
    if (statements.length > 0) await env.DB.batch(statements as D1PreparedStatement[]);
  },
}));

it("is one statement a commit, and writes two rows", async () => {
  const id = { group: `g${crypto.randomUUID()}`, topic: "t", partition: 0 };
  const statements = statsStatements(
    env.DB,
    partitionCommit(id, { ledger: [ledgerEntry("a", { stored: 1 })] }),
  );
  expect(statements).toHaveLength(1);
  const { meta } = await statements[0]!.all();
  expect(meta.changes).toBe(2);
});

it("reads totals and prunes by the key, without walking the minutes", async () => {
  const plan = async (sql: string) => {
    const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
    return results.map(({ detail }) => detail).join("; ");
  };
  const where = "FROM consumer_stats WHERE minute";
  expect(await plan(`SELECT * ${where} = -1`)).toMatch(
    /SEARCH consumer_stats USING PRIMARY KEY \(minute=\?\)/,
  );
  expect(await plan(`DELETE ${where} > -1 AND minute < 5`)).toMatch(
    /USING PRIMARY KEY \(minute>\? AND minute<\?\)/,
  );
});
