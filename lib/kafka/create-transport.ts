// The registry of transports: an unknown name throws, so nothing can select nothing.
import { createRestV2 } from "./rest-v2.ts";
import type { KafkaTransport } from "./transport.ts";

export interface TransportConfig {
  KAFKA_TRANSPORT: string;
  KAFKA_REST_URL: string;
  KAFKA_REST_USERNAME?: string | undefined;
  KAFKA_REST_PASSWORD?: string | undefined;
  KAFKA_REST_TOKEN?: string | undefined;
  KAFKA_PARTITIONS?: number | undefined;
}

const transports: Record<string, (config: TransportConfig) => KafkaTransport> = {
  "rest-v2": (config) =>
    createRestV2({
      url: config.KAFKA_REST_URL,
      username: config.KAFKA_REST_USERNAME,
      password: config.KAFKA_REST_PASSWORD,
      token: config.KAFKA_REST_TOKEN,
      partitions: config.KAFKA_PARTITIONS,
    }),
};

/** A transport for one invocation: it must not outlive the request that made it. */
export function createTransport(config: TransportConfig): KafkaTransport {
  const create = transports[config.KAFKA_TRANSPORT];
  if (!create) {
    throw new Error(
      `no transport is called ${config.KAFKA_TRANSPORT}; there are ${Object.keys(transports).join()}`,
    );
  }
  return create(config);
}
