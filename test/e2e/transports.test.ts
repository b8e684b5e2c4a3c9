// The whole path from a request to the query API, through each transport: what differs between them is one setting and
// the address that goes with it.
import { describe } from "vitest";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka } from "../../local-kafka/server.ts";
import { getJson } from "../support/api.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { startGateway } from "../support/gateway.ts";
import { kcatRead } from "../support/kcat.ts";
import { realKafka, startRealKafka, type RealKafka } from "../support/real-kafka.ts";
import { startWeir } from "../support/start.ts";
import { firstMinuteSuite, type FirstMinute } from "./first-minute.suite.ts";

const TOPICS = ["logs.raw", "metrics.raw", "events.raw", "traces.raw"];
const PARTITIONS = 3;

type Message = { key: string; value: string };

async function startOn(
  env: Record<string, string>,
  read: (topic: string) => Promise<Message[][]>,
  close: () => Promise<void>,
): Promise<FirstMinute> {
  const dataDir = makeDataDir("transports");
  const end = async () => {
    await close();
    dataDir.remove();
  };
  try {
    const weir = await startWeir({ dataDir: dataDir.path, env });
    return {
      weir,
      readTopic: read,
      async close() {
        await weir.stop();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

describe("embedded", () => {
  let url = "";
  firstMinuteSuite("KAFKA_ENABLED=false", async () => {
    const opened = await startOn(
      { KAFKA_ENABLED: "false" },
      async (topic) => await messagesByApi(url, topic),
      async () => undefined,
    );
    ({ url } = opened.weir);
    return opened;
  });
});

describe("upstash", () => {
  firstMinuteSuite("KAFKA_TRANSPORT=upstash", async () => {
    const files = makeDataDir("upstash");
    const credentials = { username: "weir", password: "secret" };
    const topics = TOPICS.map((name) => ({ name, partitions: PARTITIONS }));
    const kafka = await openLocalKafka({
      dataDir: files.path,
      dialect: "upstash",
      topics,
      credentials,
      fsync: false,
    });
    const server = await serveLocalKafka(kafka, "127.0.0.1", 0);
    return await startOn(
      {
        KAFKA_TRANSPORT: "upstash",
        KAFKA_REST_URL: server.url,
        KAFKA_REST_USERNAME: credentials.username,
        KAFKA_REST_PASSWORD: credentials.password,
        KAFKA_ACKS_CONFIRMED: "all",
      },
      async (topic) => await messagesByUpstash(server.url, credentials, topic),
      async () => {
        await server.close();
        files.remove();
      },
    );
  });
});

describe.skipIf(!realKafka.available)(`real Kafka ${realKafka.why}`, () => {
  firstMinuteSuite("KAFKA_TRANSPORT=native", async () => {
    const kafka = await startKafka();
    return await startOn(
      { KAFKA_TRANSPORT: "native", KAFKA_BROKERS: kafka.bootstrap },
      (topic) => messagesByKcat(kafka, topic),
      () => kafka.close(),
    );
  });

  firstMinuteSuite("KAFKA_TRANSPORT=rest-v2, local-kafka in front of it", async () => {
    const kafka = await startKafka();
    const server = await startGateway(kafka.bootstrap);
    return await startOn(
      { KAFKA_REST_URL: server.url },
      (topic) => messagesByKcat(kafka, topic),
      async () => {
        await server.close();
        await kafka.close();
      },
    );
  });
});

async function startKafka(): Promise<RealKafka> {
  const kafka = await startRealKafka();
  for (const topic of TOPICS) await kafka.createTopic(topic, PARTITIONS);
  return kafka;
}

async function messagesByKcat(kafka: RealKafka, topic: string): Promise<Message[][]> {
  const partitions: Message[][] = Array.from({ length: PARTITIONS }, () => []);
  for (const { partition, key, value } of await kcatRead(kafka.bootstrap, topic)) {
    partitions[partition]!.push({ key: key?.toString() ?? "", value: value?.toString() ?? "" });
  }
  return partitions;
}

/** As the deployment's own API tells: an embedded log has no other eye on it. */
async function messagesByApi(url: string, topic: string): Promise<Message[][]> {
  const partitions: Message[][] = Array.from({ length: PARTITIONS }, () => []);
  type Row = { partition: number; key: string | null; value: string | null };
  for (const row of await getJson<Row[]>(url, `/api/v1/topics/${topic}/messages?limit=1000`)) {
    partitions[row.partition]!.push({ key: row.key ?? "", value: row.value ?? "" });
  }
  return partitions;
}

async function messagesByUpstash(
  url: string,
  { username, password }: { username: string; password: string },
  topic: string,
): Promise<Message[][]> {
  const partitions: Message[][] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const messages: Message[] = [];
    for (;;) {
      const response = await fetch(`${url}/fetch`, {
        method: "POST",
        headers: { Authorization: `Basic ${btoa(`${username}:${password}`)}` },
        body: JSON.stringify({ topic, partition, offset: messages.length, timeout: 0 }),
      });
      const page = (await response.json()) as (Message & { offset: number })[];
      const fresh = page.filter(({ offset }) => offset >= messages.length);
      if (fresh.length === 0) break;
      messages.push(...fresh);
    }
    partitions.push(messages);
  }
  return partitions;
}
