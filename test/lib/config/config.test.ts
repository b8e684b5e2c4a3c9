import { describe, expect, it } from "vitest";
import { ConfigError, readConfig as readWholeConfig } from "../../../lib/config/config.ts";

/** With the one setting that production cannot do without. */
const readConfig = (env: Record<string, unknown>) =>
  readWholeConfig({ KAFKA_REST_URL: "https://proxy.example", ...env });

function faultsOf(env: Record<string, unknown>): ConfigError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the environment was taken");
}

const wrongSettings = (env: Record<string, unknown>) => faultsOf(env).faults.map(({ setting }) => setting);

describe("what is taken", () => {
  it("needs the proxy's address in production only", () => {
    expect(() => readWholeConfig({})).toThrow(/KAFKA_REST_URL must be set in production/);
    expect(readWholeConfig({ ENVIRONMENT: "development" }).KAFKA_REST_URL).toBe("http://127.0.0.1:18082");
  });

  it("works with nothing else set, as production", () => {
    expect(readConfig({})).toMatchObject({
      ENVIRONMENT: "production",
      KAFKA_TRANSPORT: "rest-v2",
      KAFKA_CONSUMER_GROUP: "weir",
      KAFKA_AUTO_OFFSET_RESET: "earliest",
      KEY_STRATEGY: "source",
      TOPIC_TEMPLATE: "{signal}.{stage}",
      DEFAULT_TENANT: "default",
      topicOverrides: {},
    });
  });

  it("takes an empty text for unset, and leaves other variables alone", () => {
    const config = readConfig({ KAFKA_PARTITIONS: "", KAFKA_REST_TOKEN: "", PATH: "/bin", DB: {} });
    expect(config.KAFKA_PARTITIONS).toBeUndefined();
    expect(config).not.toHaveProperty("PATH");
  });

  it("reads a count out of its text", () =>
    expect(readConfig({ KAFKA_PARTITIONS: "12" }).KAFKA_PARTITIONS).toBe(12));

  it("reads the brokers by either of their names", () => {
    const native = { KAFKA_TRANSPORT: "native" };
    expect(readWholeConfig({ ...native, KAFKA_BROKERS: "a:9092, [::1]:9093" }).brokers).toEqual([
      "a:9092",
      "[::1]:9093",
    ]);
    expect(readWholeConfig({ ...native, KAFKA_BOOTSTRAP_SERVERS: "a:1" }).brokers).toEqual(["a:1"]);
    expect(readConfig({}).brokers).toEqual([]);
  });

  it("takes KAFKA_ENABLED=false for the embedded log, which needs no address", () => {
    expect(readWholeConfig({ KAFKA_ENABLED: "false" }).KAFKA_TRANSPORT).toBe("embedded");
    expect(readWholeConfig({ KAFKA_TRANSPORT: "embedded" }).KAFKA_TRANSPORT).toBe("embedded");
  });

  it("takes a SASL mechanism in any case", () => {
    const sasl = {
      KAFKA_SASL_MECHANISM: "scram-sha-256",
      KAFKA_SASL_USERNAME: "u",
      KAFKA_SASL_PASSWORD: "p",
    };
    expect(readConfig({ ...sasl, KAFKA_TLS: "true" }).KAFKA_SASL_MECHANISM).toBe("SCRAM-SHA-256");
  });

  it("reads a topic by either of its names", () => {
    expect(
      readConfig({
        KAFKA_LOG_TOPIC: "a",
        KAFKA_METRICS_TOPIC: "b",
        KAFKA_TOPIC_REQUESTS: "c",
        KAFKA_TOPIC_TRACES: "d",
      }).topicOverrides,
    ).toEqual({ logs: "a", metrics: "b", events: "c", traces: "d" });
    expect(readConfig({ KAFKA_TOPIC_LOGS: "a", KAFKA_LOG_TOPIC: "a" }).topicOverrides).toEqual({ logs: "a" });
  });
});

