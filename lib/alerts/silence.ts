// Silences: for a while, alerts whose labels match are recorded and not told. Beside its labels an alert has
// `alertname` (its rule's name), `rule` (its id) and `severity`.
import { z } from "zod";
import { labelOf } from "./expression.ts";
import { lineShape, type AlertRule } from "./rule.ts";

const MAX_MATCHERS = 20;
/** Silences of one tenant that are not over. */
export const MAX_SILENCES = 200;

const matcherShape = z.strictObject({
  name: z.string().min(1).max(200).describe("a label, or `alertname`, `rule`, `severity`"),
  op: z.enum(["=", "!="]).default("="),
  value: z.string().max(1_024).describe("empty: the label is not there"),
});

const time = z.iso.datetime({ offset: true, error: "must be an ISO 8601 time with a zone" });

export const newSilenceShape = z
  .strictObject({
    matchers: z
      .array(matcherShape)
      .min(1, { abort: true })
      .max(MAX_MATCHERS)
      // One that is not there is empty, so that `!=` alone holds for about every alert.
      .refine((matchers) => matchers.some(({ op, value }) => op === "=" && value !== ""), {
        error:
          "must have one with `=` and a value, such as host=web-1: others hold for what lacks the label, too",
      })
      .describe("all of them must hold; one at least has `=` and a value"),
    starts_at: time.optional().describe("left out: now"),
    ends_at: time,
    author: lineShape(100).optional().describe("left out: the key's id"),
    comment: lineShape(500).describe("why"),
    tenant: z.string().optional().describe("`_deployment` for the operator's alerts"),
  })
  .meta({ id: "NewAlertSilence" });
export type NewSilence = z.output<typeof newSilenceShape>;

export interface Silence {
  id: string;
  matchers: z.output<typeof matcherShape>[];
  startsMs: number;
  endsMs: number;
  author: string;
  comment: string;
  createdAt: string;
  createdBy: string;
}

/** What matchers look at. */
export function silencedLabels(
  labels: Readonly<Record<string, string>>,
  { id, name, severity }: Pick<AlertRule, "id" | "name" | "severity">,
): Record<string, string> {
  return { ...labels, alertname: name, rule: id, severity };
}

export function isSilenced(
  labels: Readonly<Record<string, string>>,
  silences: readonly Pick<Silence, "matchers" | "startsMs" | "endsMs">[],
  nowMs: number,
): boolean {
  return silences.some(
    ({ matchers, startsMs, endsMs }) =>
      startsMs <= nowMs &&
      nowMs < endsMs &&
      matchers.every(({ name, op, value }) => (labelOf(labels, name) === value) === (op === "=")),
  );
}
