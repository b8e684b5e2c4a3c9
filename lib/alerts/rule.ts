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
  createdAt: string;
  /** Id of the key. */
  createdBy: string;
}

/** As it lies in storage, without the parsed form. */
const storedShape = z.object({ ...fields, for: z.string().optional() });

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
  const { name, expr, severity, annotations, notifiers } = read.data;
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
    createdAt,
    createdBy,
  };
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
