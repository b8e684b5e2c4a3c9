// Transport `embedded`: no Kafka at all. Each partition's log is a Durable Object with SQLite, and one object lists
// the topics. The deployment's own topics come into being by themselves, with the deployment's settings; any other
// name is unknown until createTopic, so a mistaken one makes nothing.
import { KafkaError } from "../errors.ts";
import type { RpcResult } from "../rpc-result.ts";
import type {
  KafkaTransport,
  ProduceOutcome,
  ProduceRecord,
  RecordHeader,
  TopicSpec,
  TransportCapabilities,
} from "../transport.ts";
import { systemTimer, type Timer } from "../timer.ts";
import { callObject } from "./call.ts";
import {
  MAX_RECORD_BYTES,
  sizeOf,
  type AppendRecord,
  type PartitionLogCalls,
  type PartitionLogs,
  type TopicDirectories,
  type TopicDirectoryCalls,
} from "./objects.ts";
import { settingsInForce } from "./topic-settings.ts";

export interface EmbeddedOptions {
  logs: PartitionLogs;
  directory: TopicDirectories;
  /** The deployment's own topics, as they should be. */
  defaultTopics: readonly TopicSpec[];
  timer?: Timer;
}

const CALL_TIMEOUT_MS = 5_000;
/** For all of the deployment's topics to be made, or one with many partitions. */
const MAKE_TIMEOUT_MS = 8_000;

/**
 * `acks: all`: an object's answer is held back until its writes are confirmed, and they are once other machines have
 * them, too (blog.cloudflare.com/sqlite-in-durable-objects, on output gates and the Storage Relay Service).
 */
const CAPABILITIES: TransportCapabilities = {
  reads: true,
  partitionCounts: "cluster",
  endOffsets: "exact",
  acks: "all",
  values: "bytes",
  recordHeaders: "read-write",
  createTopics: true,
  describeTopics: "settings",
  groupOffsets: true,
  deleteRecords: true,
};

