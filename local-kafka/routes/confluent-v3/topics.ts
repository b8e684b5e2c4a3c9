/**
 * Clusters and topics in the shape of Confluent's REST API v3; beside it, Redpanda's dialect has them, too: local tools
 * need them and Redpanda's proxy does not offer any. Reference: https://docs.confluent.io/platform/current/kafka-rest/api.html
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { ApiError } from "../../http/api-error.ts";
import { textParam } from "../../http/params.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import type { Log, TopicDescription, TopicSettings } from "../../log/log.ts";
import { DEFAULT_RETENTION_BYTES, DEFAULT_RETENTION_MS, applyConfig } from "./topic-settings.ts";

const MAX_BODY_BYTES = 1024 * 1024;

const createTopicRequest = z.object({
  topic_name: z.string(),
  partitions_count: z.int().optional(),
  replication_factor: z.int().optional(),
  configs: z.array(z.object({ name: z.string(), value: z.string().nullable() })).optional(),
});

export interface ConfluentRoutesOptions {
  log: Log;
  /** Deletes the topic and what else is kept about it. */
  deleteTopic: (name: string) => Promise<void>;
}

export type Ctx = Context<{ Bindings: Bindings }>;

export function confluentTopicRoutes({
  log,
  deleteTopic,
}: ConfluentRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();

  app.use("/v3/clusters/:cluster/*", async (c, next) => {
    checkCluster(c, await log.clusterId());
    await next();
  });

  app.get("/v3/clusters", async (c) =>
    c.json({
      kind: "KafkaClusterList",
      metadata: { self: `${new URL(c.req.url).origin}/v3/clusters`, next: null },
      data: [describeCluster(c, await log.clusterId())],
    }),
  );

  app.get("/v3/clusters/:cluster", async (c) => {
    const clusterId = await log.clusterId();
    checkCluster(c, clusterId);
    return c.json(describeCluster(c, clusterId));
  });

  app.get("/v3/clusters/:cluster/topics", async (c) => {
    const clusterId = await log.clusterId();
    const topics = await log.topics();
    return c.json({
      kind: "KafkaTopicList",
      metadata: { self: `${clusterUrl(c, clusterId)}/topics`, next: null },
      data: topics.map((topic) => describe(c, clusterId, topic)),
    });
  });

  app.post("/v3/clusters/:cluster/topics", async (c) => {
    const settings = parseCreateTopic(await readBody(c, MAX_BODY_BYTES));
    try {
      const topic = await log.createTopic(settings);
      return c.json(describe(c, await log.clusterId(), topic), 201);
    } catch (error) {
      if (error instanceof KafkaError && error.detail !== "" && !error.retryable) {
        throw new ApiError(40002, error.detail, { cause: error });
      }
      throw error;
    }
  });

  app.get("/v3/clusters/:cluster/topics/:topic", async (c) => {
    const topic = await log.topic(topicName(c));
    if (topic === undefined) throw unknownTopic();
    return c.json(describe(c, await log.clusterId(), topic));
  });

  app.delete("/v3/clusters/:cluster/topics/:topic", async (c) => {
    const name = topicName(c);
    if ((await log.topic(name)) === undefined) throw unknownTopic();
    await deleteTopic(name);
    return c.body(null, 204);
  });

  return app;
}

function clusterUrl(c: Ctx, clusterId: string): string {
  return `${new URL(c.req.url).origin}/v3/clusters/${clusterId}`;
}

function describe(c: Ctx, clusterId: string, topic: TopicDescription): object {
  const self = `${clusterUrl(c, clusterId)}/topics/${topic.name}`;
  return {
    kind: "KafkaTopic",
    metadata: { self, resource_name: `crn:///kafka=${clusterId}/topic=${topic.name}` },
    cluster_id: clusterId,
    topic_name: topic.name,
    is_internal: false,
    replication_factor: 1,
    partitions_count: topic.partitions,
    partitions: { related: `${self}/partitions` },
    configs: { related: `${self}/configs` },
    partition_reassignments: { related: `${self}/partitions/-/reassignment` },
  };
}

function describeCluster(c: Ctx, clusterId: string): object {
  return {
    kind: "KafkaCluster",
    metadata: { self: clusterUrl(c, clusterId), resource_name: `crn:///kafka=${clusterId}` },
    cluster_id: clusterId,
    topics: { related: `${clusterUrl(c, clusterId)}/topics` },
  };
}

export function checkCluster(c: Ctx, clusterId: string): void {
  const asked = c.req.param("cluster") ?? "";
  if (asked !== clusterId) throw new ApiError(404, `Cluster ${asked} cannot be found.`);
}

export function topicName(c: Ctx): string {
  return textParam("topic_name", c.req.path.split("/")[5]);
}

export function unknownTopic(): ApiError {
  return new ApiError(40403, "This server does not host this topic-partition.");
}

function parseCreateTopic(body: Buffer): TopicSettings {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch (error) {
    throw new ApiError(400, "Bad Request: the body is not JSON.", { cause: error });
  }
  const request = createTopicRequest.safeParse(json);
  if (!request.success) throw new ApiError(400, `Bad Request: ${z.prettifyError(request.error)}`);
  const {
    topic_name: name,
    partitions_count: partitions = 1,
    replication_factor: replicas = 1,
  } = request.data;
  if (replicas !== 1) throw new ApiError(40002, `Replication factor: ${replicas} where there is 1 broker.`);
  const settings = {
    name,
    partitions,
    retentionMs: DEFAULT_RETENTION_MS,
    retentionBytes: DEFAULT_RETENTION_BYTES,
  };
  for (const config of request.data.configs ?? []) applyConfig(settings, config.name, config.value ?? "");
  return settings;
}
