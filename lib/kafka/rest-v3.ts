// Transport `rest-v3`: writing and topics by the Confluent REST API version 3 (Confluent Cloud, Confluent Platform;
// confluentinc/kafka-rest, api/v3/openapi.yaml). It has no reads of records: another transport reads.
// Order: the proxy hands a call's records to its producer one after the other (StreamingResponse, ProduceAction), and
// reports in that order. Its producer is never idempotent (KafkaRestConfig.getProducerProperties), so a batch that it
// sends again by itself can come behind a later one of the same partition, unless the proxy's operator sets
// producer.max.in.flight.requests.per.connection=1. So order holds but at a broker's fault, as it does over our retries.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import { createRestClient, type RestAnswer, type RestCall, type RestCredentials } from "./rest-http.ts";
import { createClusterId, v3Root } from "./rest-v3-cluster.ts";
import { fromV3Answer, fromV3Code } from "./rest-v3-errors.ts";
import { reportsAnswer, withReportsAsOne, type Reports } from "./rest-v3-http.ts";
import { unsupported, type KafkaTransport, type ProduceOutcome, type ProduceRecord } from "./transport.ts";

const JSON_TYPE = "application/json";
const PRODUCE_TIMEOUT_MS = 5_000;
const METADATA_TIMEOUT_MS = 5_000;
/** A produce call may ask this beside it, so that it ends within 10 s with the question for the cluster's id. */
const EXPLAIN_TIMEOUT_MS = 2_000;

export interface RestV3Options extends RestCredentials {
  /** What stands before `/v3`. */
  url: string;
  /** Absent: asked for. */
  clusterId?: string | undefined;
  /** KAFKA_ACKS_CONFIRMED: somebody vouches for the proxy's `producer.acks`. */
  acksConfirmed?: "all" | undefined;
  fetch?: typeof fetch;
}

const report = z.object({
  error_code: z.int(),
  message: z.string().nullish(),
  partition_id: z.int().nullish(),
  offset: z.int().nullish(),
});
const topic = z.object({ topic_name: z.string(), partitions_count: z.int().min(1) });
const topicList = z.object({ data: z.array(z.object({ topic_name: z.string() })) });
const configList = z.object({ data: z.array(z.object({ name: z.string(), value: z.string().nullish() })) });

