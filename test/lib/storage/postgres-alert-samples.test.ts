import { afterAll, beforeAll, describe } from "vitest";
import {
  postgresAlertSamples,
  prunePostgresAlertSamples,
  storeSamples,
} from "../../../lib/storage/postgres/alert-samples.ts";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { alertSamplesSuite } from "../../contract/alert-samples.suite.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

describe.skipIf(!realPostgres.available)(`on PostgreSQL ${realPostgres.why}`, () => {
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

  alertSamplesSuite(
    "PostgreSQL",
    () => ({
      async apply(alertSamples, committedAtMs) {
        await connections.transaction("storing samples", async (run) => {
          await storeSamples(run, { alertSamples, committedAtMs });
          return { outcome: undefined, isKept: true };
        });
      },
      of: (tenant, rules, limit) => postgresAlertSamples(connections, tenant, rules, limit),
      prune: (beforeMs, limit) => prunePostgresAlertSamples(connections, beforeMs, limit),
    }),
    30,
  );
});
