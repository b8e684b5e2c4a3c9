// The registry of transports: an unknown name throws, so nothing can select nothing. What needs to outlive a request (a
// TCP client, the gathering of many requests' messages) is reached through a host, a Durable Object; what that host
// holds is made here, too.
import { createEmbedded, type EmbeddedOptions } from "./embedded/embedded.ts";
import { createHosted, type TransportHostStub } from "./hosted.ts";
import { createNative } from "./native/native.ts";
import { pairTransports } from "./pair-transports.ts";
import { createRestV2 } from "./rest-v2.ts";
import { createRestV3 } from "./rest-v3.ts";
import type { KafkaTransport } from "./transport.ts";
import { createUpstash } from "./upstash.ts";

/** The settings that choose and configure a transport (lib/config/settings.ts describes each). */
export interface TransportConfig {
  KAFKA_TRANSPORT: string;
  KAFKA_READ_TRANSPORT?: string | undefined;
  KAFKA_REST_URL: string;
  KAFKA_REST_USERNAME?: string | undefined;
  KAFKA_REST_PASSWORD?: string | undefined;
  KAFKA_REST_TOKEN?: string | undefined;
  KAFKA_CLUSTER_ID?: string | undefined;
  KAFKA_CONSUMER_GROUP?: string | undefined;
  KAFKA_PARTITIONS?: number | undefined;
  KAFKA_ACKS_CONFIRMED?: "all" | undefined;
  KAFKA_SASL_MECHANISM?: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | undefined;
  KAFKA_SASL_USERNAME?: string | undefined;
  KAFKA_SASL_PASSWORD?: string | undefined;
  KAFKA_TLS: "true" | "false";
  KAFKA_COMPRESSION: "none" | "gzip" | "lz4" | "zstd";
  KAFKA_LINGER_MS: number;
  KAFKA_SHARDS: number;
  brokers: string[];
}

/** What the runtime lends to the transports. */
export interface TransportSurroundings {
  embedded: EmbeddedOptions;
  /** One of KAFKA_SHARDS hosts, for one call. */
  host: (shard: number) => TransportHostStub;
}

type Factory = (config: TransportConfig, around: Pick<TransportSurroundings, "embedded">) => KafkaTransport;

const transports: Record<string, Factory> = {
  "rest-v2": (config) =>
    createRestV2({
      ...rest(config),
      partitions: config.KAFKA_PARTITIONS,
      group: config.KAFKA_CONSUMER_GROUP,
      acksConfirmed: config.KAFKA_ACKS_CONFIRMED,
    }),
  "rest-v3": (config) =>
    createRestV3({
      ...rest(config),
      clusterId: config.KAFKA_CLUSTER_ID,
      acksConfirmed: config.KAFKA_ACKS_CONFIRMED,
    }),
  upstash: (config) => createUpstash({ ...rest(config), acksConfirmed: config.KAFKA_ACKS_CONFIRMED }),
  native: (config) =>
    createNative({
      brokers: config.brokers,
      sasl: sasl(config),
      tls: config.KAFKA_TLS === "true",
      compression: config.KAFKA_COMPRESSION,
    }),
  embedded: (_, { embedded }) => createEmbedded(embedded),
};

export const TRANSPORTS_THERE_ARE: readonly string[] = Object.keys(transports);

/** Those whose values are text; the capability of the others may be known only once Kafka has been asked. */
const TEXT_TRANSPORTS: ReadonlySet<string | undefined> = new Set(["upstash"]);

/** Whether a way to Kafka or back carries text alone, known without asking Kafka. */
export function carriesText({
  KAFKA_TRANSPORT,
  KAFKA_READ_TRANSPORT,
}: Pick<TransportConfig, "KAFKA_TRANSPORT" | "KAFKA_READ_TRANSPORT">): boolean {
  return TEXT_TRANSPORTS.has(KAFKA_TRANSPORT) || TEXT_TRANSPORTS.has(KAFKA_READ_TRANSPORT);
}

/** A transport for one invocation: it must not outlive the request that made it, which closes it. */
export function createTransport(config: TransportConfig, around: TransportSurroundings): KafkaTransport {
  const { KAFKA_SHARDS: shards, KAFKA_LINGER_MS: lingerMs } = config;
  const { host } = around;
  const open = (name: string): KafkaTransport =>
    name === "native" ? createHosted({ name, shards, host }) : factoryOf(name)(config, around);
  const reader = config.KAFKA_READ_TRANSPORT;
  const writer = open(config.KAFKA_TRANSPORT);
  const batched =
    lingerMs > 0 && writer.name !== "native"
      ? createHosted({ name: writer.name, shards, host, direct: writer })
      : writer;
  return reader === undefined || reader === config.KAFKA_TRANSPORT
    ? batched
    : pairTransports(batched, open(reader));
}

/** What a host holds: the same transports, reached without a host between. */
export function createHeldTransport(
  config: TransportConfig,
  around: Pick<TransportSurroundings, "embedded">,
): KafkaTransport {
  const writer = factoryOf(config.KAFKA_TRANSPORT)(config, around);
  const reader = config.KAFKA_READ_TRANSPORT;
  return reader === undefined || reader === config.KAFKA_TRANSPORT
    ? writer
    : pairTransports(writer, factoryOf(reader)(config, around));
}

function factoryOf(name: string): Factory {
  const factory = Object.hasOwn(transports, name) ? transports[name] : undefined;
  if (!factory) throw new Error(`no transport is called ${name}; there are ${TRANSPORTS_THERE_ARE.join()}`);
  return factory;
}

function rest(config: TransportConfig) {
  return {
    url: config.KAFKA_REST_URL,
    username: config.KAFKA_REST_USERNAME,
    password: config.KAFKA_REST_PASSWORD,
    token: config.KAFKA_REST_TOKEN,
  };
}

function sasl({ KAFKA_SASL_MECHANISM: mechanism, ...config }: TransportConfig) {
  const { KAFKA_SASL_USERNAME: username = "", KAFKA_SASL_PASSWORD: password = "" } = config;
  return mechanism === undefined ? undefined : { mechanism, username, password };
}
