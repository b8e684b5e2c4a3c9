// The only reader of the environment. All faults are reported at once, each naming its setting and the mend; a
// wrong value never falls back silently, and no value of a setting is repeated in an error (it may be a secret).
import { settingsSchema, type Settings } from "./settings.ts";

export type ConfigFault = { setting: string; message: string };

/** Thrown when the environment cannot be used; `faults` names every setting that is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "misconfigured";
  readonly retryable = false;
  readonly faults: ConfigFault[];

  constructor(faults: ConfigFault[]) {
    super(`${faults.length} setting(s) wrong: ${faults.map((f) => `${f.setting} ${f.message}`).join("; ")}`);
    this.faults = faults;
  }
}

export type Config = Omit<
  Settings,
  | "KAFKA_ENABLED"
  | "KAFKA_BROKERS"
  | "KAFKA_BOOTSTRAP_SERVERS"
  | "KAFKA_LOG_TOPIC"
  | "KAFKA_METRICS_TOPIC"
  | "KAFKA_TOPIC_REQUESTS"
  | "KAFKA_TOPIC_LOGS"
  | "KAFKA_TOPIC_METRICS"
  | "KAFKA_TOPIC_EVENTS"
  | "KAFKA_TOPIC_TRACES"
> & {
  /** `host:port`; empty where the native protocol is not used. */
  brokers: string[];
  topicOverrides: Partial<Record<"logs" | "metrics" | "events" | "traces", string>>;
};

/**
 * Reads the settings out of an environment (a Worker's `env`, or `process.env`).
 * An empty string counts as unset, as `KAFKA_PARTITIONS= npm start` means it.
 *
 * @throws ConfigError with every fault at once
 */
export function readConfig(env: Record<string, unknown>): Config {
  const present: Record<string, unknown> = {};
  for (const name of Object.keys(settingsSchema.shape)) {
    const value = env[name];
    if (value !== undefined && value !== "") present[name] = value;
  }
  const parsed = settingsSchema.safeParse(present);
  const faults: ConfigFault[] = parsed.success
    ? []
    : parsed.error.issues.map((issue) => ({ setting: issue.path.join("."), message: issue.message }));
  faults.push(...conflicts(present));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);

  const {
    KAFKA_ENABLED,
    KAFKA_BROKERS,
    KAFKA_BOOTSTRAP_SERVERS,
    KAFKA_LOG_TOPIC,
    KAFKA_METRICS_TOPIC,
    KAFKA_TOPIC_REQUESTS,
    KAFKA_TOPIC_LOGS,
    KAFKA_TOPIC_METRICS,
    KAFKA_TOPIC_EVENTS,
    KAFKA_TOPIC_TRACES,
    ...settings
  } = parsed.data;
  const overrides = {
    logs: KAFKA_TOPIC_LOGS ?? KAFKA_LOG_TOPIC,
    metrics: KAFKA_TOPIC_METRICS ?? KAFKA_METRICS_TOPIC,
    events: KAFKA_TOPIC_EVENTS ?? KAFKA_TOPIC_REQUESTS,
    traces: KAFKA_TOPIC_TRACES,
  };
  const topicOverrides: Config["topicOverrides"] = {};
  for (const [signal, topic] of Object.entries(overrides)) {
    if (topic !== undefined) topicOverrides[signal as keyof typeof overrides] = topic;
  }
  if (KAFKA_ENABLED === "false") settings.KAFKA_TRANSPORT = "embedded";
  return { ...settings, brokers: KAFKA_BROKERS ?? KAFKA_BOOTSTRAP_SERVERS ?? [], topicOverrides };
}

/** Each is a Durable Object, and making a topic makes all of its own. */
const MAX_EMBEDDED_PARTITIONS = 500;

