// What the commands of `weir alerts` have in common: whose alerts, and how labels are shown.
import { SEVERITIES } from "../../lib/alerts/rule.ts";
import { UsageError, type Arguments, type Option } from "./command.ts";
import { printable } from "./output.ts";

export const ALERTS_PATH = "/api/v1/alerts";
const DEPLOYMENT = "_deployment";

export const whose: Record<string, Option> = {
  tenant: {
    type: "string",
    short: "t",
    hint: "TENANT",
    summary: "whose; another than the key's own takes the scope operator",
  },
  deployment: { type: "boolean", summary: "the operator's, which look at Weir itself" },
};

/** What a rule is made or changed with, beside its name and its expression. */
export const ruleFields = {
  for: {
    type: "string",
    hint: "SPAN",
    summary: "how long it must hold, as in 10m; may stand in the expression",
  },
  severity: { type: "string", hint: "SEVERITY", summary: `${SEVERITIES.join(", ")} (warning)` },
  summary: {
    type: "string",
    hint: "TEXT",
    summary: "what people are told, with {{value}} and {{labels.NAME}}",
  },
  repeat: { type: "string", hint: "SPAN", summary: "how often they are told again while it fires (4h)" },
  notifier: {
    type: "string",
    multiple: true,
    hint: "ID",
    summary: "who is told; repeatable; all of the tenant's unless given",
  },
} satisfies Record<string, Option>;

/** @throws UsageError */
export function tenantOf(args: Arguments): { tenant?: string } {
  const tenant = args.text("tenant");
  if (!args.isSet("deployment")) return tenant === undefined ? {} : { tenant };
  if (tenant !== undefined) throw new UsageError("--tenant and --deployment exclude each other");
  return { tenant: DEPLOYMENT };
}

export function queryOf(args: Arguments, more: Record<string, string | undefined> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...tenantOf(args), ...more }))
    if (value !== undefined) query.set(name, value);
  return query.size === 0 ? "" : `?${query.toString()}`;
}

/** Fields of a body, by the names of the options that stand for them. */
export function given(args: Arguments, fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, option]) => {
      const value = args.text(option);
      return value === undefined ? [] : [[field, value]];
    }),
  );
}

export function labelsOf(labels: Readonly<Record<string, string>>): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return texts.length === 0 ? "-" : printable(texts.join(", "));
}
