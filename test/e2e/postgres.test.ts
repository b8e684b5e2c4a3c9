// The whole way with STORAGE=postgres: intake, Kafka, PostgreSQL through the binding HYPERDRIVE, query API. The worker
// runs in real workerd; PostgreSQL is killed under it and comes back.
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka, type LocalKafkaServer } from "../../local-kafka/server.ts";
import { allLogs, getJson, postLogs } from "../support/api.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../support/postgres.ts";
import { startWorkerProcess, until, type WorkerProcess } from "../support/start.ts";

describe.skipIf(!realPostgres.available)(`STORAGE=postgres ${realPostgres.why}`, () => {
  const dataDir = makeDataDir("e2e-postgres");
  const endings: (() => unknown)[] = [() => dataDir.remove()];
  let server: RealPostgres;

  beforeAll(async () => {
    server = await startPostgres();
    endings.push(() => server.close());
  });

  afterAll(async () => {
    for (const end of endings.toReversed()) await end();
  });

  async function startKafka(name: string): Promise<LocalKafkaServer> {
    const topics = ["logs", "metrics", "events", "traces"].flatMap((signal) =>
      ["raw", "dlq"].map((stage) => ({ name: `${signal}.${stage}`, partitions: 3 })),
    );
    const kafka = await openLocalKafka({ dataDir: `${dataDir.path}/${name}`, topics, fsync: false });
    const kafkaServer = await serveLocalKafka(kafka, "127.0.0.1", 0);
    endings.push(() => kafkaServer.close());
    return kafkaServer;
  }

  async function start(name: string, postgresUrl: string): Promise<WorkerProcess> {
    const kafka = await startKafka(`${name}-kafka`);
    const worker = await startWorkerProcess({
      port: 0,
      dataDir: `${dataDir.path}/${name}`,
      bindings: { ENVIRONMENT: "development", STORAGE: "postgres", KAFKA_REST_URL: kafka.url },
      postgresUrl,
    });
    endings.push(() => worker.kill());
    return worker;
  }

  const entries = (from: number, count = 50) =>
    Array.from({ length: count }, (_, i) => ({
      message: `m${from + i}`,
      service: "shop",
      host: `h${i % 5}`,
      attributes: { z: 1, a: { nul: "a\u0000b" } },
    }));

  async function expectStored(worker: WorkerProcess, count: number): Promise<void> {
    const messages = async () => (await allLogs(worker.url, "shop")).map(({ message }) => message);
    await until(async () => (await messages().catch(() => [])).length >= count, 60_000);
    const all = Array.from({ length: count }, (_, i) => `m${i}`);
    expect((await messages()).toSorted()).toEqual(all.toSorted());
  }

  it("stores and finds records, through an outage of PostgreSQL, each once", async () => {
    const database = await server.createDatabase();
    const worker = await start("worker", database);
    expect((await postLogs(worker.url, entries(0))).status).toBe(202);
    await expectStored(worker, 50);
    const [found] = await getJson<{ attributes: unknown }[]>(worker.url, "/api/v1/logs?limit=1");
    // What was sent stands first, as it was sent.
    expect(JSON.stringify(found?.attributes)).toMatch(
      /^\{"z":1,"a":\{"nul":"a\\u0000b"\},"fingerprint":"[0-9a-f]{16}"\}$/,
    );

    await server.kill();
    // What is accepted is in Kafka: the store's outage is none of the intake's.
    expect((await postLogs(worker.url, entries(50))).status).toBe(202);
    await until(() => worker.output().includes("drain_failed"), 60_000);
    await server.start();
    await expectStored(worker, 100);

    const sql = postgres(database, { max: 1 });
    try {
      const [row] = await sql`SELECT count(*)::int AS stored, count(DISTINCT message)::int AS told FROM logs`;
      expect(row).toEqual({ stored: 100, told: 100 });
    } finally {
      await sql.end();
    }
    expect(worker.output()).not.toContain(server.password);
    expect(worker.output()).not.toContain(encodeURIComponent(server.password));
  });

  it("goes through Hyperdrive's local stand-in, too", async () => {
    // Its binding is Miniflare's own where the URL asks for TLS; this server has none, and `prefer` does without.
    const worker = await start("hyperdrive", `${await server.createDatabase()}?sslmode=prefer`);
    expect((await postLogs(worker.url, entries(0, 5))).status).toBe(202);
    await expectStored(worker, 5);
  });
});
