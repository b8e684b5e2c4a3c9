// Retention on a real PostgreSQL: a database of its own, since its floor concerns all that is in it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PostgresConnections } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresQueryStore } from "../../../lib/storage/postgres/query.ts";
import { createPostgresRetentionStore } from "../../../lib/storage/postgres/retention.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import { partitionCommit } from "../../contract/partition-commit.ts";
import { ANY_LOG, log, PAGE } from "../../contract/storage-case.ts";
import { retentionSuite } from "../../contract/storage-retention.suite.ts";
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

  it("shows an epoch that a later one tells anew from a midnight on up to there", async () => {
    const tenant = `t${crypto.randomUUID()}`;
    const times = ["2026-01-01T23:59:59.999999999Z", "2026-01-02T00:00:00.000Z"];
    const logs = times.map((timestamp, offset) => ({ tenant, offset, index: 0, record: log({ timestamp }) }));
    const id = { group: tenant, topic: tenant, partition: 0 };
    const stream = createPostgresStreamStore(connections);
    const rawFloorDay = await stream.rawFloorDay();
    await stream.commit(partitionCommit(id, { rows: { logs }, rawFloorDay }));
    const limit = "UPDATE sources SET visible_until_ms = $2::bigint WHERE topic = $1";
    await connections.read("limiting", limit, [tenant, Date.parse("2026-01-02T00:00:00.000Z")]);
    const found = await createPostgresQueryStore(connections).logs({ ...PAGE, ...ANY_LOG, tenant });
    expect(found.map(({ key }) => key.offset)).toEqual([0]);
  });

  retentionSuite("postgres", async () => ({
    stream: createPostgresStreamStore(connections),
    query: createPostgresQueryStore(connections),
    retention: createPostgresRetentionStore(connections),
  }));
});
