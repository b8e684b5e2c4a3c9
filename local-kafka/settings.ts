/** The command line and environment of local-kafka, checked. Throws an Error of one line that says what to change. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { DIALECT_NAMES, type Dialect } from "./app.ts";
import type { TopicSpec } from "./broker.ts";
import type { Credentials } from "./http/basic-auth.ts";
import type { ClusterLogOptions } from "./log/cluster-log.ts";
import type { Tls } from "./server.ts";
import developmentTopics from "./topics.json";

const SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;

export interface Settings {
  host: string;
  port: number;
  dialect: Dialect;
  credentials: Credentials | undefined;
  httpTls: Tls | undefined;
  topics: TopicSpec[];
  /** Where the log is: a folder, or a cluster. */
  log: { dataDir: string } | { cluster: ClusterLogOptions };
}

const OPTIONS = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "18082" },
  data: { type: "string", default: ".weir/kafka" },
  dialect: { type: "string", default: "redpanda" },
  username: { type: "string" },
  password: { type: "string" },
  topic: { type: "string", multiple: true },
  bootstrap: { type: "string" },
  "sasl-mechanism": { type: "string" },
  "sasl-username": { type: "string" },
  "sasl-password": { type: "string" },
  tls: { type: "boolean", default: false },
  "tls-ca": { type: "string" },
  "http-tls-cert": { type: "string" },
  "http-tls-key": { type: "string" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

export function parseSettings(args: string[], env: NodeJS.ProcessEnv): Settings {
  const { values } = parseArgs({ args, options: OPTIONS });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) throw new Error(`--port ${values.port} is not a port`);
  const dialect = DIALECT_NAMES.find((name) => name === values.dialect);
  if (dialect === undefined)
    throw new Error(`--dialect ${values.dialect} is none of ${DIALECT_NAMES.join(", ")}`);
  const { username, password = env.LOCAL_KAFKA_PASSWORD } = values;
  if ((username === undefined) !== (password === undefined)) {
    throw new Error("--username and --password go together");
  }
  const credentials = username === undefined || password === undefined ? undefined : { username, password };
  if (credentials === undefined && !isLoopback(values.host)) {
    throw new Error(`--host ${values.host} can be reached from outside: give --username and --password, too`);
  }
  const cluster = parseCluster(values, env);
  const defaultTopics = cluster === undefined ? developmentTopics : [];
  return {
    host: values.host,
    port,
    dialect,
    credentials,
    httpTls: parseHttpTls(values),
    topics:
      values.topic?.map(parseTopic) ??
      defaultTopics.map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })),
    log: cluster === undefined ? { dataDir: values.data } : { cluster },
  };
}

function parseCluster(values: Values, env: NodeJS.ProcessEnv): ClusterLogOptions | undefined {
  const { bootstrap, "sasl-mechanism": mechanism, "sasl-username": username } = values;
  const ca = values["tls-ca"];
  if (bootstrap === undefined) {
    if (mechanism !== undefined || username !== undefined || values.tls || ca !== undefined) {
      throw new Error("--sasl-… and --tls are for a cluster: give --bootstrap, too");
    }
    return undefined;
  }
  // The environment: a command line can be read by everybody on the machine.
  const password = values["sasl-password"] ?? env.KAFKA_SASL_PASSWORD;
  const security: ClusterLogOptions["security"] = {};
  if (mechanism !== undefined || username !== undefined) {
    const known = SASL_MECHANISMS.find((each) => each === mechanism);
    if (known === undefined) throw new Error(`--sasl-mechanism must be one of ${SASL_MECHANISMS.join(", ")}`);
    if (username === undefined || password === undefined) {
      throw new Error("--sasl-mechanism needs --sasl-username and KAFKA_SASL_PASSWORD or --sasl-password");
    }
    security.sasl = { mechanism: known, username, password };
  }
  if (values.tls || ca !== undefined) {
    security.tls = ca === undefined ? {} : { ca: readPem("--tls-ca", ca) };
    security.tlsServerName = true;
  }
  return { bootstrap: bootstrap.split(",").map(parseAddress), security };
}

function parseAddress(text: string): { host: string; port: number } {
  const [, host, port] = /^\[?([^\s\]]+?)\]?:(\d{1,5})$/.exec(text.trim()) ?? [];
  if (host === undefined || Number(port) > 65_535) throw new Error(`--bootstrap ${text} is not host:port`);
  return { host, port: Number(port) };
}

function parseHttpTls(values: Values): Tls | undefined {
  const { "http-tls-cert": cert, "http-tls-key": key } = values;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new Error("--http-tls-cert and --http-tls-key go together");
  }
  return { cert: readPem("--http-tls-cert", cert), key: readPem("--http-tls-key", key) };
}

function readPem(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${flag} ${path} cannot be read`, { cause: error });
  }
}

function parseTopic(text: string): TopicSpec {
  const [, name, partitions] = /^([a-zA-Z0-9._-]+):(\d+)$/.exec(text) ?? [];
  if (name === undefined) throw new Error(`--topic ${text} is not name:partitions`);
  return { name, partitions: Number(partitions) };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
