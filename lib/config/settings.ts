// Every setting Weir reads from its environment, declared once: name, shape, default, description. The README's
// table and the names that `npm start` hands to the worker are taken from here.
import { z } from "zod";

const optionalText = z.string().trim().min(1).optional();

/** A topic name as Kafka allows it: letters, digits, dot, underscore, hyphen, at most 249 (Kafka's `Topic.validate`). */
const topicName = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, "must be a Kafka topic name: letters, digits, `.`, `_`, `-`, at most 249")
  .refine((name) => name !== "." && name !== "..", "must not be `.` or `..`");

/** What stands for a placeholder of TOPIC_TEMPLATE. */
const topicPart = z.string().regex(/^[a-zA-Z0-9._-]{1,100}$/, "letters, digits, `.`, `_`, `-`, at most 100");

const httpUrl = z
  .string()
  .refine((text) => URL.canParse(text), "must be an absolute http(s) URL")
  .refine((text) => !URL.canParse(text) || /^https?:$/.test(new URL(text).protocol), "must be an http(s) URL")
  .refine(
    (text) => !URL.canParse(text) || (new URL(text).username === "" && new URL(text).password === ""),
    "must not carry credentials; use KAFKA_REST_USERNAME and KAFKA_REST_PASSWORD",
  );

/** `host:port`, one or more; IPv6 addresses in brackets. */
const brokerList = z
  .string()
  .transform((text) => text.split(",").map((one) => one.trim()))
  .refine((brokers) => brokers.every(isBroker), "must be `host:port`, or several with commas between");

