// What the deployment's topics should be, and how what is there differs. Pure. What a transport does not tell counts as
// unknown, never as drift; nothing here changes a topic.
import { allTopics, type TopicNaming } from "./topics.ts";
import type { TopicDescription, TopicSpec } from "./transport.ts";

export interface TopicSettings {
  KAFKA_PARTITIONS?: number | undefined;
  KAFKA_TOPIC_REPLICATION?: number | undefined;
  KAFKA_TOPIC_MIN_INSYNC?: number | undefined;
  KAFKA_TOPIC_RETENTION_MS: number;
  KAFKA_TOPIC_RETENTION_BYTES: number;
  KAFKA_TOPIC_CLEANUP: string;
  KAFKA_TOPIC_COMPRESSION: string;
}

const DEFAULT_PARTITIONS = 3;

export interface Drift {
  /** `partitions`, `replication.factor`, or one of Kafka's topic settings. */
  setting: string;
  wanted: string;
  found: string;
  /** True for more partitions than wanted: nothing is lost by them, and Kafka could not take them away. */
  harmless: boolean;
}

export interface TopicPlan {
  name: string;
  state: "missing" | "ok" | "drifted";
  drift: Drift[];
  /** Wanted settings that the transport does not tell. */
  unknown: string[];
  /** Partitions with fewer replicas in sync than replicas; null where the transport does not tell. */
  under_replicated: number[] | null;
}

/** The topics as the settings want them, in allTopics' order. */
export function desiredTopics(naming: TopicNaming, settings: TopicSettings): TopicSpec[] {
  const { KAFKA_TOPIC_REPLICATION: replicas, KAFKA_TOPIC_MIN_INSYNC: minInsync } = settings;
  const config = {
    "retention.ms": String(settings.KAFKA_TOPIC_RETENTION_MS),
    "retention.bytes": String(settings.KAFKA_TOPIC_RETENTION_BYTES),
    "cleanup.policy": settings.KAFKA_TOPIC_CLEANUP,
    "compression.type": settings.KAFKA_TOPIC_COMPRESSION,
    ...(minInsync === undefined ? {} : { "min.insync.replicas": String(minInsync) }),
  };
  // Two signals may have been given one topic by KAFKA_TOPIC_*; it is still one topic.
  return [...new Set(allTopics(naming))].map((name) => ({
    name,
    partitions: settings.KAFKA_PARTITIONS ?? DEFAULT_PARTITIONS,
    ...(replicas === undefined ? {} : { replicationFactor: replicas }),
    config,
  }));
}

/**
 * @param found undefined: the topic is not there
 * @param isCounted false where the partition count comes from our own settings, and so proves nothing
 */
export function planTopic(
  spec: TopicSpec,
  found: TopicDescription | undefined,
  isCounted: boolean,
): TopicPlan {
  const { name } = spec;
  if (!found) return { name, state: "missing", drift: [], unknown: [], under_replicated: null };
  const drift: Drift[] = [];
  const unknown: string[] = [];
  const compare = (setting: string, wanted: string, value: string | undefined, harmless = false) => {
    if (value === undefined) unknown.push(setting);
    else if (canonical(setting, value) !== canonical(setting, wanted))
      drift.push({ setting, wanted, found: value, harmless });
  };

  const count = found.partitions.length;
  compare(
    "partitions",
    String(spec.partitions),
    isCounted ? String(count) : undefined,
    count > spec.partitions,
  );
  if (spec.replicationFactor !== undefined)
    compare(
      "replication.factor",
      String(spec.replicationFactor),
      replicationOf(found, spec.replicationFactor),
    );
  for (const [setting, wanted] of Object.entries(spec.config))
    compare(setting, wanted, found.config?.[setting]);
  return {
    name,
    state: drift.length > 0 ? "drifted" : "ok",
    drift,
    unknown,
    under_replicated: underReplicated(found),
  };
}

/** `compact,delete` and `delete, compact` are one policy to Kafka. */
function canonical(setting: string, value: string): string {
  if (setting !== "cleanup.policy") return value;
  return value
    .split(",")
    .map((one) => one.trim())
    .toSorted()
    .join();
}

/** The replica count of the first partition that has not the wanted one, else the wanted one. */
function replicationOf({ partitions }: TopicDescription, wanted: number): string | undefined {
  const told = partitions.flatMap(({ replicas }) => (replicas === undefined ? [] : [replicas]));
  if (told.length === 0) return undefined;
  return String(told.find((replicas) => replicas !== wanted) ?? wanted);
}

function underReplicated({ partitions }: TopicDescription): number[] | null {
  const told = partitions.filter(
    ({ replicas, inSyncReplicas }) => replicas !== undefined && inSyncReplicas !== undefined,
  );
  if (told.length === 0) return null;
  return told
    .filter(({ replicas = 0, inSyncReplicas = 0 }) => inSyncReplicas < replicas)
    .map(({ partition }) => partition);
}

/** How the topics are made with the clusters' own tools, for a transport that cannot; ready to paste. */
export function creationCommands(specs: readonly TopicSpec[]): { tool: string; command: string }[] {
  const [first] = specs;
  if (!first) return [];
  // All topics of a deployment are made alike (desiredTopics), so that one command makes them all.
  const { partitions, replicationFactor, config } = first;
  const names = specs.map(({ name }) => name).join(" ");
  const settings = (flag: string) =>
    Object.entries(config).map(([setting, value]) => `${flag} ${setting}=${value}`);
  const kafka = [
    "kafka-topics.sh --bootstrap-server HOST:9092 --create --if-not-exists --topic $t",
    `--partitions ${partitions}`,
    ...(replicationFactor === undefined ? [] : [`--replication-factor ${replicationFactor}`]),
    ...settings("--config"),
  ];
  const rpk = [
    `rpk topic create ${names} --if-not-exists --partitions ${partitions}`,
    ...(replicationFactor === undefined ? [] : [`--replicas ${replicationFactor}`]),
    ...settings("--topic-config"),
  ];
  return [
    { tool: "rpk", command: rpk.join(" ") },
    { tool: "kafka-topics.sh", command: `for t in ${names}; do ${kafka.join(" ")}; done` },
  ];
}
