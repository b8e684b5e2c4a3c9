/** Making, changing and deleting a cluster's topics. A change is there for every later call once it resolves. */
import {
  IncrementalAlterConfigTypes,
  createPartitionsV3,
  createTopicsV7,
  deleteRecordsV2,
  deleteTopicsV6,
  describeConfigsV4,
  incrementalAlterConfigsV1,
} from "@platformatic/kafka";
import { KafkaError } from "../kafka-error.ts";
import type { Retention, TopicDescription, TopicSettings } from "../log.ts";
import type { ClusterClient } from "./cluster-client.ts";
import { check } from "./cluster-errors.ts";
import { CALL_TIMEOUT_MS } from "./deadline.ts";

/** The cluster's own default.replication.factor. */
const DEFAULT_REPLICATION = -1;
/** Below what the gateway waits itself. */
const ADMIN_TIMEOUT_MS = CALL_TIMEOUT_MS - 500;
const TOPIC_RESOURCE = 2;
const MS = "retention.ms";
const BYTES = "retention.bytes";

export async function createTopic(client: ClusterClient, settings: TopicSettings): Promise<TopicDescription> {
  const { name, partitions } = settings;
  const request = {
    name,
    numPartitions: partitions,
    replicationFactor: DEFAULT_REPLICATION,
    assignments: [],
    configs: [...retentionConfigs(settings)].map(([key, value]) => ({ name: key, value })),
  };
  const { topics } = await client.any((call) =>
    call(createTopicsV7.api, [[request], ADMIN_TIMEOUT_MS, false]),
  );
  for (const { errorCode, errorMessage } of topics) check(errorCode, errorMessage);
  await client.untilTopic(name, (topic) => topic?.partitions === partitions);
  return { name, partitions, incarnation: topics[0]?.topicId ?? "" };
}

export async function growTopic(client: ClusterClient, name: string, count: number): Promise<void> {
  if ((await client.topic(name))?.partitions === count) return;
  // No assignments: the cluster places the new partitions. The library's types leave null out.
  const request = { name, count, assignments: null as never };
  const { results } = await client.any((call) =>
    call(createPartitionsV3.api, [[request], ADMIN_TIMEOUT_MS, false]),
  );
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  await client.untilTopic(name, (topic) => topic?.partitions === count);
}

export async function deleteTopic(client: ClusterClient, name: string): Promise<void> {
  const { responses } = await client.any((call) => call(deleteTopicsV6.api, [[{ name }], ADMIN_TIMEOUT_MS]));
  for (const { errorCode, errorMessage } of responses) check(errorCode, errorMessage);
  await client.untilTopic(name, (topic) => topic === undefined);
}

export async function readRetention(client: ClusterClient, name: string): Promise<Retention> {
  const resource = {
    resourceType: TOPIC_RESOURCE,
    resourceName: name,
    configurationKeys: [MS, BYTES],
  };
  const { results } = await client.any((call) => call(describeConfigsV4.api, [[resource], false, false]));
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  const valueOf = (key: string): number => {
    const value = results[0]?.configs.find((config) => config.name === key)?.value;
    if (value === undefined || value === null)
      throw new KafkaError("unknown_server_error", `${name} tells no ${key}`);
    return Number(value);
  };
  return { retentionMs: valueOf(MS), retentionBytes: valueOf(BYTES) };
}

export async function writeRetention(
  client: ClusterClient,
  name: string,
  retention: Retention,
): Promise<void> {
  const configs = [...retentionConfigs(retention)].map(([key, value]) => ({
    name: key,
    configOperation: IncrementalAlterConfigTypes.SET,
    value,
  }));
  const resource = { resourceType: TOPIC_RESOURCE, resourceName: name, configs };
  const { responses } = await client.any((call) => call(incrementalAlterConfigsV1.api, [[resource], false]));
  for (const { errorCode, errorMessage } of responses) check(errorCode, errorMessage);
}

export async function deleteRecords(
  client: ClusterClient,
  name: string,
  partition: number,
  before: number,
): Promise<void> {
  const request = { name, partitions: [{ partitionIndex: partition, offset: BigInt(before) }] };
  await client.leader(name, partition, async (call) => {
    const { topics } = await call(deleteRecordsV2.api, [[request], ADMIN_TIMEOUT_MS]);
    for (const { errorCode } of topics.flatMap(({ partitions }) => partitions)) check(errorCode);
  });
}

function retentionConfigs({ retentionMs, retentionBytes }: Retention): Map<string, string> {
  return new Map([
    [MS, String(retentionMs)],
    [BYTES, String(retentionBytes)],
  ]);
}
