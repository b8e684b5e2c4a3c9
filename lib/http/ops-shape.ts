// What the operations' endpoints answer, as zod shapes.
import { z } from "zod";

export const healthShape = z.object({ status: z.literal("healthy") }).meta({ id: "Health" });

const capabilitiesShape = z
  .object({
    reads: z.boolean(),
    partitionCounts: z.enum(["cluster", "configured", "probed"]),
    endOffsets: z.enum(["exact", "probed"]),
    acks: z.enum(["all", "default-all", "confirmed", "unconfirmed"]),
    values: z.enum(["bytes", "text"]),
    recordHeaders: z.enum(["none", "write", "read-write"]),
    createTopics: z.boolean(),
    describeTopics: z.enum(["partitions", "settings", "replicas"]),
    groupOffsets: z.boolean(),
    deleteRecords: z.boolean(),
  })
  .meta({ id: "TransportCapabilities" });

export const kafkaStatusShape = z
  .object({
    kafka_producer: z.enum(["connected", "disconnected"]),
    kafka_consumer: z.enum(["running", "retrying", "stopped"]),
    consumer_topics: z.array(z.string()),
    consumer_handlers: z.array(z.string()).describe("`group:signal`"),
    transport: z.string(),
    acks: capabilitiesShape.shape.acks.nullable(),
    capabilities: capabilitiesShape.nullable(),
    topics_missing: z.array(z.string()).optional(),
    error: z.string().optional().describe("what is wrong, and what to do about it"),
    error_code: z.string().optional(),
    breaker: z
      .enum(["closed", "open", "half-open"])
      .describe("open: Kafka was away a moment ago, and records go into the spillway untried"),
    spill: z
      .object({
        messages: z.int(),
        records: z.int(),
        bytes: z.int(),
        refused: z.int().describe("messages that Kafka refuses for themselves; told by /kafka/flush"),
        oldest_ms: z.int().nullable().describe("the age of the oldest that waits"),
        error: z
          .string()
          .nullable()
          .describe("of a shard that did not answer: what it holds is missing here"),
      })
      .describe("what is kept while Kafka is away, and goes there once it is back"),
    consumers: z.array(
      z.object({
        group: z.string(),
        topic: z.string(),
        partition: z.int(),
        state: z.enum(["running", "retrying", "stopped", "unknown"]),
        error: z.string().nullable(),
        tripped: z
          .array(z.string())
          .describe(
            "tenants nearly all of whose records the store refuses: those go to the dead letters whole",
          ),
      }),
    ),
  })
  .meta({ id: "KafkaStatus" });

export const lagShape = z.array(
  z
    .object({
      group: z.string(),
      topic: z.string(),
      partition: z.int(),
      committed: z.int().nullable().describe("the offset that is read next; null: nothing was read yet"),
      records: z.int().describe("stored by this group"),
      dead_letters: z.int(),
      expired: z.int().describe("messages that retention removed before they were read"),
      updated_at: z.iso.datetime().nullable(),
      end: z.int().nullable(),
      lag: z.int().nullable().describe("messages that are not read yet"),
      error: z.string().optional(),
    })
    .meta({ id: "Lag" }),
);
