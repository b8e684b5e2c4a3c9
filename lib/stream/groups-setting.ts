// The setting CONSUMER_GROUPS: groups beside the two that there always are. Refuses all that it does not know, with every
// fault at once.
import { z } from "zod";
import type { GroupStart } from "../storage/groups.ts";
import { ok, type Result } from "../telemetry/result.ts";
import { SIGNALS, type Signal } from "../telemetry/signal.ts";

export type GroupDoes = "storage" | "alerting";

export interface GroupDefinition {
  /** Whole, as in `weir-storage`. */
  name: string;
  does: GroupDoes;
  signals: readonly Signal[];
  startAt: GroupStart;
  /** Queries see what it stores. */
  isShown: boolean;
}

const MAX_GROUPS = 20;
const BUILT_IN = ["storage", "alerting"];

const startShape = z.union(
  [
    z.literal(["earliest", "latest"]),
    z.iso.datetime({ offset: true }).transform((text) => ({ timeMs: Date.parse(text) })),
  ],
  "must be `earliest`, `latest` or a time such as 2026-11-21T10:00:00Z",
);

const groupShape = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "must be lower-case letters, digits, `_` and `-`")
      .refine((name) => !BUILT_IN.includes(name), "is a group that there always is"),
    does: z.enum(["storage", "alerting"]),
    signals: z.array(z.enum(SIGNALS)).min(1).optional(),
    start: startShape.default("earliest"),
  })
  .check(({ value: { does, signals }, issues }) => {
    if (does === "storage" || signals === undefined || signals.join() === "metrics") return;
    const message = "must be left out, or `metrics` alone: alert rules look at metrics";
    issues.push({ code: "custom", input: signals, path: ["signals"], message });
  });

const settingShape = z
  .array(groupShape)
  .max(MAX_GROUPS)
  .check(({ value, issues }) => {
    for (const [i, { name }] of value.entries())
      if (value.findIndex((other) => other.name === name) < i)
        issues.push({ code: "custom", input: name, path: [i, "name"], message: "stands there twice" });
  });

/** @returns the groups with `prefix` and a dash before their names; or every fault */
export function parseGroups(text: string, prefix: string): Result<GroupDefinition[], string[]> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, error: ["must be a JSON array"] };
  }
  const parsed = settingShape.safeParse(json);
  if (!parsed.success) return { ok: false, error: parsed.error.issues.map(faultText) };
  return ok(
    parsed.data.map(({ name, does, signals, start }) => ({
      name: `${prefix}-${name}`,
      does,
      signals: does === "alerting" ? ["metrics"] : (signals ?? SIGNALS),
      startAt: start,
      isShown: false,
    })),
  );
}

function faultText({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}
