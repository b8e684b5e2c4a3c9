// Consumer groups as zod shapes: what is asked and answered.
import { z } from "zod";
import { topicNameShape } from "./topic-shape.ts";

/** A prefix by KAFKA_CONSUMER_GROUP, and what the group is for. */
export const groupNameShape = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/)
  .meta({ examples: ["weir-storage"] });

export const resumeShape = z
  .strictObject({
    topic: topicNameShape,
    partition: z.int().min(0).max(999_999),
  })
  .meta({ id: "GroupResume" });

export const resumedShape = z
  .object({
    group: z.string(),
    topic: z.string(),
    partition: z.int(),
    incarnation: z.int().describe("how often the topic was made anew"),
    next_offset: z.int().describe("where reading goes on: the start of the log"),
  })
  .meta({ id: "GroupResumed" });