export function createRestV3(options: RestV3Options): KafkaTransport {
  const root = v3Root(options.url);
  const fetcher: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
  const client = createRestClient(root, options, withReportsAsOne(fetcher));
  const cluster = createClusterId(root, client, options.clusterId);

  async function call(
    path: string,
    what: string,
    rest: Pick<RestCall, "method"> & { body?: string; timeoutMs?: number } = { method: "GET" },
  ): Promise<RestAnswer> {
    const answer = await client.call({
      path: `/v3/clusters/${encodeURIComponent(await cluster.get())}/topics${path}`,
      accept: JSON_TYPE,
      // A 429 may be a page of Jetty's DoSFilter (openapi.yaml, TooManyRequestsErrorResponse).
      isAnyBodyTaken: true,
      timeoutMs: METADATA_TIMEOUT_MS,
      ...(rest.body !== undefined && { contentType: JSON_TYPE }),
      ...rest,
    });
    if (answer.status === 200 || answer.status === 201) return answer;
    const error = fromV3Answer(answer, what);
    if (error.code === "misconfigured") cluster.forget();
    throw error;
  }

  async function describe(name: string, what: string, timeoutMs = METADATA_TIMEOUT_MS) {
    const parsed = topic.safeParse((await call(topicPath(name), what, { method: "GET", timeoutMs })).json);
    if (!parsed.success) throw new KafkaError("bad_answer", `${what}: no count of partitions`);
    return parsed.data;
  }

  async function send(name: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]> {
    const what = `producing to ${name}`;
    try {
      const answer = await call(`${topicPath(name)}/records`, what, {
        method: "POST",
        body: records.map(toRequest).join("\n"),
        timeoutMs: PRODUCE_TIMEOUT_MS,
      });
      const parsed = reportsAnswer.safeParse(answer.json);
      if (!parsed.success)
        throw new KafkaError("bad_answer", `${what}: HTTP ${answer.status} without reports`);
      return readReports(parsed.data, records, what);
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code !== "timeout") throw error;
      return records.map(() => ({ ok: false, error }));
    }
  }

  /**
   * The proxy's producer waits a minute for a topic or partition that is not there (max.block.ms), and what follows in
   * the stream waits with it. Whose record that was fails for good, so that its neighbours can be sent again without it.
   */
  async function explainTimeouts(
    name: string,
    records: readonly ProduceRecord[],
    outcomes: ProduceOutcome[],
  ): Promise<ProduceOutcome[]> {
    const what = `producing to ${name}`;
    const count = await describe(name, what, EXPLAIN_TIMEOUT_MS).then(
      (described) => described.partitions_count,
      (error: unknown) => (error instanceof KafkaError && error.code === "unknown_topic" ? 0 : Infinity),
    );
    return outcomes.map((outcome, i) => {
      const partition = records[i]?.partition ?? 0;
      if (!isTimeout(outcome) || partition < count) return outcome;
      const missing = count === 0 ? "no such topic" : `no partition ${partition}`;
      return { ok: false, error: new KafkaError("unknown_topic", `${what}: there is ${missing}`) };
    });
  }

  return {
    name: "rest-v3",
    capabilities: async () => ({
      reads: false,
      partitionCounts: "cluster",
      endOffsets: "probed",
      // The proxy sets no acks of its own (KafkaRestConfig.getProducerProperties), so its Kafka client's default
      // holds: all since Kafka 3.0 (KIP-679), which is Platform 7.0. Platform 6.2, the first with these routes and
      // out of support, has 1. An operator's `producer.acks` is not shown.
      acks: options.acksConfirmed === "all" ? "confirmed" : "default-all",
      values: "bytes",
      recordHeaders: "write",
      createTopics: true,
      // Replicas can be asked for on Platform only, by one call a partition: too many for one invocation.
      describeTopics: "settings",
      groupOffsets: false,
      deleteRecords: false,
    }),

    async produce(name, records) {
      if (records.length === 0) return [];
      const outcomes = await send(name, records);
      return outcomes.some(isTimeout) ? await explainTimeouts(name, records, outcomes) : outcomes;
    },

    fetch: mustReadElsewhere("read messages"),
    earliestOffset: mustReadElsewhere("tell where a log begins"),
    latestOffset: mustReadElsewhere("tell where a log ends"),
    commitOffset: mustReadElsewhere("commit offsets"),
    committedOffset: mustReadElsewhere("read committed offsets"),
    async deleteRecords() {
      throw unsupported("rest-v3", "delete records", "use the cluster's own tool");
    },

    partitionCount: async (name) => (await describe(name, `counting partitions of ${name}`)).partitions_count,

    async topics() {
      const what = "listing topics";
      const parsed = topicList.safeParse((await call("", what)).json);
      if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of topics`);
      return parsed.data.data.map((one) => one.topic_name);
    },

    async describeTopic(name) {
      const what = `describing ${name}`;
      const { partitions_count: count } = await describe(name, what);
      const configs = configList.safeParse((await call(`${topicPath(name)}/configs`, what)).json);
      if (!configs.success) throw new KafkaError("bad_answer", `${what}: not a list of settings`);
      const config: Record<string, string> = {};
      for (const one of configs.data.data) if (typeof one.value === "string") config[one.name] = one.value;
      return { name, partitions: Array.from({ length: count }, (_, partition) => ({ partition })), config };
    },

    async createTopic({ name, partitions, replicationFactor, config }) {
      const body = JSON.stringify({
        topic_name: name,
        partitions_count: partitions,
        ...(replicationFactor !== undefined && { replication_factor: replicationFactor }),
        configs: Object.entries(config).map(([setting, value]) => ({ name: setting, value })),
      });
      await call("", `creating ${name}`, { method: "POST", body });
    },

    close: async () => undefined,
  };
}

function mustReadElsewhere(what: string): () => Promise<never> {
  return async () => {
    throw unsupported("rest-v3", what, "set KAFKA_READ_TRANSPORT to `native` or `rest-v2`");
  };
}

/** One record as the request holds it. A null key or value is left out. */
function toRequest({ partition, key, value, headers = [], timestampMs }: ProduceRecord): string {
  return JSON.stringify({
    partition_id: partition,
    ...(headers.length > 0 && { headers: headers.map((header) => toHeader(header.name, header.value)) }),
    ...(key && { key: { type: "BINARY", data: toBase64(key) } }),
    ...(value && { value: { type: "BINARY", data: toBase64(value) } }),
    ...(timestampMs !== undefined && { timestamp: new Date(timestampMs).toISOString() }),
  });
}

function toHeader(name: string, value: Uint8Array | null): { name: string; value?: string } {
  return value === null ? { name } : { name, value: toBase64(value) };
}

/** A record's report is told by its place alone, so nothing is believed once places cannot be trusted. */
function readReports(
  { reports, end }: Reports,
  records: readonly ProduceRecord[],
  what: string,
): ProduceOutcome[] {
  if (reports.length > records.length) {
    throw new KafkaError("bad_answer", `${what}: ${reports.length} reports for ${records.length} records`);
  }
  return records.map(({ partition }, i): ProduceOutcome => {
    const fail = (code: "bad_answer" | "timeout", why: string): ProduceOutcome => ({
      ok: false,
      error: new KafkaError(code, `${what}, partition ${partition}: ${why}; durability unknown`),
    });
    if (i >= reports.length) {
      if (end === "timeout") return fail("timeout", `no report within ${PRODUCE_TIMEOUT_MS} ms`);
      return fail("bad_answer", `the answer ended (${end}) after ${reports.length} reports`);
    }
    const parsed = report.safeParse(reports[i]);
    if (!parsed.success) return fail("bad_answer", "its report has no error_code");
    const { error_code: code, message, partition_id: wrote, offset } = parsed.data;
    if (code !== 200)
      return { ok: false, error: fromV3Code(code, message ?? "", `${what}, partition ${partition}`) };
    if (wrote !== partition) return fail("bad_answer", `its report is about partition ${wrote ?? "none"}`);
    if (offset === undefined || offset === null || offset < 0)
      return fail("bad_answer", "its report has no offset");
    return { ok: true, partition, offset };
  });
}

function isTimeout(outcome: ProduceOutcome): boolean {
  return !outcome.ok && outcome.error.code === "timeout";
}

function topicPath(name: string): string {
  return `/${encodeURIComponent(name)}`;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
