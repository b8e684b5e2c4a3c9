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

export const settingsSchema = z.object({
  ENVIRONMENT: z
    .enum(["development", "test", "production"])
    .default("production")
    .describe("`development` takes the public development key; everywhere else it is refused"),
  KAFKA_TRANSPORT: z
    .enum(["rest-v2"])
    .default("rest-v2")
    .describe("how Kafka is reached: `rest-v2` is Redpanda's HTTP proxy API"),
  KAFKA_REST_URL: httpUrl
    .default("http://127.0.0.1:18082")
    .describe("address of the REST proxy; the default is local-kafka's, and not taken in production"),
  KAFKA_REST_USERNAME: optionalText.describe("user name for the REST proxy (Basic)"),
  KAFKA_REST_PASSWORD: optionalText.describe("password for the REST proxy (Basic); a secret"),
  KAFKA_REST_TOKEN: optionalText.describe(
    "bearer token for the REST proxy, instead of user and password; a secret",
  ),
  KAFKA_PARTITIONS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, "must be a whole number from 1 to 9999")
    .transform(Number)
    .optional()
    .describe("partitions of each topic, where the proxy tells no count; unset: found by probing reads"),
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
  STORAGE: z.enum(["d1"]).default("d1").describe("where results go: `d1` is Cloudflare's SQLite"),
  DEFAULT_TENANT: z
    .string()
    .regex(/^[a-zA-Z0-9_-]{1,64}$/, "letters, digits, `_`, `-`, at most 64")
    .default("default")
    .describe("tenant of bare records that another producer wrote to a topic"),
});

export type Settings = z.output<typeof settingsSchema>;
