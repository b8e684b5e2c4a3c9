// Dead letters as the API tells them, and as they stand on the `.dlq` topics, as zod shapes.
import { z } from "zod";
import { pageShape, timeShape } from "./page-shape.ts";

const fields = {
  id: z
    .string()
    .describe("group/topic/incarnation/partition/offset/index; the same on the `.dlq` topic, and stable"),
  tenant: z.string(),
  original_topic: z.string(),
  original_partition: z.int(),
  original_offset: z.int(),
  original_key: z.string().nullable().describe("base64"),
  error: z.string().describe("what is wrong with it"),
  error_type: z.string().describe("the reason, as in refusals of the intake"),
  attempt: z.int().describe("how often it was tried"),
  dlq_timestamp: z.iso.datetime(),
  partition: z.int(),
  offset: z.int(),
  index: z.int().describe("place of the record in the message; −1: the message as a whole"),
  group: z.string(),
  replays: z.int().describe("how often it was written to its topic again"),
};

export const deadLettersShape = z.array(z.object(fields).meta({ id: "DeadLetterSummary" }));

export const deadLetterShape = z
  .object({
    ...fields,
    original_value: z
      .string()
      .nullable()
      .describe("base64; null: there was none, or it is too large to be kept"),
    original_encoding: z.literal("base64"),
    original_message: z
      .unknown()
      .optional()
      .describe("the value as JSON where it is that, else as text where it is UTF-8"),
  })
  .meta({ id: "DeadLetter" });

export const deadLettersQueryShape = pageShape.extend({
  topic: z.string().describe("That came from this topic only.").optional(),
  error_type: z.string().describe("Of this reason only.").optional(),
  from: timeShape.describe("That died from this time on.").optional(),
  to: timeShape.describe("That died before this time.").optional(),
  tenant: z
    .string()
    .describe(
      "Whose; without it a key with the scope `operator` sees all, any other its own. Another's takes that scope.",
    )
    .optional(),
});

const number = (description: string) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .describe(description);

/** The parts of an id, in their order. */
export const deadLetterIdShapes = {
  group: z.string(),
  topic: z.string(),
  incarnation: number("Of the topic."),
  partition: number("Of the message."),
  offset: number("Of the message."),
  index: z
    .string()
    .regex(/^(-1|\d{1,15})$/)
    .describe("Of the record in the message; -1: the message as a whole."),
};

const id = z.string().min(1).max(1_000).describe("as GET /api/v1/dlq lists it");

/** At one call: each is looked up by itself, and an invocation has 1,000 look-ups. */
export const MAX_REPLAYED = 200;

export const replayShape = z
  .strictObject({
    ids: z.array(id).min(1).max(MAX_REPLAYED).optional(),
    all: z.literal(true).optional(),
    from: z.iso.datetime({ offset: true }).describe("that died from this time on").optional(),
    to: z.iso.datetime({ offset: true }).describe("that died before this time").optional(),
    error_type: z.string().min(1).max(100).describe("of this reason only").optional(),
    again: z.boolean().describe("also those that were replayed before; by id they always are").optional(),
    dry_run: z.boolean().describe("says what would be replayed, and writes nothing").optional(),
    cursor: z.string().max(2_000).describe("`next` of the call before").optional(),
  })
  .refine(
    ({ ids, all, from, to }) => [ids, all, from ?? to].filter((one) => one !== undefined).length === 1,
    "must name one of: ids, all, or from and to",
  )
  .meta({ id: "Replay", examples: [{ all: true }] });

const notDone = z.array(z.object({ id: z.string(), reason: z.string() }));

export const replayedShape = z
  .object({
    topic: z.string().describe("that was written to"),
    replayed: z.int().describe("dead letters that were written"),
    records: z.int().describe("records in them that count as accepted once more"),
    skipped: notDone.describe("cannot be replayed"),
    failed: notDone.describe("Kafka did not take them; to be tried again"),
    next: z.string().nullable().describe("there are more: `cursor` of the next call"),
  })
  .meta({ id: "Replayed" });
