// How this deployment reaches Kafka: what its settings choose, wired to the Durable Objects that hold clients and logs.
import { createHeldTransport, createTransport } from "../lib/kafka/create-transport.ts";
import { desiredTopics } from "../lib/kafka/topic-plan.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import type { Deployment } from "./deployment.ts";
import { partitionLogs, topicDirectory } from "./embedded.ts";

/** A transport for one invocation; whoever opens it closes it. */
export function openTransport(env: Env, deployment: Deployment): KafkaTransport {
  return createTransport(deployment.config, {
    embedded: embedded(env, deployment),
    host: (shard) => env.PRODUCE_HOST.getByName(`shard-${shard}`),
  });
}

/** The transport that a TransportHost holds for all who call it. */
export function openHeldTransport(env: Env, deployment: Deployment): KafkaTransport {
  return createHeldTransport(deployment.config, { embedded: embedded(env, deployment) });
}

function embedded(env: Env, { config, naming }: Deployment) {
  return {
    logs: partitionLogs(env),
    directory: topicDirectory(env),
    defaultTopics: desiredTopics(naming, config),
  };
}
