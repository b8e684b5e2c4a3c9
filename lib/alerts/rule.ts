// An alert rule: as it is written (zod, strictly), and as it is kept and judged.
import { z } from "zod";
import { formatDuration, parseDuration } from "./duration.ts";
import { isOfDeployment, type Expression } from "./expression.ts";
import { MAX_EXPRESSION_CHARS, parseExpression } from "./parse-expression.ts";
import { templateFault } from "./template.ts";

/** Whose the operator's rules are: no tenant's name, since those begin with a letter or a digit. */
export const DEPLOYMENT = "_deployment";

/** Rules of one tenant. Each is judged some times a minute. */
export const MAX_RULES = 100;

export const SEVERITIES = ["info", "warning", "critical"] as const;

const MAX_ANNOTATIONS = 20;
const MAX_ANNOTATION_CHARS = 1_000;
const MAX_NOTIFIERS = 20;
const MIN_REPEAT_MS = 60_000;
const MAX_SPAN_MS = 7 * 86_400_000;
const DEFAULT_REPEAT = "4h";

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A line of text for people. */
export const lineShape = (maxChars: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(maxChars)
    .refine(
      (text) => text.isWellFormed() && !CONTROL.test(text),
      "must hold neither control characters nor lone surrogates",
    );

const spanShape = (minMs: number) =>
  z.string().refine(
    (text) => {
      const spanMs = parseDuration(text);
      return spanMs !== undefined && spanMs >= minMs && spanMs <= MAX_SPAN_MS;
    },
    `must be a span of time from ${formatDuration(minMs)} to 7d, as in 10m`,
  );

const annotationShape = z
  .string()
  .max(MAX_ANNOTATION_CHARS)
  .refine((text) => text.isWellFormed(), "must not hold lone surrogates")
  .check((context) => {
    const message = templateFault(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", input: context.value, message });
  });

export const ruleIdShape = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "letters, digits, `_`, `-`, at most 64");

const fields = {
  name: lineShape(100).describe("what people call it"),
  expr: z
    .string()
    .min(1)
    .max(MAX_EXPRESSION_CHARS)
    .describe("when it holds (docs/alerts.md)")
    .meta({ examples: ["p95(latency, 5m) > 300 for 10m"] }),
  for: spanShape(0)
    .optional()
    .describe("for how long it must hold before it fires; may stand in `expr` instead; left out: not at all"),
  severity: z.enum(SEVERITIES).default("warning"),
  annotations: z
    .record(
      z.string().regex(/^[A-Za-z][\w-]{0,63}$/, "letters, digits, `_`, `-`, at most 64"),
      annotationShape,
    )
    .refine((all) => Object.keys(all).length <= MAX_ANNOTATIONS, `must hold at most ${MAX_ANNOTATIONS}`)
    .default({})
    .describe("texts for people, with {{value}} and {{labels.NAME}}"),
  repeat_interval: spanShape(MIN_REPEAT_MS)
    .default(DEFAULT_REPEAT)
    .describe("how often notifiers are told again while it fires"),
  notifiers: z
    .array(ruleIdShape)
    .max(MAX_NOTIFIERS)
    .optional()
    .describe("ids of the notifiers that are told; left out: all of the tenant's"),
  enabled: z.boolean().default(true).describe("false: it is kept, and not judged"),
};

export const newRuleShape = z
  .strictObject({
    ...fields,
    tenant: z.string().optional().describe("`_deployment` for the operator's rules"),
  })
  .check(({ value, issues }) => {
    const fault = (field: string, message: string) =>
      issues.push({ code: "custom", input: value, path: [field], message });
    const parsed = parseExpression(value.expr);
    if (!parsed.ok) {
      fault("expr", `column ${parsed.error.column}: ${parsed.error.message}`);
      return;
    }
    const { forMs } = parsed.value;
    if (forMs !== undefined && value.for !== undefined && forMs !== parseDuration(value.for))
      fault("for", "says another span than `expr`; leave one of them out");
  })
  .meta({ id: "NewAlertRule" });
export type NewRule = z.output<typeof newRuleShape>;

/** What is left out stays as it is; null takes back what was given. */
export const ruleChangeShape = z
  .strictObject({
    name: fields.name.optional(),
    expr: fields.expr.optional().describe("the whole of it; a `for` in it goes before the rule's"),
    for: spanShape(0)
      .nullable()
      .optional()
      .describe("for how long it must hold before it fires; null: not at all"),
    severity: fields.severity.unwrap().optional(),
    annotations: fields.annotations.unwrap().optional().describe("all of them"),
    repeat_interval: fields.repeat_interval.unwrap().optional(),
    notifiers: fields.notifiers
      .unwrap()
      .nullable()
      .optional()
      .describe("all of them; null: all of the tenant's"),
    enabled: z.boolean().optional().describe("false: it is kept, and not judged"),
    revision: z
      .int()
      .min(1)
      .optional()
      .describe(
        "only if it is this one that is changed; left out: whichever there is, the last to write wins",
      ),
  })
  .meta({ id: "AlertRuleChange" });
export type RuleChange = z.output<typeof ruleChangeShape>;

/** What is judged. */
export interface AlertRule {
  tenant: string;
  id: string;
  name: string;
  expr: string;
  expression: Expression;
  forMs: number;
  severity: (typeof SEVERITIES)[number];
  annotations: Record<string, string>;
  repeatMs: number;
  /** Undefined: all of the tenant. */
  notifiers: string[] | undefined;
  isEnabled: boolean;
  createdAt: string;
  /** Id of the key. */
  createdBy: string;
  /** 1, and one more with each change. */
  revision: number;
  updatedAt: string;
  /** Id of the key. */
  updatedBy: string;
  /** The revision since which it asks what it asks now: alerts of an earlier one are over. */
  begun: number;
  /** The revision since which its samples tell what it asks for now, and when that was. */
  sampled: number;
  sampledSince: string;
  fault: RuleFault | undefined;
}

/** Why it cannot be judged, and since when. */
const faultShape = z.object({ message: z.string(), since: z.string() });
export type RuleFault = z.output<typeof faultShape>;

/** What is kept beside what was written; of a rule that was never changed nothing. */
const marksShape = z.object({
  revision: z.int().default(1),
  updated_at: z.string().optional(),
  updated_by: z.string().optional(),
  begun: z.int().default(1),
  sampled: z.int().default(1),
  sampled_since: z.string().optional(),
  fault: faultShape.optional(),
});
export type RuleMarks = z.input<typeof marksShape>;

/** As it lies in storage, without the parsed form. */
const storedShape = z.object({ ...fields, for: z.string().optional(), ...marksShape.shape });

export interface RuleOrigin {
  tenant: string;
  id: string;
  createdAt: string;
  createdBy: string;
}

/** @returns undefined for what this version cannot read */
export function ruleOf(
  stored: unknown,
  { tenant, id, createdAt, createdBy }: RuleOrigin,
): AlertRule | undefined {
  const read = storedShape.safeParse(stored);
  if (!read.success) return undefined;
  const { name, expr, severity, annotations, notifiers, enabled, revision, begun, sampled, fault } =
    read.data;
  const parsed = parseExpression(expr);
  if (!parsed.ok) return undefined;
  const expression = parsed.value;
  return {
    tenant,
    id,
    name,
    expr,
    expression,
    forMs: expression.forMs ?? parseDuration(read.data.for ?? "0s") ?? 0,
    severity,
    annotations,
    repeatMs: parseDuration(read.data.repeat_interval) ?? 0,
    notifiers,
    isEnabled: enabled,
    createdAt,
    createdBy,
    revision,
    updatedAt: read.data.updated_at ?? createdAt,
    updatedBy: read.data.updated_by ?? createdBy,
    begun,
    sampled,
    sampledSince: read.data.sampled_since ?? createdAt,
    fault,
  };
}

/** Whose samples are looked at: no id of another rule holds an `@`. */
export function samplesId({ id, sampled }: Pick<AlertRule, "id" | "sampled">): string {
  return sampled === 1 ? id : `${id}@${sampled}`;
}

/** What is kept of a rule that was written. */
export function storedRule(rule: NewRule): NewRule {
  return { ...rule, tenant: undefined };
}

/** @returns why a rule is not one for this tenant, if it is not */
export function placeFault(tenant: string, { subject }: Expression): string | undefined {
  const isDeployments = tenant === DEPLOYMENT;
  if (isOfDeployment(subject) === isDeployments) return undefined;
  return isDeployments
    ? "rules of the deployment look at lag(), dead_letters(), produce_p99() or spill_age(); metrics are a tenant's"
    : `${subject.kind}() concerns the deployment: with the scope operator, make the rule for the tenant ${DEPLOYMENT}`;
}
