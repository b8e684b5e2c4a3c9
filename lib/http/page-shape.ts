// The query parameters that lists have in common (lib/query/page.ts reads them) as zod shapes.
import { z } from "zod";
import { MAX_LABELS } from "../telemetry/limits.ts";

const limit = z.int().min(1).max(1_000).default(100).describe("How many at most.");

const cursor = z
  .string()
  .describe("Where the page before ended: taken from its `Link` header as it is.")
  .optional();

const time = z.union([
  z.iso.datetime({ offset: true }),
  z.string().regex(/^(now|[+-]\d{1,9}[smhdw]|\d{1,19}|-\d{1,10})$/),
]);
export const timeShape = time;
const timeForms =
  "ISO 8601, relative to now as in `-15m` (s, m, h, d, w), `now`, or seconds, ms, µs or ns since 1970.";

export const pageShape = z.object({ limit, cursor });

/** Pages of what has a time, newest first. */
export const timedPageShape = pageShape.extend({
  from: time
    .describe(`From this time on. ${timeForms}`)
    .meta({ examples: ["-15m"] })
    .optional(),
  to: time
    .describe(`Up to this time, itself excluded. ${timeForms}`)
    .meta({ examples: ["now"] })
    .optional(),
});

/** How a label is named among the parameters. */
export const LABEL_PREFIX = "label.";

export const labelsShape = z
  .record(z.string().regex(/^label\./), z.string())
  .describe("Labels that the metric must have, as in `label.host=web-1`.")
  .meta({ maxProperties: MAX_LABELS, examples: [{ "label.host": "web-1" }] })
  .optional();
