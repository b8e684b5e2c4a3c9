// Windows of the storage contract on a real PostgreSQL, and how its partitions by day come about.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { ensurePartitions } from "../../../lib/storage/postgres/partitions.ts";
import { createPostgresQueryStore } from "../../../lib/storage/postgres/query.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import { givenStore } from "../../contract/storage-case.ts";
import { windowCases } from "../../contract/storage-windows.suite.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

describe.skipIf(!realPostgres.available)(`windows on PostgreSQL ${realPostgres.why}`, () => {
  let server: RealPostgres;
  let connections: PostgresConnections;

  beforeAll(async () => {
    server = await startPostgres();
    connections = new PostgresConnections({ url: server.url, maxConnections: 20 });
  });

  afterAll(async () => {
    connections.close();
    await server.close();
  });

  windowCases(
    givenStore(async () => ({
      stream: createPostgresStreamStore(connections),
      query: createPostgresQueryStore(connections),
      refused: [],
    })),
  );

  it("makes a day's partition once, however many come at once, and waits for nobody who reads", async () => {
    const days = [20_000, 20_001, 20_000];
    const make = () =>
      connections.transaction("making partitions", async (run) => {
        await ensurePartitions(run, "windows", days);
        await ensurePartitions(run, "metrics", days);
        return { outcome: undefined, isKept: true };
      });
    // Whoever reads or writes the tables keeps them until its end: nothing of it stands in the way.
    await connections.transaction("reading", async (run) => {
      await run("SELECT count(*) FROM windows");
      await run("LOCK TABLE metrics IN ROW EXCLUSIVE MODE");
      await Promise.all([make(), make(), make(), make()]);
      return { outcome: undefined, isKept: true };
    });
    await make();
    const made = await connections.read(
      "looking",
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits
        WHERE inhparent = ANY (ARRAY['windows', 'metrics']::regclass[]) AND inhrelid::regclass::text LIKE '%\\_202410%'
        ORDER BY 1`,
      [],
    );
    expect(made.map(({ name }) => name)).toEqual([
      "metrics_20241004",
      "metrics_20241005",
      "windows_20241004",
      "windows_20241005",
    ]);
  });

  it("leaves no partition of a transaction that is taken back", async () => {
    const there = () =>
      connections.read("looking", "SELECT to_regclass('windows_20241006')::text AS name", []);
    await connections.transaction("making a partition", async (run) => {
      await ensurePartitions(run, "windows", [20_002]);
      return { outcome: undefined, isKept: false };
    });
    expect(await there()).toEqual([{ name: null }]);
  });
});
