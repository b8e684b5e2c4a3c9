// The rules by which personal data is taken out at the edge, as SCRUB_RULES holds them: a JSON array. Read once; every
// fault is named by its place, and no value of the setting is repeated.
import { z } from "zod";
import { SIGNALS, type Signal } from "../../telemetry/signal.ts";
import { parsePath, type Step } from "./path.ts";
import { BUILT_IN, spansOf, type Finder } from "./patterns.ts";

const MAX_RULES = 100;
const MAX_REGEX_CHARS = 500;
const MAX_PATH_CHARS = 500;

/** Checked against every text of every record: a slow one is the operator's own, so only its length is bounded. */
const REGEX = /^\/(.+)\/([a-z]*)$/s;

/** Fields that say what a record is rather than hold what someone wrote; a record without them could not be read. */
export const PROTECTED_FIELDS: ReadonlySet<string> = new Set(["timestamp", "kind", "value"]);

const ruleShape = z
  .strictObject({
    signals: z
      .array(z.enum(SIGNALS))
      .min(1)
      .default([...SIGNALS]),
    path: z.string().max(MAX_PATH_CHARS).optional(),
    action: z.enum(["drop", "hash", "mask"]),
    pattern: z
      .string()
      .max(MAX_REGEX_CHARS)
      .refine(
        (text) => Object.hasOwn(BUILT_IN, text) || finderOf(text) !== undefined,
        `must be one of ${Object.keys(BUILT_IN).join(", ")}, or /a regular expression/ with flags of \`imsuv\``,
      )
      .optional(),
  })
  .superRefine(({ path, pattern }, context) => {
    if (path === undefined && pattern === undefined) {
      context.addIssue({ code: "custom", message: "must have a path, a pattern, or both" });
    }
    const steps = path === undefined ? [] : parsePath(path);
    if (typeof steps === "string") {
      context.addIssue({ code: "custom", path: ["path"], message: steps });
      return;
    }
    const [first] = steps;
    if (first?.kind === "key" && PROTECTED_FIELDS.has(first.key)) {
      context.addIssue({
        code: "custom",
        path: ["path"],
        message: "names a field that no record can be without",
      });
    }
  });

const scrubRulesShape = z.array(ruleShape).max(MAX_RULES);

export type ScrubAction = "drop" | "hash" | "mask";

export interface ScrubRule {
  /** Place in the setting: counts are told by it. */
  index: number;
  signals: ReadonlySet<Signal>;
  /** Undefined: every text. */
  steps: readonly Step[] | undefined;
  action: ScrubAction;
  /** Undefined: the whole value. */
  find: Finder | undefined;
  isBuiltIn: boolean;
}

/** What is wrong, and where: `[2].pattern`; empty for the setting itself. */
export interface ScrubFault {
  path: string;
  message: string;
}

/** @param json the setting's text */
export function parseScrubRules(
  json: string,
): { ok: true; value: ScrubRule[] } | { ok: false; error: ScrubFault[] } {
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch {
    return { ok: false, error: [{ path: "", message: "must be a JSON array of rules" }] };
  }
  const parsed = scrubRulesShape.safeParse(given);
  if (!parsed.success) {
    const error = parsed.error.issues.map(({ path, message }) => ({
      path: spell(path).toWellFormed(),
      message: message.toWellFormed(),
    }));
    return { ok: false, error };
  }
  const rules = parsed.data.map((rule, index): ScrubRule => {
    const steps = rule.path === undefined ? undefined : (parsePath(rule.path) as Step[]);
    const find = rule.pattern === undefined ? undefined : finderOf(rule.pattern);
    const isBuiltIn = rule.pattern !== undefined && Object.hasOwn(BUILT_IN, rule.pattern);
    return { index, signals: new Set(rule.signals), steps, action: rule.action, find, isBuiltIn };
  });
  return { ok: true, value: rules };
}

function finderOf(pattern: string): Finder | undefined {
  if (Object.hasOwn(BUILT_IN, pattern)) return BUILT_IN[pattern as keyof typeof BUILT_IN];
  const [, source, flags = ""] = REGEX.exec(pattern) ?? [];
  if (source === undefined || !/^[imsuv]*$/.test(flags)) return undefined;
  try {
    const regex = new RegExp(source, `${flags}g`);
    return (text) => spansOf(text, regex);
  } catch {
    return undefined;
  }
}

function spell(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === "number" ? `[${step}]` : `${i === 0 ? "" : "."}${String(step)}`))
    .join("");
}
