// Consumer groups as zod shapes: what is asked and answered.
import { z } from "zod";
import { SIGNALS } from "../telemetry/signal.ts";
import { topicNameShape } from "./topic-shape.ts";

/** A prefix by KAFKA_CONSUMER_GROUP, and what the group is for. */
export const groupNameShape = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/)
  .meta({ examples: ["weir-storage"] });

const partitionNumber = z.int().min(0).max(999_999);

/** Nothing: the group; or one partition that has stopped. */
export const resumeShape = z
  .strictObject({ topic: topicNameShape.optional(), partition: partitionNumber.optional() })
  .check(({ value, issues }) => {
    for (const name of ["topic", "partition"] as const)
      if (value[name] === undefined && Object.keys(value).length > 0)
        issues.push({ code: "custom", input: value, path: [name], message: "is missing" });
  })
  .meta({ id: "GroupResume", description: "nothing: the group goes on; a partition: one that has stopped" });

export const resumedShape = z
  .object({
    group: z.string(),
    topic: z.string(),
    partition: z.int(),
    incarnation: z.int().describe("how often the topic was made anew"),
    next_offset: z.int().describe("where reading goes on: the start of the log"),
  })
  .meta({ id: "GroupResumed" });

const offsetsShape = z
  .array(
    z.strictObject({
      topic: topicNameShape,
      partition: partitionNumber,
      offset: z.int().min(0),
    }),
  )
  .min(1)
  .max(1_000);

const PLACES = "a time such as 2026-11-21T00:00:00Z, or an array of {topic, partition, offset}";

/** @param what the fault tells: a text is first of all taken for a time */
const timeShape = (what: string) =>
  z.iso.datetime({ offset: true, error: what }).meta({ examples: ["2026-11-21T00:00:00Z"] });

/** A time, or offsets, each topic from the oldest of the messages there. */
const placeShape = z.union(
  [z.literal("earliest"), timeShape(`must be \`earliest\`, ${PLACES}`), offsetsShape],
  `must be \`earliest\`, ${PLACES}`,
);

export const replayShape = z.strictObject({ to: placeShape }).meta({ id: "GroupReplay" });

export const resetShape = z
  .strictObject({
    to: z.union(
      [
        z.literal(["earliest", "latest"]),
        timeShape(`must be \`earliest\`, \`latest\`, ${PLACES}`),
        offsetsShape,
      ],
      `must be \`earliest\`, \`latest\`, ${PLACES}`,
    ),
  })
  .meta({ id: "GroupReset" });

export const resetDoneShape = z
  .object({
    group: z.string(),
    outcome: z
      .enum(["building", "begun", "skipped"])
      .describe(
        "building: a new epoch is built beside the present one; begun: a new one has taken its place; skipped: what was not read yet is passed over",
      ),
    epoch: z.int(),
    topics: z.array(
      z.object({
        topic: z.string(),
        from_time: z.iso
          .datetime()
          .nullable()
          .describe("what is of this time or later is built anew; null: nothing of this topic"),
      }),
    ),
    skipped_messages: z.int(),
  })
  .meta({ id: "GroupResetDone" });

export const groupShape = z
  .object({
    group: z.string(),
    does: z.enum(["storage", "alerting"]),
    signals: z.array(z.enum(SIGNALS)),
    epoch: z.int().describe("how its results are told from those of its resets, and of other groups"),
    state: z.enum(["running", "paused"]),
    start: z.string().describe("where it begins on a partition that it has never read"),
    lag: z.int().nullable().describe("messages that are not read yet, as far as they are known"),
    partitions: z.array(
      z.object({
        topic: z.string(),
        partition: z.int(),
        committed: z.int().nullable().describe("the offset that is read next; null: nothing was read yet"),
        end: z.int().nullable(),
        lag: z.int().nullable(),
        error: z.string().optional(),
      }),
    ),
    building: z
      .object({
        epoch: z.int(),
        state: z
          .enum(["reading", "handing_over"])
          .describe("handing_over: the old reader is stopped, and the new one takes over within moments"),
        since: z.iso.datetime(),
        messages_left: z.int().describe("until it stands where the present epoch does"),
        partitions_left: z.int().describe("those that it has not begun, or cannot"),
        topics: resetDoneShape.shape.topics,
      })
      .nullable(),
  })
  .meta({ id: "Group" });
