/** The bodies of the consumer endpoints, as strict as Redpanda's parsers: an unknown or missing member is a fault. */
import type { TopicPartition } from "../../groups/committed-offsets.ts";
import type { TopicPartitionOffset } from "../../groups/groups.ts";
import { JsonReader } from "./json-reader.ts";

const CREATE_MEMBERS = [
  "name",
  "format",
  "auto.offset.reset",
  "auto.commit.enable",
  "fetch.min.bytes",
  "consumer.request.timeout.ms",
] as const;

export type CreateConsumerRequest = Partial<Record<(typeof CREATE_MEMBERS)[number], string>>;

/** All members are strings, even the numbers; at least one must be there. Throws JsonFault. */
export function parseCreateConsumer(body: Buffer): CreateConsumerRequest {
  const reader = new JsonReader(body);
  const request: CreateConsumerRequest = {};
  const count = reader.object((key) => {
    const member = CREATE_MEMBERS.find((each) => each === key) ?? reader.fail();
    request[member] = reader.string();
  });
  if (count === 0) reader.fail();
  reader.end();
  return request;
}

/** {"topics":["a","b"]} */
export function parseSubscription(body: Buffer): string[] {
  const reader = new JsonReader(body);
  const topics: string[] = [];
  reader.object((key) => {
    if (key !== "topics") reader.fail();
    reader.array(() => topics.push(reader.string()));
  });
  reader.end();
  return topics;
}

/** {"partitions":[{"topic":"t","partition":0}]} */
export function parsePartitions(body: Buffer): TopicPartition[] {
  return parseEntries(body, ["topic", "partition"]).map(({ topic, partition }) => ({ topic, partition }));
}

/** {"partitions":[{"topic":"t","partition":0,"offset":1}]} */
export function parsePartitionOffsets(body: Buffer): TopicPartitionOffset[] {
  return parseEntries(body, ["topic", "partition", "offset"]);
}

function parseEntries(body: Buffer, members: readonly string[]): TopicPartitionOffset[] {
  const reader = new JsonReader(body);
  const entries: TopicPartitionOffset[] = [];
  const count = reader.object((key) => {
    if (key !== "partitions") reader.fail();
    reader.array(() => {
      const entry = { topic: "", partition: 0, offset: 0 };
      const size = reader.object((member) => {
        if (!members.includes(member)) reader.fail();
        if (member === "topic") entry.topic = reader.string();
        else entry[member as "partition" | "offset"] = reader.integer();
      });
      if (size !== members.length) reader.fail();
      entries.push(entry);
    });
  });
  if (count === 0) reader.fail();
  reader.end();
  return entries;
}
