/** A topic's partitions and settings in the shape of Confluent's REST API v3. */
import { Hono } from "hono";
import { z } from "zod";
import { ApiError } from "../../http/api-error.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import type { Log, Retention, TopicDescription } from "../../log/log.ts";
import { DEFAULT_RETENTION_BYTES, DEFAULT_RETENTION_MS, applyConfig } from "./topic-settings.ts";
import { type Ctx, checkCluster, topicName, unknownTopic } from "./topics.ts";

const MAX_BODY_BYTES = 1024 * 1024;
const TOPIC = "/v3/clusters/:cluster/topics/:topic";

const alterRequest = z.object({
  data: z.array(
    z.object({
      name: z.string(),
      value: z.string().nullish(),
      operation: z.enum(["SET", "DELETE"]).nullish(),
    }),
  ),
  validate_only: z.boolean().optional(),
});

export function confluentTopicDetailRoutes({ log }: { log: Log }): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();

  const find = async (c: Ctx): Promise<FoundTopic> => {
    const clusterId = await log.clusterId();
    checkCluster(c, clusterId);
    const topic = await log.topic(topicName(c));
    if (topic === undefined) throw unknownTopic();
    return { ...topic, clusterId };
  };

  app.get(`${TOPIC}/partitions`, async (c) => {
    const topic = await find(c);
    return c.json({
      kind: "KafkaPartitionList",
      metadata: { self: `${urlOf(c, topic)}/partitions`, next: null },
      data: Array.from({ length: topic.partitions }, (_, partition) =>
        describePartition(c, topic, partition),
      ),
    });
  });

  app.get(`${TOPIC}/partitions/:partition`, async (c) => {
    const topic = await find(c);
    const raw = c.req.param("partition");
    if (!/^\d{1,9}$/.test(raw) || Number(raw) >= topic.partitions) throw unknownTopic();
    return c.json(describePartition(c, topic, Number(raw)));
  });

  app.get(`${TOPIC}/configs`, async (c) => {
    const topic = await find(c);
    const configs = configsOf(await log.retention(topic.name));
    return c.json({
      kind: "KafkaTopicConfigList",
      metadata: { self: `${urlOf(c, topic)}/configs`, next: null },
      data: configs.map((config) => describeConfig(c, topic, config)),
    });
  });

  app.get(`${TOPIC}/configs/:name`, async (c) => {
    const topic = await find(c);
    const config = configsOf(await log.retention(topic.name)).find(([name]) => name === c.req.param("name"));
    if (config === undefined) throw new ApiError(404, `Config ${c.req.param("name")} cannot be found.`);
    return c.json(describeConfig(c, topic, config));
  });

  app.post(`${TOPIC}/configs:alter`, async (c) => {
    const topic = await find(c);
    const { data, validate_only: validateOnly } = parseAlter(await readBody(c, MAX_BODY_BYTES));
    const settings = await log.retention(topic.name);
    for (const { name, value, operation } of data) {
      const initial = configsOf(settings).find(([each]) => each === name)?.[2];
      applyConfig(settings, name, (operation === "DELETE" ? initial : value) ?? "");
    }
    if (validateOnly !== true) await log.setRetention(topic.name, settings);
    return c.body(null, 204);
  });

  return app;
}

type FoundTopic = TopicDescription & { clusterId: string };

function urlOf(c: Ctx, { clusterId, name }: FoundTopic): string {
  return `${new URL(c.req.url).origin}/v3/clusters/${clusterId}/topics/${name}`;
}

function resourceOf({ clusterId, name }: FoundTopic): string {
  return `crn:///kafka=${clusterId}/topic=${name}`;
}

function describePartition(c: Ctx, topic: FoundTopic, partition: number): object {
  const self = `${urlOf(c, topic)}/partitions/${partition}`;
  return {
    kind: "KafkaPartition",
    metadata: { self, resource_name: `${resourceOf(topic)}/partition=${partition}` },
    cluster_id: topic.clusterId,
    topic_name: topic.name,
    partition_id: partition,
    leader: { related: `${self}/replicas/0` },
    replicas: { related: `${self}/replicas` },
    reassignment: { related: `${self}/reassignment` },
  };
}

function describeConfig(c: Ctx, topic: FoundTopic, [name, value, initial]: Config): object {
  return {
    kind: "KafkaTopicConfig",
    metadata: {
      self: `${urlOf(c, topic)}/configs/${name}`,
      resource_name: `${resourceOf(topic)}/config=${name}`,
    },
    cluster_id: topic.clusterId,
    topic_name: topic.name,
    name,
    value,
    is_default: value === initial,
    is_read_only: false,
    is_sensitive: false,
    source: value === initial ? "DEFAULT_CONFIG" : "DYNAMIC_TOPIC_CONFIG",
    synonyms: [],
  };
}

type Config = [name: string, value: string, initial: string];

function configsOf({ retentionMs, retentionBytes }: Retention): Config[] {
  return [
    ["cleanup.policy", "delete", "delete"],
    ["compression.type", "producer", "producer"],
    ["retention.bytes", String(retentionBytes), String(DEFAULT_RETENTION_BYTES)],
    ["retention.ms", String(retentionMs), String(DEFAULT_RETENTION_MS)],
  ];
}

function parseAlter(body: Buffer): z.infer<typeof alterRequest> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch (error) {
    throw new ApiError(400, "Bad Request: the body is not JSON.", { cause: error });
  }
  const request = alterRequest.safeParse(json);
  if (!request.success) throw new ApiError(400, `Bad Request: ${z.prettifyError(request.error)}`);
  return request.data;
}