function conflicts(present: Record<string, unknown>): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const has = (name: string) => present[name] !== undefined;
  const fault = (setting: string, message: string) => faults.push({ setting, message });
  const isProduction = (present.ENVIRONMENT ?? "production") === "production";
  const transport = present.KAFKA_TRANSPORT ?? "rest-v2";
  const isEmbedded = present.KAFKA_ENABLED === "false" || transport === "embedded";
  const used = new Set(isEmbedded ? ["embedded"] : [transport, present.KAFKA_READ_TRANSPORT]);
  const usesRest = used.has("rest-v2") || used.has("rest-v3") || used.has("upstash");

  if (present.KAFKA_ENABLED === "false" && has("KAFKA_TRANSPORT") && transport !== "embedded") {
    fault("KAFKA_TRANSPORT", "must be `embedded` or unset because KAFKA_ENABLED is `false`");
  }
  if (isEmbedded && Number(present.KAFKA_PARTITIONS) > MAX_EMBEDDED_PARTITIONS) {
    fault("KAFKA_PARTITIONS", `must be at most ${MAX_EMBEDDED_PARTITIONS} without Kafka`);
  }
  if (isEmbedded && has("KAFKA_TOPIC_CLEANUP") && present.KAFKA_TOPIC_CLEANUP !== "delete") {
    fault("KAFKA_TOPIC_CLEANUP", "must be `delete` without Kafka");
  }
  if (isEmbedded && has("KAFKA_READ_TRANSPORT")) {
    fault("KAFKA_READ_TRANSPORT", "must be unset: without Kafka there is nothing else to read from");
  }
  if (!isEmbedded && transport === "rest-v3" && !has("KAFKA_READ_TRANSPORT")) {
    fault(
      "KAFKA_READ_TRANSPORT",
      "must be set because KAFKA_TRANSPORT=rest-v3 cannot read: `native`, or `rest-v2` where the proxy has both",
    );
  }
  if (isProduction && usesRest && !has("KAFKA_REST_URL")) {
    fault("KAFKA_REST_URL", "must be set in production; its default is local-kafka's address");
  }
  if (used.has("native") && !has("KAFKA_BROKERS") && !has("KAFKA_BOOTSTRAP_SERVERS")) {
    fault("KAFKA_BROKERS", "must be set for the native protocol: `host:port` of one broker or more");
  }
  const sasl = ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"];
  if (sasl.some(has)) {
    for (const name of sasl) {
      if (!has(name)) fault(name, `must be set because ${sasl.find(has)} is`);
    }
    if (isProduction && present.KAFKA_TLS !== "true") {
      fault("KAFKA_TLS", "must be `true` in production where there is a password");
    }
  }
  if (has("KAFKA_REST_USERNAME") !== has("KAFKA_REST_PASSWORD")) {
    const [missing, given] = has("KAFKA_REST_USERNAME")
      ? ["KAFKA_REST_PASSWORD", "KAFKA_REST_USERNAME"]
      : ["KAFKA_REST_USERNAME", "KAFKA_REST_PASSWORD"];
    fault(missing, `must be set because ${given} is`);
  }
  if (has("KAFKA_REST_TOKEN") && has("KAFKA_REST_USERNAME")) {
    fault("KAFKA_REST_TOKEN", "must not be set beside KAFKA_REST_USERNAME; choose one");
  }
  if (Number(present.RETENTION_WINDOWS_DAYS ?? 90) < Number(present.RETENTION_RAW_DAYS ?? 7)) {
    fault(
      "RETENTION_WINDOWS_DAYS",
      "must be at least RETENTION_RAW_DAYS: windows are kept no shorter than what they are made of",
    );
  }
  const twins = [
    ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"],
    ["KAFKA_TOPIC_LOGS", "KAFKA_LOG_TOPIC"],
    ["KAFKA_TOPIC_METRICS", "KAFKA_METRICS_TOPIC"],
    ["KAFKA_TOPIC_EVENTS", "KAFKA_TOPIC_REQUESTS"],
  ] as const;
  for (const [name, alias] of twins) {
    if (has(name) && has(alias) && present[name] !== present[alias]) {
      fault(alias, `contradicts ${name}; they are two names of one setting`);
    }
  }
  return faults;
}
