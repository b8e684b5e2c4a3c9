// The Kafka of a run: local-kafka as a process of its own, or a real broker behind local-kafka as a gateway. It can be
// killed and started again on the same port and data, its topics grown, deleted and made anew.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { LocalKafkaServer } from "../../local-kafka/server.ts";
import { openClusterGateway } from "../../local-kafka/broker.ts";
import { startGateway } from "../support/gateway.ts";
import { freePorts } from "../support/real-kafka/ports.ts";
import { root } from "../support/start.ts";

export interface ChaosKafka {
  /** Its REST API, before which no fault stands. */
  readonly url: string;
  /** Partitions of each topic now. */
  readonly topics: ReadonlyMap<string, number>;
  /** By SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  grow(topic: string, partitions: number): Promise<void>;
  /** Deletes the topic and makes it anew with as many partitions. */
  makeAnew(topic: string): Promise<void>;
  close(): Promise<void>;
}

const SIGNALS = ["logs", "metrics", "events", "traces"];
const STAGES = ["raw", "dlq", "late", "processed"];
const START_DEADLINE_MS = 20_000;

const initialTopics = () =>
  new Map(
    [...SIGNALS.flatMap((signal) => STAGES.map((stage) => `${signal}.${stage}`)), "alerts"].map((topic) => [
      topic,
      3,
    ]),
  );

export async function startLocalKafka(dataDir: string): Promise<ChaosKafka> {
  const topics = initialTopics();
  const [port = 0] = await freePorts(1);
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    if (child && child.exitCode === null && child.signalCode === null) return;
    const specs = [...topics].flatMap(([name, partitions]) => ["--topic", `${name}:${partitions}`]);
    const started = fork(
      join(root, "dist", "local-kafka.mjs"),
      ["--port", String(port), "--data", dataDir, ...specs],
      { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] },
    );
    let complaint = "";
    started.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    child = started;
    const late = AbortSignal.timeout(START_DEADLINE_MS);
    await Promise.race([
      once(started, "message", { signal: late }),
      once(started, "exit", { signal: late }).then(() => {
        throw new Error(`local-kafka did not start: ${complaint}`);
      }),
    ]);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ended = child;
    child = undefined;
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, "exit");
    ended.kill(signal);
    await exit;
  }

  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    topics,
    kill: () => end("SIGKILL"),
    start,
    async grow(topic, partitions) {
      topics.set(topic, partitions);
      await end("SIGTERM");
      await start();
    },
    async makeAnew(topic) {
      await end("SIGTERM");
      const dir = join(dataDir, "topics");
      for (const entry of readdirSync(dir))
        if (entry.startsWith(`${topic}@`)) rmSync(join(dir, entry), { recursive: true });
      await start();
    },
    close: () => end("SIGKILL"),
  };
}

/** @throws where there is no Java and Maven: whoever asks looks at realKafka.available first */
export async function startBrokerBehindGateway(): Promise<ChaosKafka> {
  // Only here: it looks around for Java, and is loud where there is none.
  const { startRealKafka } = await import("../support/real-kafka.ts");
  const topics = initialTopics();
  const kafka = await startRealKafka();
  let gateway: LocalKafkaServer | undefined;
  try {
    for (const [name, partitions] of topics) await kafka.createTopic(name, partitions);
    gateway = await startGateway(kafka.bootstrap);
  } catch (error) {
    await kafka.close();
    throw error;
  }
  const { url, close } = gateway;
  const [host = "", port] = kafka.bootstrap.split(":");
  const cluster = { bootstrap: [{ host, port: Number(port) }], security: {} };
  return {
    url,
    topics,
    kill: () => kafka.kill(),
    start: () => kafka.start(),
    async grow(topic, partitions) {
      // A gateway grows the topics it is opened with.
      const grower = await openClusterGateway({ cluster, topics: [{ name: topic, partitions }] });
      await grower.close();
      topics.set(topic, partitions);
    },
    async makeAnew(topic) {
      const admin = await openClusterGateway({ cluster, dialect: "confluent-v3" });
      try {
        const list = await admin.fetch(new Request("http://gateway/v3/clusters"));
        const { data } = (await list.json()) as { data: { cluster_id: string }[] };
        const path = `http://gateway/v3/clusters/${data[0]?.cluster_id}/topics/${topic}`;
        const answer = await admin.fetch(new Request(path, { method: "DELETE" }));
        if (!answer.ok) throw new Error(`deleting ${topic}: ${answer.status} ${await answer.text()}`);
        await createWhenGone(() => kafka.createTopic(topic, topics.get(topic) ?? 3));
      } finally {
        await admin.close();
      }
    },
    async close() {
      await close();
      await kafka.close();
    },
  };
}

/** A deletion is done some time after its answer. */
async function createWhenGone(create: () => Promise<void>): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      return await create();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
