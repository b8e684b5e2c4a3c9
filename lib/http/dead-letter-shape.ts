// Dead letters as the API tells them, and as they stand on the `.dlq` topics, as zod shapes.
import { z } from "zod";
import { pageShape } from "./page-shape.ts";

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
