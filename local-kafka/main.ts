/**
 * local-kafka as a process of its own. Says where it is ready on stdout and, when it was started with an IPC channel,
 * to its parent, without whom it does not go on. A start that fails is one line on stderr and exit code 1.
 */
import { defineCommand, runMain } from "citty";
import { DIALECT_NAMES } from "./app.ts";
import { openClusterGateway, openLocalKafka } from "./broker.ts";
import { type LocalKafkaServer, serveLocalKafka } from "./server.ts";
import { type Settings, parseSettings } from "./settings.ts";

const command = defineCommand({
  meta: {
    name: "local-kafka",
    description: "A REST proxy's HTTP API over a durable file log, or in front of a Kafka cluster.",
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
    username: { type: "string", description: "User that every request must name (HTTP Basic)" },
    password: { type: "string", description: "Password of that user; or LOCAL_KAFKA_PASSWORD" },
    topic: {
      type: "string",
      valueHint: "name:partitions",
      description: "Topic to make; repeatable (default: topics.json; none with --bootstrap)",
    },
    bootstrap: {
      type: "string",
      valueHint: "host:port,…",
      description: "Keep the records in this Kafka cluster instead of --data",
    },
    "sasl-mechanism": {
      type: "string",
      valueHint: "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
      description: "How to log in to the cluster",
    },
    "sasl-username": { type: "string", description: "User of the cluster" },
    "sasl-password": { type: "string", description: "Password of that user; better KAFKA_SASL_PASSWORD" },
    tls: { type: "boolean", description: "Speak TLS with the cluster" },
    "tls-ca": { type: "string", valueHint: "file", description: "Authorities to trust there, PEM" },
    "http-tls-cert": { type: "string", valueHint: "file", description: "Serve HTTPS: certificate, PEM" },
    "http-tls-key": { type: "string", valueHint: "file", description: "Serve HTTPS: key, PEM" },
  },
  async run({ rawArgs }) {
    try {
      // citty neither collects a repeated flag nor refuses an unknown one.
      await start(parseSettings(rawArgs, process.env));
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

async function start({ host, port, httpTls, log, ...settings }: Settings): Promise<void> {
  const options = { ...settings, onWarning: complain };
  const kafka =
    "cluster" in log
      ? await openClusterGateway({ ...options, cluster: log.cluster })
      : await openLocalKafka({ ...options, dataDir: log.dataDir });
  let server: LocalKafkaServer;
  try {
    server = await serveLocalKafka(kafka, host, port, httpTls);
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
