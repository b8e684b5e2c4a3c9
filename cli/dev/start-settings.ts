// What `npm start` runs, from the environment and `.dev.vars` (the environment wins, an empty value counts as unset).
// All faults come back at once, as values; a fault never repeats a setting's value, which may be a secret.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { ConfigError, readConfig, type Config } from "../../lib/config/config.ts";
import { settingsSchema } from "../../lib/config/settings.ts";

/** Not a secret: it stands in the documentation, and is refused outside development. */
const publicDevKey = "weir_dev_local00000000000000000000";

export type StartSettings = {
  port: number;
  dataDir: string;
  /** Absent when the worker is pointed at some other Kafka, or at none. */
  localKafka: { port: number } | undefined;
  /** For the terminal: what carries the records where local-kafka does not. */
  kafkaElsewhere: string;
  /** The key known to all, which only a worker in development takes. */
  devKey: string | undefined;
  /** With what key this machine's own metrics are posted; undefined leaves the agent out. */
  agentKey: string | undefined;
  /** Every Weir setting that is set, for the worker. */
  bindings: Record<string, string>;
};

export type StartFault = { setting: string; message: string };

export function readStartSettings(
  root: string,
  environment: Record<string, string | undefined>,
): { settings: StartSettings } | { faults: StartFault[] } {
  const values = withoutEmpty({ ...readDevVars(join(root, ".dev.vars")), ...withoutEmpty(environment) });
  const faults: StartFault[] = [];
  const port = readPort(values, "WEIR_PORT", 8787, faults);
  const kafkaPort = readPort(values, "WEIR_KAFKA_PORT", 18082, faults);
  if (port === kafkaPort && port !== 0)
    faults.push({ setting: "WEIR_KAFKA_PORT", message: "must differ from WEIR_PORT" });

  // A line for every request would bury what is told at the start; refusals are worth seeing.
  const bindings: Record<string, string> = { ENVIRONMENT: "development", LOG_REQUESTS: "errors" };
  for (const name of Object.keys(settingsSchema.shape)) {
    const value = values[name];
    if (value !== undefined) bindings[name] = value;
  }
  const elsewhere =
    (values["KAFKA_TRANSPORT"] ?? "rest-v2") !== "rest-v2" ||
    values["KAFKA_ENABLED"] === "false" ||
    values["KAFKA_REST_URL"] !== undefined;
  // As the worker will get them: the address of local-kafka is put in once it is known.
  const complete = elsewhere ? bindings : { ...bindings, KAFKA_REST_URL: `http://127.0.0.1:${kafkaPort}` };
  faults.push(...faultsOf(complete));
  if (faults.length > 0) return { faults };

  const devKey = bindings["ENVIRONMENT"] === "development" ? publicDevKey : undefined;
  return {
    settings: {
      port,
      dataDir: resolve(root, values["WEIR_DATA"] ?? ".weir"),
      localKafka: elsewhere ? undefined : { port: kafkaPort },
      kafkaElsewhere: describeKafka(readConfig(complete)),
      devKey,
      agentKey: values["WEIR_DEMO"] === "off" ? undefined : (devKey ?? values["WEIR_KEY"]),
      bindings,
    },
  };
}

function describeKafka({ KAFKA_TRANSPORT: transport, KAFKA_REST_URL: url, brokers }: Config): string {
  if (transport === "embedded") return "none: the log is kept in Durable Objects";
  return transport === "native" ? `${brokers.join()} (native)` : `${new URL(url).host} (${transport})`;
}

/** The worker would refuse these too, but only at its first request. */
function faultsOf(bindings: Record<string, string>): StartFault[] {
  try {
    readConfig(bindings);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

function readDevVars(path: string): Record<string, string | undefined> {
  try {
    return { ...parseEnv(readFileSync(path, "utf8")) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

function withoutEmpty(values: Record<string, string | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== ""),
  );
}

function readPort(
  values: Record<string, string | undefined>,
  setting: string,
  fallback: number,
  faults: StartFault[],
): number {
  const text = values[setting];
  if (text === undefined) return fallback;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  faults.push({ setting, message: "must be a port number, 0 (any free one) to 65535" });
  return fallback;
}
