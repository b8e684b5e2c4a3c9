// Topics and their messages as zod shapes: what is asked, taken and answered.
import { z } from "zod";
import { pageShape } from "./page-shape.ts";

/** Kafka's own rule for names (`Topic.validate`). */
export const topicNameShape = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/)
  .meta({ examples: ["logs.raw"] });

const offset = z.int().min(0).nullable();
const error = z.string().optional().describe("why it is not known");

const offsetsShape = z.object({
  start: offset.describe("of the oldest message kept"),
  end: offset.describe("that the next message gets"),
  messages: offset.describe("between them, at most: a compacted log has gaps"),
  error,
});

export const topicsShape = z.array(
  z
    .object({
      name: z.string(),
      managed: z.boolean().describe("one of this deployment's"),
      present: z.boolean(),
      partitions: z.int().nullable(),
      offsets: z.array(offsetsShape.extend({ partition: z.int() })).nullable(),
      messages: z.int().nullable(),
      error,
    })
    .meta({ id: "Topic" }),
);

const driftShape = z
  .object({
    setting: z.string().describe("`partitions`, `replication.factor`, or one of Kafka's topic settings"),
    wanted: z.string(),
    found: z.string(),
    harmless: z.boolean().describe("more partitions than wanted: nothing is lost by them"),
  })
  .meta({ id: "TopicDrift" });

const planShape = z.object({
  name: z.string(),
  drift: z.array(driftShape),
  unknown: z.array(z.string()).describe("wanted settings that the transport does not tell"),
  under_replicated: z.array(z.int()).nullable(),
});

export const surveyShape = z.array(
  z
    .union([
      planShape.extend({
        state: z.enum(["missing", "ok", "drifted"]),
        partitions: z.int().nullable(),
      }),
      z.object({ name: z.string(), state: z.literal("unknown"), error: z.string() }),
    ])
    .meta({ id: "TopicPlan" }),
);

const specShape = z
  .object({
    name: z.string(),
    partitions: z.int(),
    replication_factor: z.int().nullable(),
    config: z.record(z.string(), z.string()),
  })
  .meta({ id: "TopicSpec" });

export const topicShape = planShape
  .extend({
    state: z.enum(["ok", "drifted", "unmanaged"]),
    partitions: z.array(
      offsetsShape.extend({
        partition: z.int(),
        replicas: z.int().nullable(),
        in_sync_replicas: z.int().nullable(),
      }),
    ),
    config: z.record(z.string(), z.string()).nullable().describe("settings in force, where Kafka tells them"),
    wanted: specShape.nullable(),
  })
  .meta({ id: "TopicDescription" });

export const topicInitShape = z.array(
  z
    .object({
      name: z.string(),
      result: z.enum(["created", "exists", "drifted", "failed"]),
      reason: z.string().optional().describe("why it failed"),
      drift: z.array(driftShape).optional(),
    })
    .meta({ id: "TopicInit" }),
);

const encoding = z.literal("base64").optional().describe("there where the bytes are not UTF-8");

export const messagesShape = z.array(
  z
    .union([
      z.object({
        partition: z.int(),
        offset: z.int(),
        timestamp: z.iso.datetime().nullable(),
        key: z.string().nullable(),
        value: z.string().nullable().describe("null: a tombstone"),
        headers: z
          .array(z.object({ name: z.string(), value: z.string().nullable(), encoding }))
          .nullable()
          .describe("null where the transport does not tell them"),
        key_encoding: encoding,
        encoding,
      }),
      z.object({ partition: z.int(), error: z.string() }).describe("a partition that could not be read"),
    ])
    .meta({ id: "Message" }),
);

const partition = z.int().min(0).max(999_999);

export const messagesQueryShape = pageShape.extend({
  partition: partition.describe("This one only; all of them else.").optional(),
  from: z
    .union([z.enum(["earliest", "latest"]), z.string().regex(/^\d{1,15}$/)])
    .describe(
      "Reads on from here, oldest first: `earliest`, `latest`, or an offset (of a topic with several partitions " +
        "together with `partition`). Without it the newest come first.",
    )
    .optional(),
});

const producedIndex = z.int().describe("place in the request");

export const producedShape = z
  .object({
    topic: z.string(),
    written: z.int(),
    failed: z.int(),
    results: z.array(
      z.union([
        z.object({
          index: producedIndex,
          status: z.literal("ok"),
          partition: z.int(),
          offset: z.int(),
        }),
        z.object({
          index: producedIndex,
          status: z.enum(["rejected", "retry"]),
          reason: z.string(),
          path: z.string(),
          message: z.string(),
        }),
      ]),
    ),
  })
  .meta({ id: "Produced" });
