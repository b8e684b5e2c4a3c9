// A real broker stopped for ten seconds and started again under load: every request is accepted, kept in the spillway
// while the broker is away; all of it is in Kafka afterwards, counted by kcat, and is stored once.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { allLogs, getJson, postLogs } from "../support/api.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { startGateway } from "../support/gateway.ts";
import { kcatRead } from "../support/kcat.ts";
import { realKafka, startRealKafka, type RealKafka } from "../support/real-kafka.ts";
import { startWeir, until, type StartedWeir } from "../support/start.ts";

const OUTAGE_MS = 10_000;
const BETWEEN_MS = 25;

/** The breaker tries again after half a minute at the latest. */
const RECOVERY_MS = 90_000;

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
  ])(
    "%s: nobody is turned away, and no record is lost or there twice",
    async (_, settings) => {
      const weir = await startWeir({ dataDir: path, env: { ...(await settings()), WEIR_DEMO: "off" } });
      endings.push(() => weir.stop());
      const service = "outage";
      const acknowledged = new Set<string>();
      const answers = new Map<string, number>();
      const load = new AbortController();
      const clients = Array.from({ length: 8 }, async (_unused, n) => {
        for (let i = 0; !load.signal.aborted; i++) {
          const ids = [0, 1, 2].map((part) => `${n}-${i}-${part}`);
          const response = await postLogs(
            weir.url,
            ids.map((message) => ({ message, service, host: `h${n}` })),
            60_000,
          );
          const body = (await response.json()) as { durability?: string };
          const answer = `${response.status} ${body.durability}`;
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
          if (response.status === 202) for (const id of ids) acknowledged.add(id);
          // So that what the outage leaves is read again in seconds.
          await sleep(BETWEEN_MS);
        }
      });
      try {
        await until(() => acknowledged.size >= 300, 30_000);
        await kafka.kill();
        await sleep(OUTAGE_MS);
        await kafka.start();
        const writtenBefore = answers.get("202 kafka") ?? 0;
        await until(() => (answers.get("202 kafka") ?? 0) >= writtenBefore + 100, RECOVERY_MS);
      } finally {
        load.abort();
        await Promise.all(clients);
      }
      expect([...answers.keys()].toSorted()).toEqual(["202 kafka", "202 spilled"]);

      const missing = async () => {
        const inKafka = await messagesInKafka(kafka);
        return [...acknowledged].filter((id) => !inKafka.has(id)).length;
      };
      // What is held is drained by alarms, some time after the last request.
      await until(async () => (await missing()) === 0, RECOVERY_MS);
      await until(() => isCaughtUp(weir), 60_000);
      const stored = (await allLogs(weir.url, service)).map(({ message }) => message);
      expect(stored.toSorted()).toEqual([...acknowledged].toSorted());
    },
    300_000,
  );
});

async function messagesInKafka(kafka: RealKafka): Promise<Set<string>> {
  const messages = new Set<string>();
  for (const { value } of await kcatRead(kafka.bootstrap, "logs.raw")) {
    const envelope = JSON.parse(value!.toString()) as { entries: { message: string }[] };
    for (const { message } of envelope.entries) messages.add(message);
  }
  return messages;
}

async function isCaughtUp(weir: StartedWeir): Promise<boolean> {
  const rows = await getJson<{ lag: number | null }[]>(weir.url, "/api/v1/lag");
  return rows.length > 0 && rows.every(({ lag }) => lag === 0);
}
