// Transport `rest-v2`: the Kafka REST API version 2 as Redpanda's HTTP proxy speaks it (docs.redpanda.com, "HTTP
// Proxy API"). Keys and values go as base64, so that Kafka holds exactly the bytes given. Redpanda tells neither
// partition counts nor end offsets: both are found by reading (rest-v2-probe.ts).
import { Buffer } from "node:buffer";
import { z } from "zod";
import { fromProtocolCode, KafkaError } from "./errors.ts";
import { createRestClient, fromHttpStatus, type RestAnswer, type RestCredentials } from "./rest-http.ts";
import { countPartitions, findEarliest, findLatest } from "./rest-v2-probe.ts";
import type { FetchedRecord, KafkaTransport, ProduceOutcome, ProduceRecord } from "./transport.ts";

const V2 = "application/vnd.kafka.v2+json";
const BINARY = "application/vnd.kafka.binary.v2+json";

const PRODUCE_TIMEOUT_MS = 5_000;
const METADATA_TIMEOUT_MS = 5_000;
/** Beyond what the broker may wait for data. */
const FETCH_MARGIN_MS = 5_000;

export interface RestV2Options extends RestCredentials {
  url: string;
  /** Partitions of every topic, where configured; otherwise they are counted by reads. */
  partitions?: number | undefined;
  fetch?: typeof fetch;
}

const produceAnswer = z.object({
  offsets: z.array(
    z.object({
      partition: z.int(),
      offset: z.int().nullish(),
      error_code: z.int().nullish(),
      error: z.string().nullish(),
    }),
  ),
});

const fetchAnswer = z.array(
  z.object({ offset: z.int(), key: z.string().nullish(), value: z.string().nullish() }),
);

export function createRestV2(options: RestV2Options): KafkaTransport {
  const client = createRestClient(options.url, options, options.fetch);

  const transport: KafkaTransport = {
    name: "rest-v2",
    capabilities: {
      partitionCounts: options.partitions === undefined ? "probed" : "configured",
      endOffsets: "probed",
      acks: "proxy",
    },

    async produce(topic, records) {
      // A null is left out: Redpanda's parser refuses it where it stands.
      const body = JSON.stringify({
        records: records.map(({ partition, key, value }) => ({
          ...(key && { key: toBase64(key) }),
          ...(value && { value: toBase64(value) }),
          partition,
        })),
      });
      const what = `producing to ${topic}`;
      const answer = await client.call({
        method: "POST",
        path: topicPath(topic),
        accept: V2,
        contentType: BINARY,
        body,
        timeoutMs: PRODUCE_TIMEOUT_MS,
      });
      if (answer.status !== 200) throw fromHttpStatus(answer, what);
      return readProduceAnswer(answer, records, what);
    },

    async fetch({ topic, partition, offset, maxBytes, waitMs }) {
      const query = new URLSearchParams({
        offset: String(offset),
        timeout: String(waitMs),
        max_bytes: String(maxBytes),
      });
      const what = `reading ${topic}/${partition} from ${offset}`;
      const answer = await client.call({
        method: "GET",
        path: `${topicPath(topic)}/partitions/${partition}/records?${query.toString()}`,
        accept: BINARY,
        timeoutMs: waitMs + FETCH_MARGIN_MS,
      });
      if (answer.status !== 200) throw fromHttpStatus(answer, what);
      const parsed = fetchAnswer.safeParse(answer.json);
      if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of records`);
      const found: FetchedRecord[] = [];
      for (const record of parsed.data) {
        // Redpanda's proxy answers with whole batches, so what lies before the offset asked for may come along.
        if (record.offset < offset) continue;
        found.push({ offset: record.offset, key: fromBase64(record.key), value: fromBase64(record.value) });
      }
      return found;
    },

    earliestOffset: (topic, partition, nearOffset) =>
      findEarliest(transport, client, topic, partition, nearOffset),
    latestOffset: (topic, partition, nearOffset) =>
      findLatest(transport, client, topic, partition, nearOffset),

    async partitionCount(topic) {
      return options.partitions ?? (await countPartitions(transport, topic));
    },

    async topics() {
      const answer = await client.call({
        method: "GET",
        path: "/topics",
        accept: V2,
        timeoutMs: METADATA_TIMEOUT_MS,
      });
      if (answer.status !== 200) throw fromHttpStatus(answer, "listing topics");
      const parsed = z.array(z.string()).safeParse(answer.json);
      if (!parsed.success) throw new KafkaError("bad_answer", "listing topics: not a list of names");
      return parsed.data;
    },
  };
  return transport;
}

/**
 * Redpanda answers with one entry per partition, holding the base offset of what was written there; other proxies
 * answer with one entry per record, in the request's order. The count of entries tells which it is.
 */
function readProduceAnswer(
  answer: RestAnswer,
  records: readonly ProduceRecord[],
  what: string,
): ProduceOutcome[] {
  const parsed = produceAnswer.safeParse(answer.json);
  if (!parsed.success) throw new KafkaError("bad_answer", `${what}: HTTP 200 without a list of offsets`);
  const { offsets } = parsed.data;
  const partitions = new Set(records.map((record) => record.partition));
  const isPerPartition =
    offsets.length === partitions.size && offsets.every((entry) => partitions.has(entry.partition));
  if (!isPerPartition && offsets.length !== records.length) {
    throw new KafkaError(
      "bad_answer",
      `${what}: ${offsets.length} offsets for ${records.length} records in ${partitions.size} partitions`,
    );
  }
  const byPartition = new Map(offsets.map((entry) => [entry.partition, entry]));
  const written = new Map<number, number>();
  return records.map(({ partition }, i): ProduceOutcome => {
    const entry = isPerPartition ? byPartition.get(partition) : offsets[i];
    if (!entry) return { ok: false, error: new KafkaError("bad_answer", `${what}: no offset for a record`) };
    if (entry.error_code !== undefined && entry.error_code !== null && entry.error_code !== 0) {
      return { ok: false, error: fromProtocolCode(entry.error_code, `${what}, partition ${partition}`) };
    }
    if (entry.offset === undefined || entry.offset === null || entry.offset < 0) {
      return {
        ok: false,
        error: new KafkaError("bad_answer", `${what}: an offset is missing, durability unknown`),
      };
    }
    const before = isPerPartition ? (written.get(partition) ?? 0) : 0;
    written.set(partition, before + 1);
    return { ok: true, partition: entry.partition, offset: entry.offset + before };
  });
}

function topicPath(topic: string): string {
  return `/topics/${encodeURIComponent(topic)}`;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function fromBase64(text: string | null | undefined): Uint8Array | null {
  return text === null || text === undefined ? null : Buffer.from(text, "base64");
}
