// What Karapace, Confluent and Strimzi tell of a topic (Redpanda's proxy does not), and making topics through
// Confluent's v3 API where it stands beside v2.
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import { fromHttpStatus, type RestClient } from "./rest-http.ts";
import { topicPath, V2 } from "./rest-v2-records.ts";
import type { TopicDescription, TopicSpec } from "./transport.ts";

const TIMEOUT_MS = 5_000;

const topicAnswer = z.object({
  partitions: z.array(
    z.object({
      partition: z.int(),
      replicas: z.array(z.object({ in_sync: z.boolean().nullish() })).nullish(),
    }),
  ),
  configs: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
});

/** @throws KafkaError `unknown_topic` */
export async function describeTopic(client: RestClient, topic: string): Promise<TopicDescription> {
  const what = `looking at ${topic}`;
  const answer = await client.call({
    method: "GET",
    path: topicPath(topic),
    accept: V2,
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status !== 200) throw fromHttpStatus(answer, what);
  const parsed = topicAnswer.safeParse(answer.json);
  if (!parsed.success) throw new KafkaError("bad_answer", `${what}: no list of partitions`);
  const config: Record<string, string> = {};
  // A value that is kept secret is null.
  for (const [name, value] of Object.entries(parsed.data.configs ?? {}))
    if (value !== null) config[name] = String(value);
  const partitions = parsed.data.partitions.map(({ partition, replicas }) => ({
    partition,
    ...(replicas && {
      replicas: replicas.length,
      inSyncReplicas: replicas.filter((one) => one.in_sync === true).length,
    }),
  }));
  return { name: topic, partitions: partitions.toSorted((a, b) => a.partition - b.partition), config };
}

export interface Bounds {
  /** Of the oldest message kept. */
  start: number;
  /** That the next message will get. */
  end: number;
}

const offsetsAnswer = z.object({ beginning_offset: z.int().min(0), end_offset: z.int().min(0) });

/** @throws KafkaError `unknown_topic` */
export async function readBounds(client: RestClient, topic: string, partition: number): Promise<Bounds> {
  const what = `asking where ${topic}/${partition} begins and ends`;
  const answer = await client.call({
    method: "GET",
    path: `${topicPath(topic)}/partitions/${partition}/offsets`,
    accept: V2,
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status !== 200) throw fromHttpStatus(answer, what);
  const parsed = offsetsAnswer.safeParse(answer.json);
  if (!parsed.success) throw new KafkaError("bad_answer", `${what}: no offsets in the answer`);
  return { start: parsed.data.beginning_offset, end: parsed.data.end_offset };
}

/** @throws KafkaError `topic_exists` */
export async function createTopic(client: RestClient, clusterId: string, spec: TopicSpec): Promise<void> {
  const answer = await client.call({
    method: "POST",
    path: `/v3/clusters/${encodeURIComponent(clusterId)}/topics`,
    accept: "application/json",
    contentType: "application/json",
    body: JSON.stringify({
      topic_name: spec.name,
      partitions_count: spec.partitions,
      ...(spec.replicationFactor !== undefined && { replication_factor: spec.replicationFactor }),
      configs: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
    }),
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status === 201 || answer.status === 200) return;
  const error = fromHttpStatus(answer, `making the topic ${spec.name}`);
  // Confluent: 400, 40002, "Topic 'x' already exists."
  if (answer.status === 409 || (answer.status === 400 && /already.?exists/i.test(error.message)))
    throw new KafkaError("topic_exists", error.message);
  throw error;
}
