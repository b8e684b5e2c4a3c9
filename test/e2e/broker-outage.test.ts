// A real broker stopped for ten seconds and started again under load: what was answered 202 is in Kafka, counted by
// kcat, and is stored once; what was not durable was answered 503, and nothing else.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { allLogs, getJson, postLogs } from "../support/api.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { startGateway } from "../support/gateway.ts";
import { kcatRead } from "../support/kcat.ts";
import { realKafka, startRealKafka, type RealKafka } from "../support/real-kafka.ts";
import { startWeir, until, type StartedWeir } from "../support/start.ts";

const OUTAGE_MS = 10_000;

describe.skipIf(!realKafka.available)(`a broker away for 10 s ${realKafka.why}`, () => {
  let kafka: RealKafka;
  const endings: (() => Promise<unknown> | void)[] = [];

  beforeEach(async () => {
    const dataDir = makeDataDir("outage");
    kafka = await startRealKafka();
    endings.push(
      () => dataDir.remove(),
      () => kafka.close(),
    );
    for (const topic of ["logs.raw", "metrics.raw", "events.raw", "traces.raw"])
      await kafka.createTopic(topic, 3);
    path = dataDir.path;
  });
  let path = "";
  afterEach(async () => {
    for (const end of endings.splice(0).toReversed()) await end();
  });

  it.each<[string, () => Promise<Record<string, string>>]>([
    ["native", async () => ({ KAFKA_TRANSPORT: "native", KAFKA_BROKERS: kafka.bootstrap })],
    [
      "rest-v2 by local-kafka as a gateway",
      async () => {
        const server = await startGateway(kafka.bootstrap);
        endings.push(() => server.close());
        return { KAFKA_REST_URL: server.url };
      },
    ],
  ])("%s: no acknowledged record is lost", async (_, settings) => {
    const weir = await startWeir({ dataDir: path, env: { ...(await settings()), WEIR_DEMO: "off" } });
    endings.push(() => weir.stop());
    const service = "outage";
    const acknowledged = new Set<string>();
    const statuses = new Map<number, number>();
    const load = new AbortController();
    const clients = Array.from({ length: 8 }, async (_unused, n) => {
      for (let i = 0; !load.signal.aborted; i++) {
        const ids = [0, 1, 2].map((part) => `${n}-${i}-${part}`);
        const response = await postLogs(
          weir.url,
          ids.map((message) => ({ message, service, host: `h${n}` })),
          60_000,
        );
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        await response.arrayBuffer();
        if (response.status === 202) for (const id of ids) acknowledged.add(id);
      }
    });
    try {
      await until(() => acknowledged.size >= 300, 30_000);
      await kafka.kill();
      await sleep(OUTAGE_MS);
      const atReturn = acknowledged.size;
      await kafka.start();
      await until(() => acknowledged.size >= atReturn + 300, 30_000);
    } finally {
      load.abort();
      await Promise.all(clients);
    }
    expect([...statuses.keys()].filter((status) => status !== 202 && status !== 503)).toEqual([]);

    const inKafka = new Set<string>();
    for (const { value } of await kcatRead(kafka.bootstrap, "logs.raw")) {
      const envelope = JSON.parse(value!.toString()) as { entries: { message: string }[] };
      for (const { message } of envelope.entries) inKafka.add(message);
    }
    expect([...acknowledged].filter((id) => !inKafka.has(id))).toEqual([]);
    await until(() => isCaughtUp(weir), 30_000);
    const stored = new Set((await allLogs(weir.url, service)).map(({ message }) => message));
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
  });
});

async function isCaughtUp(weir: StartedWeir): Promise<boolean> {
  const rows = await getJson<{ lag: number | null }[]>(weir.url, "/api/v1/lag");
  return rows.length > 0 && rows.every(({ lag }) => lag === 0);
}
