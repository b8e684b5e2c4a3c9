// What one deployment is made of, from its environment: settings, topics, groups. Read once an isolate; a wrong
// setting is told in full, once, and stops everything.
import { DEV_TENANT } from "../lib/auth/api-key.ts";
import { KeyCache } from "../lib/auth/d1-key-store.ts";
import { ConfigError, readConfig, type Config } from "../lib/config/config.ts";
import { SeriesLimiter } from "../lib/ingest/cardinality/series-limiter.ts";
import { HotKeys } from "../lib/ingest/hot-keys.ts";
import type { EdgeRules } from "../lib/ingest/prepared.ts";
import type { QuotaOptions } from "../lib/ingest/quota/limits.ts";
import { createScrubber } from "../lib/ingest/scrub/scrubber.ts";
import { PartitionCounts } from "../lib/kafka/partition-counts.ts";
import { topicName, type TopicNaming } from "../lib/kafka/topics.ts";
import { SIGNALS, type Signal } from "../lib/telemetry/signal.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

export interface Deployment {
  config: Config;
  naming: TopicNaming;
  /** What is read, and by which group: one PartitionConsumer for each partition of each. */
  subscriptions: { group: string; topic: string; signal: Signal }[];
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
  const group = `${config.KAFKA_CONSUMER_GROUP}-storage`;
  const subscriptions = SIGNALS.map((signal) => ({
    group,
    topic: topicName(naming, signal, "raw"),
    signal,
  }));
  const signalOf = new Map<string, Signal>();
  for (const { topic, signal } of subscriptions) {
    const other = signalOf.get(topic);
    if (other !== undefined) {
      const message = `names the topic of ${other}, too; a topic holds one signal`;
      throw new ConfigError([{ setting: `KAFKA_TOPIC_${signal.toUpperCase()}`, message }]);
    }
    signalOf.set(topic, signal);
  }
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
    subscriptions,
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
