// The embedded transport's Durable Objects, as lib/kafka/embedded asks for them: a new stub for each call, since one
// that has thrown fails all later calls.
import type { PartitionLogs, TopicDirectories } from "../lib/kafka/embedded/objects.ts";

export function partitionLogs(env: Env): PartitionLogs {
  return { of: (topic, partition) => env.PARTITION_LOG.getByName(`${topic}/${partition}`) };
}

export function topicDirectory(env: Env): TopicDirectories {
  return { get: () => env.TOPIC_DIRECTORY.getByName("topics") };
}
