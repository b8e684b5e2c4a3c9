// Transport `native`: Kafka's own protocol over TCP, with TLS and SASL. Writes idempotently with acks=all. Holds
// connections, so it must live where they may outlast a request: in Node, or in a Durable Object.
import { KafkaError } from "../errors.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord, TransportCapabilities } from "../transport.ts";
import {
  createTopicMessage,
  describeConfigMessage,
  offsetCommitMessage,
  offsetFetchMessage,
} from "./cluster-messages.ts";
import { Cluster } from "./cluster.ts";
import { createCompressor, type Compression } from "./compression.ts";
import type { Address, ConnectOptions } from "./connection.ts";
import { Connections } from "./connections.ts";
import { Deadline } from "./deadline.ts";
import { deleteRecordsMessage, EARLIEST, fetchMessage, LATEST, listOffsetsMessage } from "./log-messages.ts";
import { MAX_BATCH_BYTES, PartitionWriter, type Piece, type WriterParts } from "./partition-writer.ts";
import { ProduceRequests } from "./produce-requests.ts";
import { ProducerIdentity } from "./producer-identity.ts";
import { decodeBatches, recordBytes } from "./record-batch.ts";

const CALL_TIMEOUT_MS = 5_000;
const DEFAULT_REPLICATION = -1;
const TOPIC_ALREADY_EXISTS = 36;

export interface NativeOptions {
  /** host:port */
  brokers: readonly string[];
  sasl?: ConnectOptions["sasl"];
  tls: boolean;
  /** An authority to trust beside the public ones; Node only. */
  tlsCaPem?: string | undefined;
  compression: Compression;
  clientId?: string | undefined;
  random?: () => number;
}

const CAPABILITIES: TransportCapabilities = {
  reads: true,
  partitionCounts: "cluster",
  endOffsets: "exact",
  acks: "all",
  values: "bytes",
  recordHeaders: "read-write",
  createTopics: true,
  describeTopics: "replicas",
  groupOffsets: true,
  deleteRecords: true,
};

