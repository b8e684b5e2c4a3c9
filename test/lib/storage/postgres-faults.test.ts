// What only a real server shows: connections that end at the worst moment, locks that are held, and what errors tell.
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PostgresConnections, type PostgresOptions } from "../../../lib/storage/postgres/connections.ts";
import { createPostgresStreamStore } from "../../../lib/storage/postgres/stream.ts";
import type { PartitionId, StreamStore } from "../../../lib/storage/storage.ts";
import { log } from "../../contract/storage-case.ts";
import { ledgerEntry, partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../../support/postgres.ts";
import { until } from "../../support/start.ts";

const UNAVAILABLE = { name: "StorageError", code: "storage_unavailable", retryable: true };

describe.skipIf(!realPostgres.available)(`PostgreSQL that fails ${realPostgres.why}`, () => {
  let server: RealPostgres;
  /** A connection beside the store's. */
  let other: postgres.Sql;
  let id: PartitionId;
  let open: PostgresConnections[];

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  beforeEach(() => {
    open = [];
    other = postgres(server.url, { max: 2, connection: { application_name: "other" } });
    id = { group: `g${crypto.randomUUID()}`, topic: `t${crypto.randomUUID()}`, partition: 0 };
  });
  afterEach(async () => {
    for (const connections of open) connections.close();
    await other.end({ timeout: 1 });
  });

  function storeOn(options: Partial<PostgresOptions> = {}): StreamStore {
    const connections = new PostgresConnections({ url: server.url, ...options });
    open.push(connections);
    return createPostgresStreamStore(connections);
  }

  const commitOf = (from: number, count: number, partition = 0) =>
    partitionCommit(
      { ...id, partition },
      {
        from: from === 0 ? undefined : positionAt(from),
        next: positionAt(from + count),
        rows: {
          logs: Array.from({ length: count }, (_, i) => ({
            tenant: id.group,
            offset: from + i,
            index: 0,
            record: log({ message: "x".repeat(300) }),
          })),
        },
        claims: {
          first: [{ key: keyOf(from, partition), word: 0, attempt: 0, bits: 1 }],
          receivedMs: Date.now(),
        },
        ledger: [ledgerEntry(id.group, { stored: count })],
      },
    );
  const keyOf = (from: number, partition: number) =>
    Buffer.from(`${id.group.slice(-8)}${String(from).padStart(5, "0")}${String(partition).padStart(3, "0")}`)
      .toString("hex")
      .slice(0, 32);
  const rowsStored = async (partition = 0) => {
    const [row] = await other`SELECT count(*)::int AS rows FROM logs WHERE tenant = ${id.group}
      AND partition = ${partition}`;
    return row?.rows as number;
  };
  /** Runs while a transaction of someone else's holds the partition's position. */
  async function whileLocked(body: () => Promise<void>): Promise<void> {
    await other.begin(async (sql) => {
      await sql`SELECT 1 FROM offsets WHERE group_id = ${id.group} FOR UPDATE`;
      await body();
    });
  }
  const ours = async (state: "idle" | "active" | "any") =>
    await other`SELECT pid FROM pg_stat_activity WHERE application_name = 'weir'
      AND (${state} = 'any' OR state = ${state})`;
  const isWaiting = async () =>
    (await other`SELECT 1 FROM pg_stat_activity WHERE application_name = 'weir' AND wait_event_type = 'Lock'`)
      .length > 0;

  it("that ends a connection in the middle of a commit leaves nothing of it", async () => {
    const store = storeOn();
    await store.commit(commitOf(0, 5));
    await whileLocked(async () => {
      const blocked = store.commit(commitOf(5, 5)).catch((error: unknown) => error);
      await until(isWaiting, 10_000);
      await other`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'`;
      expect(await blocked).toMatchObject(UNAVAILABLE);
    });
    expect(await store.position(id)).toEqual(positionAt(5));
    expect(await rowsStored()).toBe(5);
    expect(await store.commit(commitOf(5, 5))).toBe("committed");
    expect(await rowsStored()).toBe(10);
  });

  it("that holds a lock too long is given up, and what was asked of it is not done later", async () => {
    const store = storeOn({ deadlineMs: 300 });
    await storeOn().commit(commitOf(0, 5));
    await whileLocked(async () => {
      const startedMs = Date.now();
      await expect(store.commit(commitOf(5, 5))).rejects.toMatchObject(UNAVAILABLE);
      expect(Date.now() - startedMs).toBeLessThan(5_000);
    });
    await until(async () => (await ours("active")).length === 0, 10_000);
    expect(await storeOn().position(id)).toEqual(positionAt(5));
    expect(await rowsStored()).toBe(5);
  });

  it("that is killed under load keeps each commit whole or not at all", async () => {
    const partitions = 6;
    const store = storeOn({ maxConnections: partitions });
    const over = new AbortController();
    const told = Array.from({ length: partitions }, () => 0);
    const failures: unknown[] = [];
    const load = Array.from({ length: partitions }, async (_, partition) => {
      for (let from = 0; !over.signal.aborted; from += 200) {
        try {
          expect(await store.commit(commitOf(from, 200, partition))).toBe("committed");
          told[partition] = from + 200;
        } catch (error) {
          failures.push(error);
          return;
        }
      }
    });
    await until(() => told.every((count) => count >= 400), 30_000);
    await server.kill();
    over.abort();
    await Promise.all(load);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatchObject(UNAVAILABLE);
    await expect(store.position(id)).rejects.toMatchObject(UNAVAILABLE);

    await server.start();
    for (const [partition, count] of told.entries()) {
      const position = await store.position({ ...id, partition });
      // The last may have been committed although nobody was told.
      expect([count, count + 200]).toContain(position?.nextOffset);
      expect(await rowsStored(partition)).toBe(position?.nextOffset);
    }
    const ledger = await store.ledger(id.group, undefined);
    const positions = await store.progress(id.group);
    expect(ledger.map(({ stored }) => stored)).toEqual(positions.map(({ nextOffset }) => nextOffset));
  });

  it("that deadlocks two commits of the same rows lets both through", async () => {
    // Two groups read one partition; the rows of one lie the other way round.
    const deadlocks = async () => {
      const [row] = await other`SELECT deadlocks::int AS n FROM pg_stat_database
        WHERE datname = current_database()`;
      return row?.n as number;
    };
    const before = await deadlocks();
    const store = storeOn();
    for (let round = 0; (await deadlocks()) === before; round++) {
      expect(round, "no deadlock came").toBeLessThan(30);
      const forth = { ...commitOf(0, 1_000), group: `a${round}${id.group}`, topic: `${id.topic}${round}` };
      const back = { ...forth, group: `b${round}${id.group}`, rows: { ...forth.rows } };
      back.rows.logs = forth.rows.logs.toReversed();
      forth.claims = { first: [], repeated: [], receivedMs: undefined };
      back.claims = forth.claims;
      // The source is there already, which would let one wait for the other before the rows.
      await store.commit({ ...forth, group: `c${round}${id.group}`, rows: { ...forth.rows, logs: [] } });
      expect(await Promise.all([store.commit(forth), store.commit(back)])).toEqual([
        "committed",
        "committed",
      ]);
      await other`SELECT pg_stat_clear_snapshot()`;
    }
  });

  it("that ended a connection while it was idle is asked on a new one", async () => {
    const store = storeOn({ idleMs: 60_000 });
    await store.position(id);
    expect(await ours("idle")).toHaveLength(1);
    await other`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'`;
    expect(await store.position(id)).toBeUndefined();
  });

  it("sees connections go: by themselves a moment later, and when they are closed", async () => {
    const store = storeOn({ idleMs: 50 });
    await Promise.all(Array.from({ length: 9 }, () => store.position(id)));
    expect((await ours("any")).length).toBeLessThanOrEqual(4);
    await until(async () => (await ours("any")).length === 0, 10_000);
    const kept = storeOn({ idleMs: 60_000 });
    await kept.position(id);
    expect(await ours("any")).toHaveLength(1);
    open.at(-1)?.close();
    await until(async () => (await ours("any")).length === 0, 10_000);
    // Closed is not broken.
    expect(await kept.position(id)).toBeUndefined();
  });

  it.each([
    ["a wrong password", (url: string) => url.replace(/:[^:@]+@/, ":hunter2-S3CRET@"), /28P01/],
    ["a database that is not there", (url: string) => `${url}x`, /3D000/],
    ["a port where nobody listens", (url: string) => url.replace(/:\d+\//, ":1/"), /ECONNREFUSED/],
    ["what is no URL", () => "postgres://u:hunter2-S3CRET@:x:/", /./],
    ["a URL that cannot be decoded", () => "postgres://u:hunter2-S3CRET%zz@127.0.0.1:1/d", /./],
  ])("tells no secret of %s", async (_, change, told) => {
    const url = change(server.url);
    const failure = await storeOn({ url })
      .position(id)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject(UNAVAILABLE);
    expect(String(failure)).toMatch(told);
    const all =
      JSON.stringify(failure, Object.getOwnPropertyNames(failure)) + String((failure as Error).cause);
    for (const secret of ["hunter2", server.password, encodeURIComponent(server.password)])
      expect(all).not.toContain(secret);
  });
});
