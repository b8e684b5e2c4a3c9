// Transport `rest-v2`: the Kafka REST API version 2 as Redpanda's HTTP proxy, Karapace, Confluent's REST Proxy and
// Strimzi's bridge speak it. What the one at hand can do is found by asking it (rest-v2-detect.ts); what it cannot tell
// is found by reading (rest-v2-probe.ts) or refused. Messages go as base64, so that Kafka holds the bytes given.
import { KafkaError } from "./errors.ts";
import { createRestClient, fromHttpStatus, type RestCredentials } from "./rest-http.ts";
import { detectProxy, knownProxy, listTopics, type RestV2Proxy } from "./rest-v2-detect.ts";
import { createInstanceReader } from "./rest-v2-instances.ts";
import { isValueless, locate } from "./rest-v2-locate.ts";
import { createTopic, describeTopic, readBounds } from "./rest-v2-metadata.ts";
import { countPartitions, findEarliest, findLatest } from "./rest-v2-probe.ts";
import { readProduceAnswer, type RestV2Outcome } from "./rest-v2-produce.ts";
import { BINARY, fromWire, topicPath, toWire, V2 } from "./rest-v2-records.ts";
import { systemTiming, type Timing } from "./retry.ts";
import { unsupported, type KafkaTransport, type ProduceOutcome, type ProduceRecord } from "./transport.ts";

const PRODUCE_TIMEOUT_MS = 5_000;
/** Beyond what the broker may wait for data. */
const FETCH_MARGIN_MS = 5_000;

export interface RestV2Options extends RestCredentials {
  url: string;
  /** Partitions of every topic, used where the proxy does not tell; otherwise they are counted by reads. */
  partitions?: number | undefined;
  /** Vouches for the proxy's acks, where it does not show them (all but Redpanda's). */
  acksConfirmed?: "all" | undefined;
  /** Prefix of the groups that consumer instances belong to. */
  group?: string | undefined;
  fetch?: typeof fetch;
  timing?: Timing;
}

