// Transport `upstash`: Upstash's Kafka REST API (upstash.com/docs/kafka/rest), by its own client. The service has ended;
// this is for endpoints that speak its API. Everything is text (upstash-text.ts). Groups are not mirrored: a commit needs
// a consumer instance that has joined by reading, which would take the partitions away from others in the group.
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import { unsupported, type KafkaTransport, type ProduceOutcome, type ProduceRecord } from "./transport.ts";
import { createUpstashClient, type UpstashOptions } from "./upstash-client.ts";
import { fromUpstash, toUpstash, type UpstashMessage } from "./upstash-text.ts";

const PRODUCE_TIMEOUT_MS = 5_000;
const METADATA_TIMEOUT_MS = 5_000;
/** To find the partition that is not there, and to send again without it: all within 10 s. */
const EXPLAIN_TIMEOUT_MS = 2_000;
const RESEND_TIMEOUT_MS = 3_000;
/** Beyond what the broker may wait for data. */
const FETCH_MARGIN_MS = 5_000;

const produced = z.array(z.object({ partition: z.int(), offset: z.int().min(0) }));
const fetched = z.array(
  z.object({
    partition: z.int(),
    offset: z.int(),
    timestamp: z.number(),
    key: z.string().nullish().transform(emptyForNull),
    value: z.string().nullish().transform(emptyForNull),
    headers: z
      .array(z.object({ key: z.string(), value: z.string() }))
      .nullish()
      .transform((headers) => headers ?? []),
  }),
);
const topicCounts = z.record(z.string(), z.int().min(1));
const offsets = z.array(z.object({ partition: z.int(), offset: z.int().min(0) }));

