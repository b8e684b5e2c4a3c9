// What a drain of logs is told in tests, where nothing else is wanted: no windows, nothing processed.
import type { PartitionId } from "../../lib/storage/storage.ts";
import type { DrainSource } from "../../lib/stream/run.ts";

export const logsSource = (
  { group, topic, partition }: PartitionId,
  defaultTenant = "nobody",
): DrainSource => ({
  group,
  topic,
  partition,
  signal: "logs",
  startAt: "earliest",
  defaultTenant,
  deadLetterTopic: "logs.dlq",
  lateTopic: "logs.late",
  processedTopic: null,
  processedTopics: null,
  windows: [],
  latenessMs: 0,
  recentOffset: undefined,
});
