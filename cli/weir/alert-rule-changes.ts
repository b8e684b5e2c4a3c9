// `weir alerts rule edit`, `rule enable`, `rule disable`: what is not named stays as it is.
import { SEVERITIES } from "../../lib/alerts/rule.ts";
import { alertRuleShape } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, given, queryOf, ruleFields, whose } from "./alert-options.ts";
import { UsageError, type Arguments, type Command } from "./command.ts";
import { printable } from "./output.ts";

const pathOf = (id: string, args: Arguments) =>
  `${ALERTS_PATH}/rules/${encodeURIComponent(id)}${queryOf(args)}`;

export const alertsRuleEdit: Command = {
  name: "alerts rule edit",
  summary: "changes an alert rule in place; one that asks something else begins anew",
  positionals: [{ name: "ID", required: true }],
  options: {
    ...whose,
    name: { type: "string", hint: "NAME", summary: "what people call it" },
    expr: { type: "string", hint: "EXPRESSION", summary: "the whole of it" },
    ...ruleFields,
    // Nothing goes without saying here.
    severity: { ...ruleFields.severity, summary: SEVERITIES.join(", ") },
    repeat: { ...ruleFields.repeat, summary: "how often they are told again while it fires" },
    notifier: { ...ruleFields.notifier, summary: "who is told, instead of those before; repeatable" },
    "all-notifiers": { type: "boolean", summary: "all of the tenant's are told, instead of some" },
    revision: {
      type: "string",
      hint: "N",
      summary: "only if it is still this one; without it the last to write wins",
    },
  },
  notes: [
    "  weir alerts rule edit 3f0c9a1be2d47765 --expr 'cpu_usage_percent > 90'",
    "  weir alerts rule edit default-lag --deployment --for 5m --severity critical",
  ],
  async run({ api, positionals: [id = ""], args, output, isJson }) {
    const path = pathOf(id, args);
    const notifiers = args.list("notifier");
    const isForAll = args.isSet("all-notifiers");
    if (isForAll && notifiers.length > 0)
      throw new UsageError("--notifier and --all-notifiers exclude each other");
    const revision = args.wholeNumber("revision", 1, Number.MAX_SAFE_INTEGER);
    const change: Record<string, unknown> = {
      ...given(args, {
        name: "name",
        expr: "expr",
        for: "for",
        severity: "severity",
        repeat_interval: "repeat",
      }),
      ...(isForAll ? { notifiers: null } : notifiers.length > 0 && { notifiers }),
    };
    const summary = args.text("summary");
    if (summary === undefined && Object.keys(change).length === 0)
      throw new UsageError("nothing is to be changed: name at least one of the options");
    if (summary !== undefined) {
      // Its other texts stay.
      const { value: known } = await api.get(path, alertRuleShape);
      change["annotations"] = { ...known.annotations, summary };
      change["revision"] = known.revision;
    }
    if (revision !== undefined) change["revision"] = revision;
    const changed = await api.patch(path, change, alertRuleShape);
    if (isJson) await output.json(changed);
    else await output.line(`${changed.id} (${printable(changed.name)}): revision ${changed.revision}`);
    return 0;
  },
};

export const alertsRuleEnable = switchTo(
  "enable",
  true,
  "has an alert rule judged again, as one that was just made",
);
export const alertsRuleDisable = switchTo(
  "disable",
  false,
  "keeps an alert rule, and judges it no more; its alerts are resolved",
);

function switchTo(word: string, enabled: boolean, summary: string): Command {
  return {
    name: `alerts rule ${word}`,
    summary,
    positionals: [{ name: "ID", required: true }],
    options: whose,
    async run({ api, positionals: [id = ""], args, output, isJson }) {
      const changed = await api.patch(pathOf(id, args), { enabled }, alertRuleShape);
      if (isJson) await output.json(changed);
      else await output.line(`${changed.id} (${printable(changed.name)}): ${word}d`);
      return 0;
    },
  };
}