export function createUpstash(options: UpstashOptions): KafkaTransport {
  const client = createUpstashClient(options);

  async function counts(what: string, timeoutMs = METADATA_TIMEOUT_MS): Promise<Record<string, number>> {
    const parsed = topicCounts.safeParse(await client(what, timeoutMs).admin().topics());
    if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of topics`);
    return parsed.data;
  }

  async function partitionCount(topic: string, timeoutMs?: number): Promise<number> {
    const what = `counting partitions of ${topic}`;
    const all = await counts(what, timeoutMs);
    const count = Object.hasOwn(all, topic) ? all[topic] : undefined;
    if (count === undefined) throw new KafkaError("unknown_topic", `${what}: there is no such topic`);
    return count;
  }

  async function offsetAt(when: "earliest" | "latest", topic: string, partition: number): Promise<number> {
    const what = `asking for the ${when} offset of ${topic}/${partition}`;
    const admin = client(what, METADATA_TIMEOUT_MS).admin();
    const answer = await admin.topicPartitionOffsets({
      timestamp: when,
      topicPartition: { topic, partition },
    });
    const found = offsets.safeParse(answer).data?.find((one) => one.partition === partition);
    if (!found) throw new KafkaError("bad_answer", `${what}: no offset in the answer`);
    return found.offset;
  }

  /** One request; its records are stored in order. It is refused as a whole for a partition that is not there. */
  async function send(
    topic: string,
    messages: UpstashMessage[],
    timeoutMs: number,
  ): Promise<ProduceOutcome[]> {
    const what = `producing to ${topic}`;
    const answer = await client(what, timeoutMs).producer().produceMany(messages);
    const parsed = produced.safeParse(answer);
    if (!parsed.success || parsed.data.length !== messages.length) {
      throw new KafkaError("bad_answer", `${what}: not one offset for each record, durability unknown`);
    }
    return messages.map(({ partition }, i): ProduceOutcome => {
      const stored = parsed.data[i];
      if (stored?.partition === partition) return { ok: true, partition, offset: stored.offset };
      const error = new KafkaError("bad_answer", `${what}, partition ${partition}: it was stored elsewhere`);
      return { ok: false, error };
    });
  }

  /** As `send`, but what names a partition that is not there fails alone. */
  async function sendToPartitions(topic: string, messages: UpstashMessage[]): Promise<ProduceOutcome[]> {
    try {
      return await send(topic, messages, PRODUCE_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code !== "unknown_topic") throw error;
      const count = await partitionCount(topic, EXPLAIN_TIMEOUT_MS);
      const isThere = ({ partition }: UpstashMessage) => partition >= 0 && partition < count;
      const kept = messages.filter(isThere);
      if (kept.length === messages.length) throw error;
      const outcomes = kept.length > 0 ? await send(topic, kept, RESEND_TIMEOUT_MS) : [];
      return messages.map((message) => (isThere(message) && outcomes.shift()) || { ok: false, error });
    }
  }

  return {
    name: "upstash",
    capabilities: async () => ({
      reads: true,
      partitionCounts: "cluster",
      endOffsets: "exact",
      // The API takes no acks, and its documentation (restproducer) does not say which its producer asked for.
      acks: options.acksConfirmed === "all" ? "confirmed" : "unconfirmed",
      values: "text",
      recordHeaders: "read-write",
      createTopics: false,
      describeTopics: "partitions",
      groupOffsets: false,
      deleteRecords: false,
    }),

    async produce(topic, records) {
      if (options.acksConfirmed !== "all") throw unconfirmed();
      const encoded = records.map((record: ProduceRecord) => toUpstash(topic, record));
      const messages = encoded.flatMap((one) => (one instanceof KafkaError ? [] : [one]));
      let outcomes: ProduceOutcome[];
      try {
        outcomes = messages.length > 0 ? await sendToPartitions(topic, messages) : [];
      } catch (error) {
        // What was refused here is known, whatever became of the rest.
        if (!(error instanceof KafkaError) || messages.length === records.length) throw error;
        outcomes = messages.map(() => ({ ok: false, error }));
      }
      let sent = 0;
      return encoded.map((one): ProduceOutcome => {
        if (one instanceof KafkaError) return { ok: false, error: one };
        return (
          outcomes[sent++] ?? { ok: false, error: new KafkaError("bad_answer", "no outcome for a record") }
        );
      });
    },

    async fetch({ topic, partition, offset, waitMs }) {
      const what = `reading ${topic}/${partition} from ${offset}`;
      const consumer = client(what, waitMs + FETCH_MARGIN_MS).consumer();
      // The API has no limit of bytes.
      const parsed = fetched.safeParse(await consumer.fetch({ topic, partition, offset, timeout: waitMs }));
      if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of messages`);
      return parsed.data
        .filter((message) => message.partition === partition && message.offset >= offset)
        .map(fromUpstash);
    },

    earliestOffset: async (topic, partition) => await offsetAt("earliest", topic, partition),
    latestOffset: async (topic, partition) => await offsetAt("latest", topic, partition),
    partitionCount: async (topic) => await partitionCount(topic),
    topics: async () => Object.keys(await counts("listing topics")),
    async describeTopic(topic) {
      const count = await partitionCount(topic);
      return { name: topic, partitions: Array.from({ length: count }, (_, partition) => ({ partition })) };
    },
    async createTopic() {
      throw unsupported("upstash", "create topics", "create it with the cluster's own tool");
    },
    async commitOffset() {
      throw unsupported("upstash", "commit offsets", "they are kept in storage");
    },
    async committedOffset() {
      throw unsupported("upstash", "read committed offsets", "they are kept in storage");
    },
    async deleteRecords() {
      throw unsupported("upstash", "delete records", "use the cluster's own tool");
    },
    close: async () => undefined,
  };
}

function emptyForNull(text: string | null | undefined): string {
  return text ?? "";
}

function unconfirmed(): KafkaError {
  return new KafkaError(
    "misconfigured",
    "the endpoint does not show with which acks it writes; make sure that it is acks=all, then set KAFKA_ACKS_CONFIRMED=all",
  );
}
