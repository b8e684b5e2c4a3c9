/**
 * Committed offsets in a Kafka cluster, as its own groups': other clients of the group see them, and theirs are seen here.
 * A group that has live members of another client cannot be committed to. Kafka forgets the offsets of deleted topics.
 */
import { offsetCommitV8, offsetFetchV8 } from "@platformatic/kafka";
import type { ClusterClient } from "../log/cluster/cluster-client.ts";
import { check } from "../log/cluster/cluster-errors.ts";
import { inTime } from "../log/cluster/deadline.ts";
import { KafkaError } from "../log/kafka-error.ts";
import type { CommittedOffsets, KnownPartition, TopicPartition } from "./committed-offsets.ts";

const NO_GENERATION = -1;
const NO_EPOCH = -1;
const UNKNOWN_MEMBER = 25;

export class ClusterOffsets implements CommittedOffsets {
  readonly #client: ClusterClient;

  constructor(client: ClusterClient) {
    this.#client = client;
  }

  async committed(group: string, partitions: readonly KnownPartition[]): Promise<(number | undefined)[]> {
    if (partitions.length === 0) return [];
    const topics = [...byTopic(partitions)].map(([name, places]) => ({
      name,
      partitionIndexes: places.map(({ partition }) => partition),
    }));
    const request = { groupId: group, memberId: null, memberEpoch: NO_EPOCH, topics };
    const found = await inTime(
      this.#client.coordinator(group, async (call) => {
        const { groups } = await call(offsetFetchV8.api, [[request], false]);
        const [answer] = groups;
        check(answer?.errorCode ?? -1);
        for (const { errorCode } of answer?.topics.flatMap((topic) => topic.partitions) ?? [])
          check(errorCode);
        return answer?.topics ?? [];
      }),
    );
    return partitions.map(({ topic, partition }) => {
      const places = found.find(({ name }) => name === topic)?.partitions;
      const offset =
        places?.find(({ partitionIndex }) => partitionIndex === partition)?.committedOffset ?? -1n;
      return offset < 0n ? undefined : Number(offset);
    });
  }

  async commit(group: string, offsets: readonly (KnownPartition & { offset: number })[]): Promise<void> {
    if (offsets.length === 0) return;
    const topics = [...byTopic(offsets)].map(([name, places]) => ({
      name,
      partitions: places.map(({ partition, offset }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: NO_EPOCH,
        committedMetadata: "",
      })),
    }));
    await inTime(
      this.#client.coordinator(group, async (call) => {
        const answer = await call(offsetCommitV8.api, [group, NO_GENERATION, "", null, topics]);
        for (const { errorCode } of answer.topics.flatMap(({ partitions }) => partitions)) {
          if (errorCode === UNKNOWN_MEMBER) {
            throw new KafkaError("illegal_generation", `group ${group} has members outside this gateway`);
          }
          check(errorCode);
        }
      }),
    );
  }

  async forget(): Promise<void> {}

  async close(): Promise<void> {}
}

function byTopic<T extends TopicPartition>(places: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const place of places) found.set(place.topic, [...(found.get(place.topic) ?? []), place]);
  return found;
}
