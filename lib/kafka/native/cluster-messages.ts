// The messages that tell of brokers, topics and groups, and that change them. In the grammars, `*` marks a list.
import {
  type Message,
  readList,
  readNullableText,
  readPartition,
  readText,
  writeList,
  writePartition,
  writeText,
} from "./message.ts";

export interface PartitionMetadata {
  errorCode: number;
  partition: number;
  /** Broker id; -1: there is none now. */
  leader: number;
  replicas: number;
  inSyncReplicas: number;
}

export interface TopicMetadata {
  errorCode: number;
  name: string;
  isInternal: boolean;
  partitions: PartitionMetadata[];
}

export interface Metadata {
  brokers: { id: number; host: string; port: number }[];
  controller: number;
  topics: TopicMetadata[];
}

/**
 * *topic allow_auto_topic_creation → throttle_time_ms *(id host port rack) cluster_id controller_id *(error_code name
 * is_internal *(error_code partition leader *replica *in_sync *offline))
 * `topics` null asks for all of them. A read never makes a topic.
 */
export const metadataMessage: Message<{ topics: string[] | null }, Metadata> = {
  name: "Metadata",
  key: 3,
  version: 5,
  write(writer, { topics }) {
    if (topics) writeList(writer, topics, (topic) => writeText(writer, topic));
    else writer.appendInt32(-1);
    writer.appendBoolean(false);
  },
  read(reader) {
    reader.skip(4);
    const brokers = readList(reader, () => {
      const broker = { id: reader.readInt32(), host: readText(reader), port: reader.readInt32() };
      readNullableText(reader);
      return broker;
    });
    readNullableText(reader);
    const controller = reader.readInt32();
    const topics = readList(reader, () => ({
      errorCode: reader.readInt16(),
      name: readText(reader),
      isInternal: reader.readBoolean(),
      partitions: readList(reader, () => {
        const head = {
          errorCode: reader.readInt16(),
          partition: reader.readInt32(),
          leader: reader.readInt32(),
        };
        const [replicas = 0, inSyncReplicas = 0] = [1, 2, 3].map(
          () => readList(reader, () => reader.readInt32()).length,
        );
        return { ...head, replicas, inSyncReplicas };
      }),
    }));
    return { brokers, controller, topics };
  },
};

export interface CreateTopicRequest {
  name: string;
  partitions: number;
  /** -1: the cluster's default. */
  replicationFactor: number;
  config: Readonly<Record<string, string>>;
  timeoutMs: number;
}

/** *(name num_partitions replication_factor *assignment *(name value)) timeout_ms validate_only → throttle_time_ms *(name error_code error_message) */
export const createTopicMessage: Message<CreateTopicRequest, { errorCode: number; reason: string | null }> = {
  name: "CreateTopics",
  key: 19,
  version: 4,
  write(writer, { name, partitions, replicationFactor, config, timeoutMs }) {
    writeList(writer, [name], (topic) => {
      writeText(writer, topic).appendInt32(partitions).appendInt16(replicationFactor).appendInt32(0);
      writeList(writer, Object.entries(config), ([key, value]) => writeText(writeText(writer, key), value));
    });
    writer.appendInt32(timeoutMs).appendBoolean(false);
  },
  read(reader) {
    reader.skip(4);
    const [answer] = readList(reader, () => {
      readText(reader);
      return { errorCode: reader.readInt16(), reason: readNullableText(reader) };
    });
    return answer ?? { errorCode: -1, reason: null };
  },
};

const TOPIC_RESOURCE = 2;

/**
 * *(resource_type name *key) include_synonyms → throttle_time_ms *(error_code error_message resource_type name
 * *(name value read_only source is_sensitive *(name value source)))
 */
export const describeConfigMessage: Message<
  { topic: string },
  { errorCode: number; config: Record<string, string> }
> = {
  name: "DescribeConfigs",
  key: 32,
  version: 1,
  write(writer, { topic }) {
    writeList(writer, [topic], (name) => {
      writeText(writer.appendInt8(TOPIC_RESOURCE), name).appendInt32(-1);
    });
    writer.appendBoolean(false);
  },
  read(reader) {
    reader.skip(4);
    const [answer] = readList(reader, () => {
      const errorCode = reader.readInt16();
      readNullableText(reader);
      reader.skip(1);
      readText(reader);
      const entries = readList(reader, () => {
        const entry = [readText(reader), readNullableText(reader)] as const;
        reader.skip(3);
        readList(reader, () => {
          readText(reader);
          readNullableText(reader);
          reader.skip(1);
        });
        return entry;
      });
      const told = entries.filter((entry): entry is [string, string] => entry[1] !== null);
      return { errorCode, config: Object.fromEntries(told) };
    });
    return answer ?? { errorCode: -1, config: {} };
  },
};

/** key key_type → throttle_time_ms error_code error_message node_id host port */
export const findCoordinatorMessage: Message<
  { group: string },
  { errorCode: number; host: string; port: number }
> = {
  name: "FindCoordinator",
  key: 10,
  version: 1,
  write: (writer, { group }) => void writeText(writer, group).appendInt8(0),
  read(reader) {
    reader.skip(4);
    const errorCode = reader.readInt16();
    readNullableText(reader);
    reader.skip(4);
    return { errorCode, host: readText(reader), port: reader.readInt32() };
  },
};

/** group_id generation_id member_id *(topic *(partition offset metadata)) → throttle_time_ms *(topic *(partition error_code)) */
export const offsetCommitMessage: Message<
  { group: string; topic: string; partition: number; offset: number },
  { errorCode: number }
> = {
  name: "OffsetCommit",
  key: 8,
  version: 5,
  write(writer, { group, topic, partition, offset }) {
    // No generation and no member: a group that only keeps offsets.
    writeText(writeText(writer, group).appendInt32(-1), "");
    writePartition(writer, topic, partition, (rest) => writeText(rest.appendInt64(BigInt(offset)), null));
  },
  read(reader) {
    reader.skip(4);
    const answer = readPartition(reader, () => {
      return { errorCode: reader.readInt16() };
    });
    return answer ?? { errorCode: -1 };
  },
};

/** group_id *(topic *partition) → throttle_time_ms *(topic *(partition offset metadata error_code)) error_code */
export const offsetFetchMessage: Message<
  { group: string; topic: string; partition: number },
  { errorCode: number; offset: number }
> = {
  name: "OffsetFetch",
  key: 9,
  version: 3,
  write(writer, { group, topic, partition }) {
    writeText(writer, group);
    writePartition(writer, topic, partition);
  },
  read(reader) {
    reader.skip(4);
    const answer = readPartition(reader, () => {
      const offset = Number(reader.readInt64());
      readNullableText(reader);
      return { errorCode: reader.readInt16(), offset };
    });
    const errorCode = reader.readInt16();
    return errorCode !== 0 || !answer ? { errorCode, offset: -1 } : answer;
  },
};