describe("what is refused", () => {
  it("is told all at once", () => {
    const env = {
      ENVIRONMENT: "prod",
      KAFKA_TRANSPORT: "udp",
      KAFKA_PARTITIONS: "0",
      KAFKA_REST_URL: "ftp://x",
      KAFKA_TOPIC_LOGS: "a b",
      KAFKA_REST_USERNAME: "u",
    };
    const error = faultsOf(env);
    expect(error.faults.map(({ setting }) => setting).toSorted()).toEqual([
      "ENVIRONMENT",
      "KAFKA_PARTITIONS",
      "KAFKA_REST_PASSWORD",
      "KAFKA_REST_URL",
      "KAFKA_TOPIC_LOGS",
      "KAFKA_TRANSPORT",
    ]);
    for (const { setting } of error.faults) expect(error.message).toContain(setting);
    expect(error).toMatchObject({ name: "ConfigError", code: "misconfigured", retryable: false });
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["a fraction of partitions", { KAFKA_PARTITIONS: "1.5" }, ["KAFKA_PARTITIONS"]],
    ["partitions in words", { KAFKA_PARTITIONS: "three" }, ["KAFKA_PARTITIONS"]],
    ["blank partitions", { KAFKA_PARTITIONS: " " }, ["KAFKA_PARTITIONS"]],
    ["too many partitions", { KAFKA_PARTITIONS: "10001" }, ["KAFKA_PARTITIONS"]],
    ["a relative URL", { KAFKA_REST_URL: "localhost" }, ["KAFKA_REST_URL"]],
    ["a URL that is no text", { KAFKA_REST_URL: {} }, ["KAFKA_REST_URL"]],
    ["a blank password", { KAFKA_REST_USERNAME: "u", KAFKA_REST_PASSWORD: "  " }, ["KAFKA_REST_PASSWORD"]],
    ["a password alone", { KAFKA_REST_PASSWORD: "p" }, ["KAFKA_REST_USERNAME"]],
    [
      "a token beside a user",
      { KAFKA_REST_TOKEN: "t", KAFKA_REST_USERNAME: "u", KAFKA_REST_PASSWORD: "p" },
      ["KAFKA_REST_TOKEN"],
    ],
    ["the native protocol without brokers", { KAFKA_TRANSPORT: "native" }, ["KAFKA_BROKERS"]],
    ["reads by the native protocol without brokers", { KAFKA_READ_TRANSPORT: "native" }, ["KAFKA_BROKERS"]],
    ["a broker without a port", { KAFKA_BROKERS: "a:9092,b" }, ["KAFKA_BROKERS"]],
    ["a broker with a protocol", { KAFKA_BROKERS: "kafka://a:9092" }, ["KAFKA_BROKERS"]],
    ["a port beyond all", { KAFKA_BROKERS: "a:70000" }, ["KAFKA_BROKERS"]],
    [
      "two lists of brokers",
      { KAFKA_BROKERS: "a:1", KAFKA_BOOTSTRAP_SERVERS: "b:1" },
      ["KAFKA_BOOTSTRAP_SERVERS"],
    ],
    ["rest-v3 with nothing to read by", { KAFKA_TRANSPORT: "rest-v3" }, ["KAFKA_READ_TRANSPORT"]],
    [
      "rest-v3 read by itself",
      { KAFKA_TRANSPORT: "rest-v3", KAFKA_READ_TRANSPORT: "rest-v3" },
      ["KAFKA_READ_TRANSPORT"],
    ],
    [
      "no Kafka, and a way to reach it",
      { KAFKA_ENABLED: "false", KAFKA_TRANSPORT: "native", KAFKA_READ_TRANSPORT: "rest-v2" },
      ["KAFKA_READ_TRANSPORT", "KAFKA_TRANSPORT"],
    ],
    [
      "what only a Kafka can do, without one",
      { KAFKA_ENABLED: "false", KAFKA_PARTITIONS: "501", KAFKA_TOPIC_CLEANUP: "compact" },
      ["KAFKA_PARTITIONS", "KAFKA_TOPIC_CLEANUP"],
    ],
    [
      "a SASL user alone",
      { KAFKA_SASL_USERNAME: "u", KAFKA_TLS: "true" },
      ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_PASSWORD"],
    ],
    [
      "a password in clear, in production",
      { KAFKA_SASL_MECHANISM: "PLAIN", KAFKA_SASL_USERNAME: "u", KAFKA_SASL_PASSWORD: "p" },
      ["KAFKA_TLS"],
    ],
    [
      "a mechanism there is not",
      {
        KAFKA_SASL_MECHANISM: "GSSAPI",
        KAFKA_SASL_USERNAME: "u",
        KAFKA_SASL_PASSWORD: "p",
        KAFKA_TLS: "true",
      },
      ["KAFKA_SASL_MECHANISM"],
    ],
    ["acks of one, confirmed", { KAFKA_ACKS_CONFIRMED: "1" }, ["KAFKA_ACKS_CONFIRMED"]],
    ["a linger of minutes", { KAFKA_LINGER_MS: "60000" }, ["KAFKA_LINGER_MS"]],
    ["batches beyond a request", { KAFKA_BATCH_BYTES: "1000000" }, ["KAFKA_BATCH_BYTES"]],
    ["a retention of nothing", { KAFKA_TOPIC_RETENTION_MS: "0" }, ["KAFKA_TOPIC_RETENTION_MS"]],
    [
      "two names that differ",
      { KAFKA_TOPIC_EVENTS: "a", KAFKA_TOPIC_REQUESTS: "b" },
      ["KAFKA_TOPIC_REQUESTS"],
    ],
    ["a template without the stage", { TOPIC_TEMPLATE: "{signal}" }, ["TOPIC_TEMPLATE"]],
    ["a template with another field", { TOPIC_TEMPLATE: "{signal}.{stage}.{team}" }, ["TOPIC_TEMPLATE"]],
    ["a topic called ..", { KAFKA_TOPIC_LOGS: ".." }, ["KAFKA_TOPIC_LOGS"]],
    ["a topic of 250 letters", { KAFKA_TOPIC_LOGS: "a".repeat(250) }, ["KAFKA_TOPIC_LOGS"]],
    // Regression: these went into topic names unchecked.
    ["an organisation with a space", { TOPIC_ORG: "my org" }, ["TOPIC_ORG"]],
    ["a domain with a slash", { TOPIC_DOMAIN: "a/b" }, ["TOPIC_DOMAIN"]],
    ["a tenant with a dot", { DEFAULT_TENANT: "a.b" }, ["DEFAULT_TENANT"]],
    ["a group with a space", { KAFKA_CONSUMER_GROUP: "a b" }, ["KAFKA_CONSUMER_GROUP"]],
    ["another case", { ENVIRONMENT: "Development" }, ["ENVIRONMENT"]],
    [
      "a text for a choice",
      { STORAGE: "mysql", KEY_STRATEGY: "host", KAFKA_AUTO_OFFSET_RESET: "none" },
      ["KAFKA_AUTO_OFFSET_RESET", "KEY_STRATEGY", "STORAGE"],
    ],
  ])("%s", (_, env, settings) => expect(wrongSettings(env).toSorted()).toEqual(settings));
});

