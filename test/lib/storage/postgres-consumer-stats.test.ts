// The consumers' figures on a real PostgreSQL.
import { afterAll, beforeAll, describe } from "vitest";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresStatsStore, storeStats } from "../../../lib/storage/postgres/consumer-stats.ts";
import { consumerStatsSuite } from "../../contract/consumer-stats.suite.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

describe.skipIf(!realPostgres.available)(`PostgreSQL ${realPostgres.why}`, () => {
  let server: RealPostgres;
  let connections: PostgresConnections;

  beforeAll(async () => {
    server = await startPostgres();
    connections = new PostgresConnections({ url: server.url });
  });

  afterAll(async () => {
    connections.close();
    await server.close();
  });

  consumerStatsSuite("postgres", async () => ({
    stats: createPostgresStatsStore(connections),
    add: (commit) =>
      connections.transaction("adding figures", async (run) => {
        await storeStats(run, commit);
        return { outcome: undefined, isKept: true };
      }),
  }));
});
