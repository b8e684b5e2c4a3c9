// A real Apache Kafka on this machine, one node, without Docker: for tests of what only a real broker can show. Ports and
// data are its own; nothing of it outlives the test process. Needs Java 17 and Maven: without them suites are skipped
// with `realKafka.why`, except where CI=true is set, where importing this throws.
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installKafka, missingForKafka } from "../../cli/install-kafka.mjs";
import { hasKcat } from "./kcat.ts";
import { createTopic, deleteRecords, isServing } from "./real-kafka/admin-calls.ts";
import { BrokerProcess, runJava, runTool } from "./real-kafka/java-process.ts";
import { freePorts } from "./real-kafka/ports.ts";
import { type KafkaListener, SASL_MECHANISMS, serverProperties } from "./real-kafka/properties.ts";

const START_DEADLINE_MS = 60_000;

export interface RealKafkaOptions {
  /** A second plain listener that tells its clients to come to this port, where a proxy (tcp-faults.ts) listens. */
  advertisedPort?: number;
  /** A SASL listener without TLS. */
  sasl?: boolean;
  /** A SASL listener with TLS. */
  tls?: boolean;
  /** More of server.properties. */
  config?: Readonly<Record<string, string>>;
}

export interface RealKafka {
  /** host:port of the plain listener, which no proxy stands before. */
  readonly bootstrap: string;
  /** Where the proxy of `advertisedPort` is to forward to; clients bootstrap from the proxy's own port. */
  readonly proxiedPort: number | undefined;
  /** One user, known to every mechanism. */
  readonly sasl: { bootstrap: string; mechanisms: readonly string[]; username: string; password: string };
  readonly tls: { bootstrap: string; caPem: string };
  createTopic(name: string, partitions: number, config?: Readonly<Record<string, string>>): Promise<void>;
  /** Records below `before` go. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>;
  /** Ends it in good order; resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data; resolves when it serves. */
  start(): Promise<void>;
  /** Kills it and removes its data. */
  close(): Promise<void>;
}

export const realKafka: { available: boolean; why: string } = lookAround();

function lookAround(): { available: boolean; why: string } {
  const missing = [...missingForKafka(), ...(hasKcat ? [] : ["kcat"])];
  if (missing.length === 0) return { available: true, why: "" };
  const why = `needs ${missing.join(", ")} (Debian: default-jdk-headless maven kcat)`;
  if (process.env.CI === "true") throw new Error(`the real-Kafka suites may not be skipped in CI: ${why}`);
  process.stderr.write(`real-Kafka suites skipped: ${why}\n`);
  return { available: false, why };
}

export async function startRealKafka(options: RealKafkaOptions = {}): Promise<RealKafka> {
  const jars = await installKafka();
  const dir = await mkdtemp(join(tmpdir(), "weir-real-kafka-"));
  const removeDir = (): Promise<void> => rm(dir, { recursive: true, force: true, maxRetries: 5 });
  const username = "weir";
  const password = randomUUID();
  let broker: BrokerProcess | undefined;
  try {
    const [controllerPort = 0, direct = 0, proxied = 0, sasl = 0, tls = 0] = await freePorts(5);
    const listeners: KafkaListener[] = [
      { name: "DIRECT", protocol: "PLAINTEXT", port: direct, advertisedPort: direct },
    ];
    const { advertisedPort } = options;
    if (advertisedPort !== undefined) {
      listeners.push({ name: "PROXIED", protocol: "PLAINTEXT", port: proxied, advertisedPort });
    }
    if (options.sasl) {
      listeners.push({ name: "SASL", protocol: "SASL_PLAINTEXT", port: sasl, advertisedPort: sasl });
    }
    if (options.tls) listeners.push({ name: "TLS", protocol: "SASL_SSL", port: tls, advertisedPort: tls });
    const certificate = options.tls ? await makeCertificate(dir, password) : undefined;
    const properties = join(dir, "server.properties");
    const dataDir = join(dir, "data");
    const keystore = certificate && { path: certificate.path, password };
    await writeFile(
      properties,
      serverProperties({
        dataDir,
        controllerPort,
        listeners,
        username,
        password,
        keystore,
        extra: options.config ?? {},
      }),
    );
    const users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${username},password=${password}]`,
    ]);
    // Random bytes in URL-safe base64, which may not begin with a dash.
    const clusterId = `w${randomUUID().replaceAll("-", "").slice(0, 20)}A`;
    const hasSasl = options.sasl === true || options.tls === true;
    const format = ["format", "-t", clusterId, "-c", properties];
    await runJava(jars, "kafka.tools.StorageTool", hasSasl ? [...format, ...users] : format);

    const start = async (): Promise<void> => {
      if (broker?.isRunning) return;
      const started = await BrokerProcess.start(jars, properties, dir);
      broker = started;
      await started.orEnd(untilServing(direct));
    };
    const asked = <T>(part: T, present: boolean | undefined, name: string): T => {
      if (!present) throw new Error(`startRealKafka was not asked for ${name}`);
      return part;
    };
    await start();
    return {
      bootstrap: `127.0.0.1:${direct}`,
      proxiedPort: advertisedPort === undefined ? undefined : proxied,
      get sasl() {
        const parts = { bootstrap: `127.0.0.1:${sasl}`, mechanisms: SASL_MECHANISMS, username, password };
        return asked(
          { ...parts, bootstrap: options.sasl ? parts.bootstrap : `127.0.0.1:${tls}` },
          hasSasl,
          "sasl",
        );
      },
      get tls() {
        return asked({ bootstrap: `127.0.0.1:${tls}`, caPem: certificate?.caPem ?? "" }, options.tls, "tls");
      },
      createTopic: (name, partitions, config = {}) => createTopic(direct, name, partitions, config),
      deleteRecords: (topic, partition, before) => deleteRecords(direct, topic, partition, before),
      stop: async () => broker?.end("SIGTERM"),
      kill: async () => broker?.end("SIGKILL"),
      start,
      async close() {
        await broker?.end("SIGKILL");
        await removeDir();
      },
    };
  } catch (error) {
    await broker?.end("SIGKILL");
    await removeDir();
    throw error;
  }
}

async function untilServing(port: number): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isServing(port))) {
    if (Date.now() > deadline) throw new Error(`Kafka did not answer within ${START_DEADLINE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A key for 127.0.0.1 and localhost whose certificate signs itself, and so is its own authority. */
async function makeCertificate(dir: string, password: string): Promise<{ path: string; caPem: string }> {
  const path = join(dir, "broker.p12");
  const pem = join(dir, "ca.pem");
  const store = ["-keystore", path, "-storetype", "PKCS12", "-storepass", password, "-alias", "broker"];
  const key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "30"];
  const subject = ["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c"];
  await runTool("keytool", ["-genkeypair", ...store, ...key, ...subject]);
  await runTool("keytool", ["-exportcert", ...store, "-rfc", "-file", pem]);
  return { path, caPem: await readFile(pem, "utf8") };
}