describe("a secret", () => {
  const SECRET = "hunter2-S3CRET";

  it.each<[string, Record<string, unknown>]>([
    ["as a password without its user", { KAFKA_REST_PASSWORD: SECRET }],
    [
      "as a token beside a user",
      { KAFKA_REST_TOKEN: SECRET, KAFKA_REST_USERNAME: "u", KAFKA_REST_PASSWORD: SECRET },
    ],
    ["in a URL, as user and password", { KAFKA_REST_URL: `https://u:${SECRET}@kafka.example` }],
    // Regression: a URL with a password and no user was taken, and fetch repeats such a URL in its error.
    ["in a URL, as a password alone", { KAFKA_REST_URL: `https://:${SECRET}@kafka.example` }],
    ["in a URL, as a user alone", { KAFKA_REST_URL: `https://${SECRET}@kafka.example` }],
    ["in a URL that is none", { KAFKA_REST_URL: `//u:${SECRET}@kafka.example` }],
    ["in a URL of another protocol", { KAFKA_REST_URL: `kafka://u:${SECRET}@kafka.example` }],
    [
      "in a setting it does not belong to",
      {
        ENVIRONMENT: SECRET,
        KAFKA_TRANSPORT: SECRET,
        KAFKA_PARTITIONS: SECRET,
        DEFAULT_TENANT: `${SECRET}.`,
        TOPIC_TEMPLATE: SECRET,
        KAFKA_TOPIC_LOGS: `${SECRET} `,
        KAFKA_CONSUMER_GROUP: `${SECRET} `,
      },
    ],
    ["as a password that is no text", { KAFKA_REST_USERNAME: "u", KAFKA_REST_PASSWORD: [SECRET] }],
    ["as a SASL password without its user", { KAFKA_SASL_PASSWORD: SECRET, KAFKA_BROKERS: `${SECRET}@b` }],
    ["in both names of a topic", { KAFKA_TOPIC_LOGS: SECRET, KAFKA_LOG_TOPIC: `${SECRET}2` }],
  ])("never appears in the error: %s", (_, env) => {
    const error = faultsOf(env);
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain(
      SECRET,
    );
  });
});