function isBroker(text: string): boolean {
  const [, port] = /^(?:[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text) ?? [];
  return port !== undefined && Number(port) <= 65_535;
}

function wholeNumber(min: number, max: number) {
  return z
    .string()
    .refine(
      (text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);
}

const onOff = z.enum(["on", "off"]);

/** Kafka's limits on age and size: -1 is none. */
const retention = z
  .string()
  .regex(/^(-1|[1-9]\d{0,14})$/, "must be a whole number above 0, or -1 for no limit")
  .transform(Number);

/** The transports there are; create-transport.ts has one for each. */
export const TRANSPORT_NAMES = ["rest-v2", "rest-v3", "upstash", "native", "embedded"] as const;
export type TransportName = (typeof TRANSPORT_NAMES)[number];

export const settingsSchema = z.object({
  ENVIRONMENT: z
    .enum(["development", "test", "production"])
    .default("production")
    .describe("`development` takes the public development key; everywhere else it is refused"),
  KAFKA_ENABLED: z
    .enum(["true", "false"])
    .default("true")
    .describe("`false`: no Kafka at all, the log is kept in Durable Objects (`KAFKA_TRANSPORT=embedded`)"),
  KAFKA_TRANSPORT: z
    .enum(TRANSPORT_NAMES)
    .default("rest-v2")
    .describe(
      "how Kafka is reached: `rest-v2` (Redpanda, Karapace, Confluent, Strimzi), `rest-v3` (Confluent; writes only), `upstash`, `native` (Kafka's own protocol) or `embedded` (no Kafka)",
    ),
  KAFKA_READ_TRANSPORT: z
    .enum(["rest-v2", "upstash", "native"])
    .optional()
    .describe("what reads, where KAFKA_TRANSPORT cannot or should not: needed by `rest-v3`"),
  KAFKA_REST_URL: httpUrl
    .default("http://127.0.0.1:18082")
    .describe("address of the REST proxy; the default is local-kafka's, and not taken in production"),
  KAFKA_REST_USERNAME: optionalText.describe("user name for the REST proxy (Basic)"),
  KAFKA_REST_PASSWORD: optionalText.describe("password for the REST proxy (Basic); a secret"),
  KAFKA_REST_TOKEN: optionalText.describe(
    "bearer token for the REST proxy, instead of user and password; a secret",
  ),
  KAFKA_CLUSTER_ID: optionalText.describe("`rest-v3`: id of the cluster; unset: asked for"),
  KAFKA_BROKERS: brokerList
    .optional()
    .describe("`native`: addresses to begin with, `host:port` with commas between"),
  KAFKA_BOOTSTRAP_SERVERS: brokerList.optional().describe("another name for KAFKA_BROKERS"),
  KAFKA_SASL_MECHANISM: z
    .string()
    .toUpperCase()
    .pipe(z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]))
    .optional()
    .describe("`native`: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; unset: no authentication"),
  KAFKA_SASL_USERNAME: optionalText.describe("`native`: user name"),
  KAFKA_SASL_PASSWORD: optionalText.describe("`native`: password; a secret"),
  KAFKA_TLS: z
    .enum(["true", "false"])
    .default("false")
    .describe("`native`: speak TLS; must be `true` in production where there is a password"),
  KAFKA_COMPRESSION: z
    .enum(["none", "gzip", "lz4", "zstd"])
    .default("lz4")
    .describe("`native`: how batches are compressed on their way"),
  KAFKA_ACKS_CONFIRMED: z
    .enum(["all"])
    .optional()
    .describe(
      "`all` vouches that the proxy writes with acks=all, where it does not show it (Karapace's default is 1); without it such a proxy is not written to",
    ),
  KAFKA_LINGER_MS: wholeNumber(0, 1_000)
    .default(0)
    .describe("gather the messages of many requests for this long into one produce call; 0: do not"),
  KAFKA_BATCH_BYTES: wholeNumber(1_024, 700_000)
    .default(500_000)
    .describe("gathered messages are sent before their time once they are this many bytes"),
  KAFKA_SHARDS: wholeNumber(1, 64)
    .default(4)
    .describe("`native` and KAFKA_LINGER_MS: how many Durable Objects share the partitions"),
  KAFKA_PARTITIONS: wholeNumber(1, 9_999)
    .optional()
    .describe(
      "partitions of each topic: `topics init` makes that many (3 when unset), and a proxy that tells no count is not probed for it",
    ),
  KAFKA_TOPIC_REPLICATION: wholeNumber(1, 99)
    .optional()
    .describe("replication factor of topics that `topics init` makes; unset: the cluster's default"),
  KAFKA_TOPIC_MIN_INSYNC: wholeNumber(1, 99)
    .optional()
    .describe("`min.insync.replicas` of the topics; unset: the cluster's default"),
  KAFKA_TOPIC_RETENTION_MS: retention
    .default(604_800_000)
    .describe("`retention.ms` of the topics; -1: no limit"),
  KAFKA_TOPIC_RETENTION_BYTES: retention
    .default(-1)
    .describe("`retention.bytes` of each partition of the topics; -1: no limit"),
  KAFKA_TOPIC_CLEANUP: z
    .enum(["delete", "compact", "compact,delete"])
    .default("delete")
    .describe("`cleanup.policy` of the topics"),
  KAFKA_TOPIC_COMPRESSION: z
    .enum(["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"])
    .default("lz4")
    .describe("`compression.type` of the topics"),
  KAFKA_CONSUMER_GROUP: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,200}$/, "letters, digits, `.`, `_`, `-`, at most 200")
    .default("weir")
    .describe("prefix of the consumer groups' names"),
  KAFKA_AUTO_OFFSET_RESET: z
    .enum(["earliest", "latest"])
    .default("earliest")
    .describe("where a group begins on a partition it has never read"),
  KEY_STRATEGY: z
    .enum(["source", "instance", "type", "tenant", "random"])
    .default("source")
    .describe("what a message's key is made of, and so its partition and order: `source` is `service:host`"),
  TOPIC_TEMPLATE: z
    .string()
    .default("{signal}.{stage}")
    .refine(
      (text) => text.includes("{signal}") && text.includes("{stage}"),
      "must contain {signal} and {stage}",
    )
    .refine(
      (text) => /^([a-zA-Z0-9._-]|\{(org|domain|signal|stage|env)\})+$/.test(text),
      "may contain {org} {domain} {signal} {stage} {env}, letters, digits, `.`, `_`, `-`",
    )
    .describe("names all topics; may contain {org} {domain} {signal} {stage} {env}"),
  TOPIC_ORG: topicPart.default("weir").describe("what {org} stands for in TOPIC_TEMPLATE"),
  TOPIC_DOMAIN: topicPart.default("telemetry").describe("what {domain} stands for in TOPIC_TEMPLATE"),
  KAFKA_TOPIC_LOGS: topicName.optional().describe("the raw topic of logs, instead of the template's"),
  KAFKA_TOPIC_METRICS: topicName.optional().describe("the raw topic of metrics, instead of the template's"),
  KAFKA_TOPIC_EVENTS: topicName.optional().describe("the raw topic of events, instead of the template's"),
  KAFKA_TOPIC_TRACES: topicName.optional().describe("the raw topic of traces, instead of the template's"),
  KAFKA_LOG_TOPIC: topicName.optional().describe("another name for KAFKA_TOPIC_LOGS"),
  KAFKA_METRICS_TOPIC: topicName.optional().describe("another name for KAFKA_TOPIC_METRICS"),
  KAFKA_TOPIC_REQUESTS: topicName.optional().describe("another name for KAFKA_TOPIC_EVENTS"),
  STORAGE: z
    .enum(["d1", "postgres"])
    .default("d1")
    .describe(
      "where results go: `d1` is Cloudflare's SQLite, `postgres` is reached by the binding HYPERDRIVE (docs/storage.md)",
    ),
  SPILL: onOff
    .default("on")
    .describe(
      "`on`: while Kafka is away records are kept in Durable Objects, and go to Kafka once it is back",
    ),
  SPILL_SHARDS: wholeNumber(1, 64)
    .default(8)
    .describe("how many Durable Objects keep them; changed only while nothing is kept"),
  SPILL_MAX_BYTES: wholeNumber(1, 8_000_000_000)
    .default(1_000_000_000)
    .describe("what each of those objects keeps at most; more is answered with 503 `spill_full`"),
  // Below the horizon of dedupe (24 h), with room for the draining.
  SPILL_MAX_AGE_MS: wholeNumber(1_000, 72_000_000)
    .default(43_200_000)
    .describe("once what is kept of a topic is this old, its new records are answered with 503 `spill_full`"),
  WINDOWS: z
    .string()
    .default("1m,5m,1h")
    .describe(
      "windows over metrics and spans, with commas between: tumbling `5m`, sliding `5m/1m`, sessions `session:30s` (docs/windows.md)",
    ),
  // Below a day, so that a window's final result comes before its raw rows may go.
  WINDOW_LATENESS_MS: wholeNumber(0, 86_400_000)
    .default(300_000)
    .describe(
      "how long after its end a window's result is called final; what comes later raises its revision",
    ),
  METRICS_PROCESSED: onOff
    .default("on")
    .describe("`on`: the windows' results are written to the topic `metrics.processed`"),
  LOGS_PROCESSED: onOff
    .default("off")
    .describe("`on`: logs as they were parsed and enriched are written to the topic `logs.processed`"),
  SERVICES: optionalText.describe(
    'what is added to the logs of a service: JSON such as `{"api":{"team":"core"}}` (docs/processors.md)',
  ),
  CONSUMER_GROUPS: optionalText.describe(
    "consumer groups beside `storage` and `alerting`: a JSON array of {name, does, signals?, start?} (docs/groups.md)",
  ),
  ALERTING: onOff
    .default("on")
    .describe("`on`: alert rules are judged, and the consumer group `alerting` reads raw metrics for them"),
  ALERT_TICK_MS: wholeNumber(1_000, 60_000).default(10_000).describe("how often alert rules are judged"),
  ALERT_WEBHOOK_SECRET: optionalText.describe("key of the signatures on webhooks of alerts; a secret"),
  RETENTION_RAW_DAYS: wholeNumber(1, 3_650)
    .default(7)
    .describe("for how many days logs, metric points, events and spans are kept, by their own time"),
  RETENTION_WINDOWS_DAYS: wholeNumber(1, 3_650)
    .default(90)
    .describe("for how many days windows are kept; at least RETENTION_RAW_DAYS"),
  DEFAULT_TENANT: z
    .string()
    .regex(/^[a-zA-Z0-9_-]{1,64}$/, "letters, digits, `_`, `-`, at most 64")
    .default("default")
    .describe("tenant of bare records that another producer wrote to a topic"),
  QUOTA_REQUESTS_PER_SECOND: wholeNumber(1, 1_000_000)
    .default(100)
    .describe("requests a second that a tenant may send, unless its key has limits of its own"),
  QUOTA_BURST: wholeNumber(1, 10_000_000).default(1_000).describe("requests at once, after a rest"),
  QUOTA_RECORDS_PER_SECOND: wholeNumber(1, 1_000_000_000)
    .optional()
    .describe("records a second that a tenant may send; unset: no limit"),
  QUOTA_BYTES_PER_SECOND: wholeNumber(1, 1_000_000_000_000)
    .optional()
    .describe("bytes a second, as sent; unset: no limit"),
  QUOTA_IN_DEVELOPMENT: onOff.default("off").describe("`on`: the development tenant has the quota, too"),
  CARDINALITY: z
    .enum(["off", "passive", "enforce"])
    .default("enforce")
    .describe(
      "what happens to new series over CARDINALITY_LIMIT: nothing, they are counted (`passive`), or folded into `__other__`",
    ),
  CARDINALITY_LIMIT: wholeNumber(1, 10_000_000)
    .default(10_000)
    .describe("active series (seen within a day) of one metric name of a tenant"),
  HOT_KEYS: onOff
    .default("on")
    .describe("`on`: a key over its rate is spread over partitions, which gives up its order"),
  HOT_KEY_RECORDS_PER_SECOND: wholeNumber(1, 1_000_000_000)
    .default(1_000)
    .describe("records a second of one key, as one isolate sees it, above which it is spread"),
  HOT_KEY_BYTES_PER_SECOND: wholeNumber(1, 1_000_000_000)
    .default(1_000_000)
    .describe("bytes a second of one key, as one isolate sees it, above which it is spread"),
  SCRUB_RULES: optionalText.describe(
    "what is dropped, hashed or masked at the edge: a JSON array of {signals?, path?, action, pattern?} (docs/scrubbing.md); regular expressions in it are the operator's own, a slow one slows the intake",
  ),
  SCRUB_SALT: optionalText.describe("key of the hashes that SCRUB_RULES makes; a secret"),
  PUBLISH_TOPICS: z
    .string()
    .transform((text) => text.split(",").map((one) => one.trim()))
    .pipe(z.array(topicName))
    .optional()
    .describe("topics that `/kafka/publish` may name, with commas between; unset: the raw events topic"),
  LOG_REQUESTS: z
    .enum(["all", "errors", "off"])
    .default("all")
    .describe("which requests get a line in the log: `errors` are those answered with 400 and above"),
  REQUEST_EVENTS: z
    .enum(["off", "errors", "all"])
    .default("off")
    .describe(
      "writes events that tell of the requests themselves (`http_request`, `http_response`, `error`) to the events topic",
    ),
  REQUEST_EVENTS_TENANT: z
    .string()
    .regex(/^[a-zA-Z0-9_-]{1,64}$/, "letters, digits, `_`, `-`, at most 64")
    .default("weir")
    .describe("tenant of those events"),
  REQUEST_EVENTS_IP: onOff
    .default("off")
    .describe("`on`: they hold the client's address, which is personal data"),
  // Workers end what was promised behind an answer after 30 s.
  EDGE_FLUSH_MS: wholeNumber(0, 20_000)
    .default(1_000)
    .describe(
      "how long an isolate keeps its counters before it gives them away, and so what its sudden end can lose; 0: after every answer",
    ),
});

export type Settings = z.output<typeof settingsSchema>;