export function createEmbedded({
  logs,
  directory,
  defaultTopics,
  timer = systemTimer,
}: EmbeddedOptions): KafkaTransport {
  const ownTopics = new Set(defaultTopics.map(({ name }) => name));
  let ensuring: Promise<void> | undefined;
  let isEnsured = false;

  const make = async (
    what: string,
    call: (directory: TopicDirectoryCalls) => Promise<RpcResult<void>>,
  ): Promise<void> => await callObject(what, MAKE_TIMEOUT_MS, () => call(directory.get()), timer);

  /** Once for each transport, unless it failed. */
  const ensureTopics = async (): Promise<void> => {
    if (isEnsured) return;
    ensuring ??= make("making the deployment's topics", (topics) => topics.ensure(defaultTopics))
      .then(() => void (isEnsured = true))
      .finally(() => (ensuring = undefined));
    await ensuring;
  };

  /** Where one of the deployment's topics is not there yet, it is made, and the call made again. */
  const withTopic = async <T>(topic: string, call: () => Promise<T>): Promise<T> => {
    const wasEnsured = isEnsured;
    try {
      return await call();
    } catch (error) {
      const isUnknown = error instanceof KafkaError && error.code === "unknown_topic";
      if (!isUnknown || wasEnsured || !ownTopics.has(topic)) throw error;
      await ensureTopics();
      return await call();
    }
  };

  const askLog = async <T>(
    what: string,
    topic: string,
    partition: number,
    call: (log: PartitionLogCalls) => Promise<RpcResult<T>>,
    waitMs = 0,
  ): Promise<T> =>
    await withTopic(topic, () =>
      callObject(
        `${what} ${topic}/${partition}`,
        CALL_TIMEOUT_MS + waitMs,
        () => call(logs.of(topic, partition)),
        timer,
      ),
    );

  const askDirectory = async <T>(
    what: string,
    call: (directory: TopicDirectoryCalls) => Promise<RpcResult<T>>,
  ): Promise<T> => await callObject(what, CALL_TIMEOUT_MS, () => call(directory.get()), timer);

  /** The directory's word on a topic. Ensured first, so that a new deployment's settings come into force. */
  const describe = async (topic: string) => {
    if (ownTopics.has(topic)) await ensureTopics();
    return await askDirectory(`describing ${topic}`, (topics) => topics.describe(topic));
  };

  const append = async (
    topic: string,
    partition: number,
    records: readonly AppendRecord[],
  ): Promise<ProduceOutcome[]> => {
    try {
      const base = await askLog("producing to", topic, partition, (log) => log.append(records));
      return records.map((_, i) => ({ ok: true, partition, offset: base + i }));
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return records.map(() => ({ ok: false, error }));
    }
  };

  return {
    name: "embedded",
    capabilities: async () => CAPABILITIES,

    async produce(topic, records) {
      const outcomes: ProduceOutcome[] = [];
      const positions = new Map<number, number[]>();
      records.forEach((record, i) => {
        if (sizeOf(record) > MAX_RECORD_BYTES) {
          const message = `producing to ${topic}: the record has more than ${MAX_RECORD_BYTES} bytes`;
          outcomes[i] = { ok: false, error: new KafkaError("too_large", message) };
          return;
        }
        const known = positions.get(record.partition);
        if (known) known.push(i);
        else positions.set(record.partition, [i]);
      });
      // One partition's failure is its own.
      await Promise.all(
        [...positions].map(async ([partition, places]) => {
          const answers = await append(
            topic,
            partition,
            places.map((place) => forTheWay(records[place] as ProduceRecord)),
          );
          places.forEach((place, i) => (outcomes[place] = answers[i] as ProduceOutcome));
        }),
      );
      return outcomes;
    },

    fetch: ({ topic, partition, ...request }) =>
      askLog("reading", topic, partition, (log) => log.read(request), request.waitMs),

    async earliestOffset(topic, partition) {
      return (await askLog("finding the start of", topic, partition, (log) => log.bounds())).start;
    },
    async latestOffset(topic, partition) {
      return (await askLog("finding the end of", topic, partition, (log) => log.bounds())).end;
    },

    async partitionCount(topic) {
      return (await describe(topic)).partitions;
    },
    async topics() {
      await ensureTopics();
      return await askDirectory("listing topics", (topics) => topics.list());
    },
    async describeTopic(topic) {
      const { name, partitions, config } = await describe(topic);
      return {
        name,
        partitions: Array.from({ length: partitions }, (_, partition) => ({ partition })),
        config: settingsInForce(config),
      };
    },
    async createTopic(spec) {
      await make(`creating ${spec.name}`, (topics) => topics.create(spec));
    },

    async commitOffset(group, topic, partition, nextOffset) {
      const what = `committing ${group}'s offset of ${topic}/${partition}`;
      await withTopic(topic, () =>
        askDirectory(what, (topics) => topics.commitOffset(group, topic, partition, nextOffset)),
      );
    },
    async committedOffset(group, topic, partition) {
      const what = `reading ${group}'s offset of ${topic}/${partition}`;
      const offset = await askDirectory(what, (topics) => topics.committedOffset(group, topic, partition));
      return offset ?? undefined;
    },
    async deleteRecords(topic, partition, beforeOffset) {
      await askLog("deleting records of", topic, partition, (log) => log.deleteRecords(beforeOffset));
    },
    close: async () => undefined,
  };
}

/** A view takes all of the buffer behind it along, so each record's bytes get one of their own. */
function forTheWay({ key, value, headers, timestampMs }: ProduceRecord): AppendRecord {
  return {
    key: key && alone(key),
    value: value && alone(value),
    ...(headers && {
      headers: headers.map(({ name, value }): RecordHeader => ({ name, value: value && alone(value) })),
    }),
    ...(timestampMs !== undefined && { timestampMs }),
  };
}

function alone(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
