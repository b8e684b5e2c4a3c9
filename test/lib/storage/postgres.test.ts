// The storage contract on a real PostgreSQL.
import { afterAll, beforeAll, describe } from "vitest";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresQueryStore } from "../../../lib/storage/postgres/query.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import { log, TIME } from "../../contract/storage-case.ts";
import { storageSuite } from "../../contract/storage.suite.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";

describe.skipIf(!realPostgres.available)(`PostgreSQL ${realPostgres.why}`, () => {
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

  // No index holds a row of more than some 2,700 bytes, compressed.
  const noise = Array.from({ length: 200 }, () => crypto.randomUUID()).join("");

  storageSuite("postgres", async () => ({
    stream: createPostgresStreamStore(connections),
    query: createPostgresQueryStore(connections),
    refused: [log({ timestamp: TIME, service: noise })],
  }));
});
