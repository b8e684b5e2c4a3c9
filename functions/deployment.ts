// What one deployment is made of, from its environment: settings, topics, groups. Read once an isolate; a wrong
// setting is told in full, once, and stops everything.
import { KeyCache } from "../lib/auth/d1-key-store.ts";
import { ConfigError, readConfig, type Config } from "../lib/config/config.ts";
import { PartitionCounts } from "../lib/kafka/partition-counts.ts";
import { topicName, type TopicNaming } from "../lib/kafka/topics.ts";
import { NATIVE_SIGNALS, type NativeSignal } from "../lib/telemetry/signal.ts";

export interface Deployment {
  config: Config;
  naming: TopicNaming;
  /** What is read, and by which group: one PartitionConsumer for each partition of each. */
  subscriptions: { group: string; topic: string; signal: NativeSignal }[];
  keys: KeyCache;
  partitionCounts: PartitionCounts;
}

const deployments = new WeakMap<Env, Deployment>();

/** @throws ConfigError */
export function deploymentOf(env: Env): Deployment {
  const known = deployments.get(env);
  if (known) return known;
  const config = readConfig({ ...env });
  const naming: TopicNaming = {
    template: config.TOPIC_TEMPLATE,
    org: config.TOPIC_ORG,
    domain: config.TOPIC_DOMAIN,
    env: config.ENVIRONMENT,
    overrides: config.topicOverrides,
  };
  const group = `${config.KAFKA_CONSUMER_GROUP}-storage`;
  const subscriptions = NATIVE_SIGNALS.map((signal) => ({
    group,
    topic: topicName(naming, signal, "raw"),
    signal,
  }));
  const signalOf = new Map<string, NativeSignal>();
  for (const { topic, signal } of subscriptions) {
    const other = signalOf.get(topic);
    if (other !== undefined) {
      const message = `names the topic of ${other}, too; a topic holds one signal`;
      throw new ConfigError([{ setting: `KAFKA_TOPIC_${signal.toUpperCase()}`, message }]);
    }
    signalOf.set(topic, signal);
  }
  const deployment: Deployment = {
    config,
    naming,
    subscriptions,
    keys: new KeyCache(),
    partitionCounts: new PartitionCounts(),
  };
  deployments.set(env, deployment);
  return deployment;
}
