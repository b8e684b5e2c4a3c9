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
  | "KAFKA_LOG_TOPIC"
  | "KAFKA_METRICS_TOPIC"
  | "KAFKA_TOPIC_REQUESTS"
  | "KAFKA_TOPIC_LOGS"
  | "KAFKA_TOPIC_METRICS"
  | "KAFKA_TOPIC_EVENTS"
  | "KAFKA_TOPIC_TRACES"
> & { topicOverrides: Partial<Record<"logs" | "metrics" | "events" | "traces", string>> };

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
  return { ...settings, topicOverrides };
}

function conflicts(present: Record<string, unknown>): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const has = (name: string) => present[name] !== undefined;
  if ((present.ENVIRONMENT ?? "production") === "production" && !has("KAFKA_REST_URL")) {
    faults.push({
      setting: "KAFKA_REST_URL",
      message: "must be set in production; its default is local-kafka's address",
    });
  }
  if (has("KAFKA_REST_USERNAME") !== has("KAFKA_REST_PASSWORD")) {
    const [missing, given] = has("KAFKA_REST_USERNAME")
      ? ["KAFKA_REST_PASSWORD", "KAFKA_REST_USERNAME"]
      : ["KAFKA_REST_USERNAME", "KAFKA_REST_PASSWORD"];
    faults.push({ setting: missing, message: `must be set because ${given} is` });
  }
  if (has("KAFKA_REST_TOKEN") && has("KAFKA_REST_USERNAME")) {
    faults.push({
      setting: "KAFKA_REST_TOKEN",
      message: "must not be set beside KAFKA_REST_USERNAME; choose one",
    });
  }
  const twins = [
    ["KAFKA_TOPIC_LOGS", "KAFKA_LOG_TOPIC"],
    ["KAFKA_TOPIC_METRICS", "KAFKA_METRICS_TOPIC"],
    ["KAFKA_TOPIC_EVENTS", "KAFKA_TOPIC_REQUESTS"],
  ] as const;
  for (const [name, alias] of twins) {
    if (has(name) && has(alias) && present[name] !== present[alias]) {
      faults.push({ setting: alias, message: `contradicts ${name}; they are two names of one setting` });
    }
  }
  return faults;
}
