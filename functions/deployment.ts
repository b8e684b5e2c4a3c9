// What one deployment is made of, from its environment: settings, topics, groups, windows. Read once an isolate; a wrong
// setting is told in full, once, and stops everything.
import { DEV_TENANT } from "../lib/auth/api-key.ts";
import { KeyCache } from "../lib/auth/d1-key-store.ts";
import { ConfigError, readConfig, type Config, type ConfigFault } from "../lib/config/config.ts";
import { SeriesLimiter } from "../lib/ingest/cardinality/series-limiter.ts";
import { HotKeys } from "../lib/ingest/hot-keys.ts";
import type { EdgeRules } from "../lib/ingest/prepared.ts";
import type { QuotaOptions } from "../lib/ingest/quota/limits.ts";
import { createScrubber } from "../lib/ingest/scrub/scrubber.ts";
import { PartitionCounts } from "../lib/kafka/partition-counts.ts";
import { topicName, type TopicNaming } from "../lib/kafka/topics.ts";
import type { ProcessOptions } from "../lib/processors/process-rows.ts";
import { parseServices } from "../lib/processors/services.ts";
import { parseGroups, type GroupDefinition } from "../lib/stream/groups-setting.ts";
import { SIGNALS, type Signal } from "../lib/telemetry/signal.ts";
import { parseWindows, type WindowDefinition } from "../lib/windows/definition.ts";
import { handlers } from "./handlers/index.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

export interface Deployment {
  config: Config;
  naming: TopicNaming;
  /** The topics that are read. */
  rawTopics: ReadonlyMap<string, Signal>;
  /** All that there are by the settings; in which epoch each reads the registry says (subscriptions.ts). */
  groups: readonly GroupDefinition[];
  /** The group whose results queries see. */
  storageGroup: string;
  windows: readonly WindowDefinition[];
  /** What becomes of logs and events before they are stored. */
  processing: ProcessOptions;
  keys: KeyCache;
  /** Null: no quota. */
  quotaOf(tenant: string): QuotaOptions | null;
  /** The rules of the edge, but for the way to the directories of series, which an invocation has. */
  edge: Omit<EdgeRules, "series"> & { series: Omit<EdgeRules["series"], "directories"> };
  partitionCounts: PartitionCounts;
}

const deployments = new WeakMap<Env, Deployment>();

/** @throws ConfigError */
export function deploymentOf(env: Env): Deployment {
  const known = deployments.get(env);
  if (known) return known;
  const config = readConfig({ ...env });
  if (config.STORAGE === "postgres") hyperdriveUrl(env);
  const naming: TopicNaming = {
    template: config.TOPIC_TEMPLATE,
    org: config.TOPIC_ORG,
    domain: config.TOPIC_DOMAIN,
    env: config.ENVIRONMENT,
    overrides: config.topicOverrides,
  };
  const { rawTopics, groups, windows, processing } = readingOf(config, naming);
  const scrubber = createScrubber(config.SCRUB_RULES, config.SCRUB_SALT);
  if (!scrubber.ok) {
    throw new ConfigError(
      scrubber.error.map(({ path, message }) => ({
        setting: "SCRUB_RULES",
        message: path === "" ? message : `${path} ${message}`,
      })),
    );
  }
  const quota: QuotaOptions = {
    requestsPerSecond: config.QUOTA_REQUESTS_PER_SECOND,
    burst: config.QUOTA_BURST,
    recordsPerSecond: config.QUOTA_RECORDS_PER_SECOND,
    bytesPerSecond: config.QUOTA_BYTES_PER_SECOND,
  };
  const isDevelopment = config.ENVIRONMENT === "development";
  const deployment: Deployment = {
    config,
    naming,
    rawTopics,
    groups,
    storageGroup: storageGroupOf(config),
    windows,
    processing,
    keys: new KeyCache(),
    quotaOf: (tenant) =>
      isDevelopment && tenant === DEV_TENANT && config.QUOTA_IN_DEVELOPMENT === "off" ? null : quota,
    edge: {
      keyStrategy: config.KEY_STRATEGY,
      scrubber: scrubber.value,
      hotKeys:
        config.HOT_KEYS === "off"
          ? undefined
          : new HotKeys({
              recordsPerSecond: config.HOT_KEY_RECORDS_PER_SECOND,
              bytesPerSecond: config.HOT_KEY_BYTES_PER_SECOND,
            }),
      series: {
        limiter: new SeriesLimiter(),
        options: { mode: config.CARDINALITY, limit: config.CARDINALITY_LIMIT },
      },
    },
    partitionCounts: new PartitionCounts(),
  };
  deployments.set(env, deployment);
  return deployment;
}

const storageGroupOf = ({ KAFKA_CONSUMER_GROUP: prefix }: Config) => `${prefix}-storage`;

/** @throws ConfigError with every fault at once */
function readingOf(
  config: Config,
  naming: TopicNaming,
): Pick<Deployment, "rawTopics" | "groups" | "windows" | "processing"> {
  const faults: ConfigFault[] = [];
  const rawTopics = new Map<string, Signal>();
  for (const signal of SIGNALS) {
    const topic = topicName(naming, signal, "raw");
    const other = rawTopics.get(topic);
    if (other !== undefined) {
      const message = `names the topic of ${other}, too; a topic holds one signal`;
      faults.push({ setting: `KAFKA_TOPIC_${signal.toUpperCase()}`, message });
    }
    rawTopics.set(topic, signal);
  }
  const windows = parseWindows(config.WINDOWS);
  if (!windows.ok) faults.push({ setting: "WINDOWS", message: windows.error });
  const further = parseGroups(config.CONSUMER_GROUPS ?? "[]", config.KAFKA_CONSUMER_GROUP);
  if (!further.ok) for (const message of further.error) faults.push({ setting: "CONSUMER_GROUPS", message });
  const services = parseServices(config.SERVICES);
  if (!services.ok)
    for (const { path, message } of services.error)
      faults.push({ setting: "SERVICES", message: path === "" ? message : `${path} ${message}` });
  if (faults.length > 0 || !windows.ok || !further.ok || !services.ok) throw new ConfigError(faults);
  return {
    rawTopics,
    groups: [...builtInGroups(config), ...further.value],
    windows: windows.value,
    processing: {
      services: services.value,
      handlers: new Map(Object.entries(handlers)),
      logsProcessed: config.LOGS_PROCESSED === "on",
    },
  };
}

function builtInGroups(config: Config): GroupDefinition[] {
  const startAt = config.KAFKA_AUTO_OFFSET_RESET;
  const storage: GroupDefinition = {
    name: storageGroupOf(config),
    does: "storage",
    signals: SIGNALS,
    startAt,
    isShown: true,
  };
  if (config.ALERTING === "off") return [storage];
  const name = `${config.KAFKA_CONSUMER_GROUP}-alerting`;
  return [storage, { name, does: "alerting", signals: ["metrics"], startAt, isShown: false }];
}
