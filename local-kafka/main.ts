/**
 * local-kafka as a process of its own. Says where it is ready on stdout and, when it was started with an IPC channel,
 * to its parent, without whom it does not go on. A start that fails is one line on stderr and exit code 1.
 */
import { parseArgs } from "node:util";
import { defineCommand, runMain } from "citty";
import { DIALECT_NAMES, type Dialect } from "./app.ts";
import { type TopicSpec, openLocalKafka } from "./broker.ts";
import { type LocalKafkaServer, serveLocalKafka } from "./server.ts";
import developmentTopics from "./topics.json";

interface Settings {
  host: string;
  port: number;
  dataDir: string;
  dialect: Dialect;
  credentials?: { username: string; password: string };
  topics: TopicSpec[];
}

const command = defineCommand({
  meta: {
    name: "local-kafka",
    description: "A local Kafka with a REST proxy's HTTP API over a durable file log.",
  },
  args: {
    host: { type: "string", default: "127.0.0.1", description: "Address to listen on" },
    port: { type: "string", default: "18082", description: "Port to listen on; 0 takes a free one" },
    data: { type: "string", default: ".weir/kafka", description: "Data directory" },
    dialect: {
      type: "string",
      default: "redpanda",
      valueHint: DIALECT_NAMES.join("|"),
      description: "Whose HTTP API to speak",
    },
    username: { type: "string", description: "User that the Upstash dialect asks for" },
    password: { type: "string", description: "Password of that user" },
    topic: {
      type: "string",
      valueHint: "name:partitions",
      description: "Topic to make; repeatable (default: topics.json)",
    },
  },
  async run({ rawArgs }) {
    try {
      await start(parseSettings(rawArgs));
    } catch (error) {
      complain((error as Error).message);
      process.exitCode = 1;
      process.disconnect?.();
    }
  },
});

function complain(message: string): void {
  process.stderr.write(`local-kafka: ${message}\n`);
}

/** citty neither collects a repeated flag nor refuses an unknown one. */
function parseSettings(rawArgs: string[]): Settings {
  const { values } = parseArgs({
    args: rawArgs,
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "18082" },
      data: { type: "string", default: ".weir/kafka" },
      dialect: { type: "string", default: "redpanda" },
      username: { type: "string" },
      password: { type: "string" },
      topic: { type: "string", multiple: true },
    },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) throw new Error(`--port ${values.port} is not a port`);
  const dialect = DIALECT_NAMES.find((name) => name === values.dialect);
  if (dialect === undefined)
    throw new Error(`--dialect ${values.dialect} is none of ${DIALECT_NAMES.join(", ")}`);
  const { username, password } = values;
  if ((username === undefined) !== (password === undefined)) {
    throw new Error("--username and --password go together");
  }
  return {
    ...(username === undefined || password === undefined ? {} : { credentials: { username, password } }),
    host: values.host,
    port,
    dataDir: values.data,
    dialect,
    topics:
      values.topic?.map(parseTopic) ??
      developmentTopics.map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })),
  };
}

function parseTopic(text: string): TopicSpec {
  const [, name, partitions] = /^([a-zA-Z0-9._-]+):(\d+)$/.exec(text) ?? [];
  if (name === undefined) throw new Error(`--topic ${text} is not name:partitions`);
  return { name, partitions: Number(partitions) };
}

async function start({ host, port, ...options }: Settings): Promise<void> {
  const kafka = await openLocalKafka({ ...options, onWarning: complain });
  let server: LocalKafkaServer;
  try {
    server = await serveLocalKafka(kafka, host, port);
  } catch (error) {
    await kafka.close();
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(`port ${port} of ${host} is taken by another program`, { cause: error });
  }
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        complain(`closing failed: ${String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("disconnect", stop);
  // Whoever started it may have gone while it was loading.
  if (process.send && !process.connected) return stop();
  process.send?.({ type: "ready", url: server.url });
  process.stdout.write(`local-kafka ready on ${server.url}\n`);
}

await runMain(command);