export function createRestV2(options: RestV2Options): KafkaTransport {
  const { url, partitions: configured, group = "weir", timing = systemTiming } = options;
  const client = createRestClient(url, options, options.fetch);
  // Calls at the same time ask once. Not shared beyond this transport: promises cannot cross requests.
  let detecting: Promise<RestV2Proxy> | undefined;
  const detect = async (topic?: string): Promise<RestV2Proxy> => {
    detecting ??= detectProxy(client, url, topic).finally(() => (detecting = undefined));
    return await detecting;
  };
  const instances = createInstanceReader(client, {
    group,
    isBridge: async () => (await detect()).isBridge,
    ...timing,
  });

  async function checkAcks(topic: string): Promise<void> {
    if (options.acksConfirmed === "all" || (await detect(topic)).readsByOffset) return;
    throw new KafkaError(
      "misconfigured",
      "this proxy does not show with which acks it writes, and the default of its kind may be 1, which loses messages: set acks to `all` in its producer configuration, then KAFKA_ACKS_CONFIRMED=all here",
    );
  }

  /** What the proxy at hand would refuse or mangle is not sent; its neighbours are. */
  async function refusals(topic: string, records: readonly ProduceRecord[]) {
    const refused = new Map<number, KafkaError>();
    if (!records.some((record) => hasExtras(record) || isValueless(record))) return refused;
    const { isBridge } = await detect(topic);
    records.forEach((record, i) => {
      if (isBridge) {
        // The bridge's binary format demands a value, and decodes a null as if it were the text "null".
        if (record.value === null || record.headers?.some(({ value }) => value === null))
          refused.set(
            i,
            unsupported("rest-v2", "send a null through Strimzi's bridge", "send an empty value"),
          );
      } else if (hasExtras(record)) {
        const what = "send headers or timestamps through this proxy";
        refused.set(i, unsupported("rest-v2", what, "leave them out"));
      }
    });
    return refused;
  }

  async function send(topic: string, records: readonly ProduceRecord[]): Promise<RestV2Outcome[]> {
    const what = `producing to ${topic}`;
    try {
      const answer = await client.call({
        method: "POST",
        path: topicPath(topic),
        accept: V2,
        contentType: BINARY,
        body: JSON.stringify({ records: records.map(toWire) }),
        timeoutMs: PRODUCE_TIMEOUT_MS,
      });
      return readProduceAnswer(answer, records, what);
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code !== "timeout") throw error;
      return await explainTimeout(topic, records, error);
    }
  }

  /** Strimzi waits a minute for a topic or partition to appear that is not there: who asks for it learns so. */
  async function explainTimeout(
    topic: string,
    records: readonly ProduceRecord[],
    timeout: KafkaError,
  ): Promise<ProduceOutcome[]> {
    if (knownProxy(url)?.tellsMetadata === false) throw timeout;
    const described = await describeTopic(client, topic).catch((error: unknown) => {
      throw error instanceof KafkaError && error.code === "unknown_topic" ? error : timeout;
    });
    const present = new Set(described.partitions.map(({ partition }) => partition));
    if (records.every(({ partition }) => present.has(partition))) throw timeout;
    return records.map(({ partition }) => ({
      ok: false,
      error: present.has(partition)
        ? timeout
        : new KafkaError("unknown_topic", `producing to ${topic}: there is no partition ${partition}`),
    }));
  }

  const transport: KafkaTransport = {
    name: "rest-v2",
    async capabilities() {
      const { readsByOffset, tellsMetadata, isBridge, v3ClusterId } = await detect();
      const acks = options.acksConfirmed === "all" ? "confirmed" : "unconfirmed";
      return {
        reads: true,
        partitionCounts: tellsMetadata ? "cluster" : configured === undefined ? "probed" : "configured",
        endOffsets: tellsMetadata ? "exact" : "probed",
        acks: readsByOffset ? "default-all" : acks,
        values: "bytes",
        recordHeaders: isBridge ? "read-write" : "none",
        createTopics: v3ClusterId !== undefined,
        describeTopics: tellsMetadata ? "replicas" : "partitions",
        groupOffsets: false,
        deleteRecords: false,
      };
    },

    async produce(topic, records) {
      await checkAcks(topic);
      const refused = await refusals(topic, records);
      const sent = records.filter((_, i) => !refused.has(i));
      const outcomes = sent.length === 0 ? [] : await sendAndLocate(topic, sent);
      let next = 0;
      return records.map((_, i): ProduceOutcome => {
        const error = refused.get(i);
        if (error) return { ok: false, error };
        return (
          outcomes[next++] ?? { ok: false, error: new KafkaError("bad_answer", "an outcome is missing") }
        );
      });
    },

    async fetch(request) {
      const { topic, partition, offset, maxBytes, waitMs } = request;
      if (!(await detect(topic)).readsByOffset) return await instances.fetch(request);
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
      return fromWire(answer.json, partition, offset, what);
    },

    async earliestOffset(topic, partition, nearOffset) {
      if ((await detect(topic)).tellsMetadata) return (await readBounds(client, topic, partition)).start;
      return await findEarliest(transport, client, topic, partition, nearOffset);
    },

    async latestOffset(topic, partition, nearOffset) {
      if ((await detect(topic)).tellsMetadata) return (await readBounds(client, topic, partition)).end;
      return await findLatest(transport, client, topic, partition, nearOffset);
    },

    async partitionCount(topic) {
      const proxy = await detect(topic).catch((error: unknown) => {
        // A configured count holds while the proxy is away.
        if (configured === undefined || !(error instanceof KafkaError && error.retryable)) throw error;
        return undefined;
      });
      if (proxy?.tellsMetadata) return (await describeTopic(client, topic)).partitions.length;
      return configured ?? (await countPartitions(transport, topic));
    },

    topics: async () => await listTopics(client),

    async describeTopic(topic) {
      if ((await detect(topic)).tellsMetadata) return await describeTopic(client, topic);
      const count = await transport.partitionCount(topic);
      return { name: topic, partitions: Array.from({ length: count }, (_, partition) => ({ partition })) };
    },

    async createTopic(spec) {
      const { v3ClusterId } = await detect();
      if (v3ClusterId !== undefined) return await createTopic(client, v3ClusterId, spec);
      throw unsupported(
        "rest-v2",
        "make topics: this proxy has no v3 API beside v2",
        "make it with the cluster's own tool",
      );
    },

    // A commit could be sent; reading it back is a GET with a body in all v2 proxies, which fetch does not send.
    commitOffset: async () => {
      throw unsupported("rest-v2", "commit offsets", "they are kept in storage");
    },
    committedOffset: async () => {
      throw unsupported("rest-v2", "read committed offsets", "they are kept in storage");
    },
    deleteRecords: async () => {
      throw unsupported("rest-v2", "delete records", "set the topic's retention");
    },
    close: async () => await instances.close(),
  };

  async function sendAndLocate(topic: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]> {
    const endsBefore = new Map<number, number>();
    if (records.some(isValueless) && (await detect(topic)).tellsMetadata) {
      const partitions = new Set(records.filter(isValueless).map(({ partition }) => partition));
      await Promise.all(
        [...partitions].map(async (partition) => {
          const bounds = await readBounds(client, topic, partition).catch(noneWhereUnknown);
          if (bounds) endsBefore.set(partition, bounds.end);
        }),
      );
    }
    return await locate(
      (request) => instances.fetch(request),
      topic,
      records,
      await send(topic, records),
      endsBefore,
    );
  }

  return transport;
}

/** A partition that is not there fails by itself, in the answer to the produce. */
function noneWhereUnknown(error: unknown): undefined {
  if (error instanceof KafkaError && error.code === "unknown_topic") return undefined;
  throw error;
}

function hasExtras({ headers, timestampMs }: ProduceRecord): boolean {
  return (headers?.length ?? 0) > 0 || timestampMs !== undefined;
}