/** @throws KafkaError `misconfigured` for a broker that is no host:port, or a compression that this runtime lacks */
export function createNative(options: NativeOptions): KafkaTransport {
  const { tls, tlsCaPem, sasl, clientId = "weir", random = Math.random } = options;
  const connections = new Connections({ clientId, tls, tlsCaPem, sasl }, random);
  const cluster = new Cluster(options.brokers.map(parseBroker), connections, random);
  const parts: WriterParts = {
    cluster,
    requests: new ProduceRequests(cluster),
    identity: new ProducerIdentity(cluster),
    compressor: createCompressor(options.compression),
    random,
  };
  const writers = new Map<string, PartitionWriter>();

  async function writePiece(
    topic: string,
    partition: number,
    records: readonly ProduceRecord[],
    deadline: Deadline,
  ) {
    const key = `${partition} ${topic}`;
    const writer = writers.get(key) ?? new PartitionWriter(topic, partition, parts);
    writers.set(key, writer);
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    const written = new Promise<number>((resolve, reject) => {
      const piece: Piece = { records, bytes, deadline, resolve, reject };
      writer.write(piece);
    });
    return await deadline.race(written);
  }

  async function offsetAt(topic: string, partition: number, time: bigint): Promise<number> {
    const what = `partition ${partition} of ${topic}`;
    const deadline = new Deadline(`offset of ${what}`, CALL_TIMEOUT_MS);
    const at = { topic, partition, what };
    const answer = await cluster.askLeader(
      at,
      listOffsetsMessage,
      () => ({ topic, partition, time }),
      deadline,
    );
    return answer.offset;
  }

  return {
    name: "native",
    capabilities: async () => CAPABILITIES,

    async produce(topic, records) {
      const deadline = new Deadline(`producing to ${topic}`, CALL_TIMEOUT_MS);
      const outcomes: ProduceOutcome[] = [];
      const pieces = splitIntoPieces(records).map(async ({ partition, positions }) => {
        const own = positions.map((position) => records[position] as ProduceRecord);
        try {
          const base = await writePiece(topic, partition, own, deadline);
          positions.forEach(
            (position, i) => (outcomes[position] = { ok: true, partition, offset: base + i }),
          );
        } catch (error) {
          if (!(error instanceof KafkaError)) throw error;
          for (const position of positions) outcomes[position] = { ok: false, error };
        }
      });
      await Promise.all(pieces);
      return outcomes;
    },

    async fetch({ topic, partition, offset, maxBytes, waitMs }) {
      const what = `fetching partition ${partition} of ${topic} from ${offset}`;
      const deadline = new Deadline(what, CALL_TIMEOUT_MS + waitMs);
      const at = { topic, partition, what };
      for (let from = offset; ;) {
        const question = () => ({
          topic,
          partition,
          offset: from,
          maxBytes: Math.max(1, maxBytes),
          // What was spent on the way to the broker is not waited for again.
          waitMs: Math.max(0, Math.floor(waitMs - deadline.elapsedMs())),
        });
        const { batches, aborted } = await cluster.askLeader(at, fetchMessage, question, deadline, true);
        const { records, nextOffset } = decodeBatches(batches, from, aborted);
        if (records.length > 0 || nextOffset === from) return records;
        // All that came was compacted away, aborted, or a transaction's marker: that is not the end.
        from = nextOffset;
      }
    },

    earliestOffset: async (topic, partition) => await offsetAt(topic, partition, EARLIEST),
    latestOffset: async (topic, partition) => await offsetAt(topic, partition, LATEST),

    async partitionCount(topic) {
      const deadline = new Deadline(`counting the partitions of ${topic}`, CALL_TIMEOUT_MS);
      const { partitions } = await cluster.retry(deadline, () => cluster.topic(topic, deadline));
      return partitions.length;
    },

    async topics() {
      const deadline = new Deadline("listing topics", CALL_TIMEOUT_MS);
      const { topics } = await cluster.retry(deadline, () => cluster.metadata(null, deadline));
      return topics.filter(({ isInternal }) => !isInternal).map(({ name }) => name);
    },

    async describeTopic(name) {
      const deadline = new Deadline(`describing ${name}`, CALL_TIMEOUT_MS);
      return await cluster.retry(deadline, async () => {
        const { partitions } = await cluster.topic(name, deadline);
        const answer = await cluster.askAny(describeConfigMessage, { topic: name }, deadline);
        return {
          name,
          partitions: partitions
            .map(({ partition, replicas, inSyncReplicas }) => ({ partition, replicas, inSyncReplicas }))
            .toSorted((a, b) => a.partition - b.partition),
          config: cluster.checked(answer, `settings of ${name}`).config,
        };
      });
    },

    async createTopic({ name, partitions, replicationFactor = DEFAULT_REPLICATION, config }) {
      const deadline = new Deadline(`creating ${name}`, CALL_TIMEOUT_MS);
      let attempts = 0;
      await cluster.retry(deadline, async () => {
        const controller = await cluster.controller(deadline);
        const request = { name, partitions, replicationFactor, config, timeoutMs: deadline.remainingMs() };
        const onSent = () => attempts++;
        const answer = await cluster.ask(controller, createTopicMessage, request, deadline, { onSent });
        // An earlier attempt made it, and its answer was lost.
        if (answer.errorCode === TOPIC_ALREADY_EXISTS && attempts > 1) return;
        const reason = answer.reason === null ? "" : ` (${answer.reason})`;
        cluster.checked(answer, `creating ${name}${reason}`);
      });
      // The controller has it before the brokers do.
      await untilLed(cluster, name, partitions, deadline);
    },

    async commitOffset(group, topic, partition, offset) {
      const what = `committing for group ${group} on ${topic}`;
      const request = { group, topic, partition, offset };
      const deadline = new Deadline(what, CALL_TIMEOUT_MS);
      await cluster.askCoordinator({ group, what }, offsetCommitMessage, request, deadline);
    },

    async committedOffset(group, topic, partition) {
      const what = `reading what group ${group} committed on ${topic}`;
      const request = { group, topic, partition };
      const deadline = new Deadline(what, CALL_TIMEOUT_MS);
      const { offset } = await cluster.askCoordinator({ group, what }, offsetFetchMessage, request, deadline);
      return offset < 0 ? undefined : offset;
    },

    async deleteRecords(topic, partition, beforeOffset) {
      const what = `deleting records of partition ${partition} of ${topic}`;
      const deadline = new Deadline(what, CALL_TIMEOUT_MS);
      const request = () => ({ topic, partition, beforeOffset, timeoutMs: deadline.remainingMs() });
      await cluster.askLeader({ topic, partition, what }, deleteRecordsMessage, request, deadline);
    },

    close: async () => connections.close(),
  };
}

function parseBroker(text: string): Address {
  const [, host, port] = /^\[?(.+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || port === undefined) {
    throw new KafkaError("misconfigured", `KAFKA_BROKERS holds ${text}, which is no host:port`);
  }
  return { host, port: Number(port) };
}

/** The places of the records that go together: by partition, and no more of them than a batch may hold. */
function splitIntoPieces(records: readonly ProduceRecord[]): { partition: number; positions: number[] }[] {
  const pieces: { partition: number; positions: number[] }[] = [];
  const open = new Map<number, { positions: number[]; bytes: number }>();
  records.forEach((record, position) => {
    const bytes = recordBytes(record);
    const last = open.get(record.partition);
    if (last && last.bytes + bytes <= MAX_BATCH_BYTES) {
      last.positions.push(position);
      last.bytes += bytes;
      return;
    }
    const positions = [position];
    open.set(record.partition, { positions, bytes });
    pieces.push({ partition: record.partition, positions });
  });
  return pieces;
}

async function untilLed(
  cluster: Cluster,
  name: string,
  partitions: number,
  deadline: Deadline,
): Promise<void> {
  await cluster.retry(deadline, async () => {
    const { topics } = await cluster.metadata([name], deadline);
    const led = topics[0]?.partitions.filter(({ leader }) => leader >= 0).length ?? 0;
    if (led < partitions) throw new KafkaError("unavailable", `${name} is made, but not led yet`);
  });
}
