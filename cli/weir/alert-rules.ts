// `weir alerts rules`, `rule create`, `rule test`, `rule delete`. Changes are alert-rule-changes.ts's.
import { z } from "zod";
import { alertRuleShape, testedRuleShape } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, given, labelsOf, queryOf, ruleFields, tenantOf, whose } from "./alert-options.ts";
import type { Command } from "./command.ts";
import { printable, type Cell } from "./output.ts";

export const alertsRules: Command = {
  name: "alerts rules",
  summary: "the alert rules",
  positionals: [],
  options: whose,
  async run({ api, args, output, isJson }) {
    const { value: rows } = await api.get(`${ALERTS_PATH}/rules${queryOf(args)}`, z.array(alertRuleShape));
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    await output.table(
      [
        { title: "ID" },
        { title: "NAME" },
        { title: "SEVERITY" },
        { title: "FOR" },
        { title: "REPEAT" },
        { title: "EXPRESSION" },
        { title: "NOT JUDGED", isOptional: true },
      ],
      rows.map((one) => [
        one.id,
        printable(one.name),
        one.severity,
        one.for,
        one.repeat_interval,
        printable(one.expr),
        notJudged(one),
      ]),
    );
    return 0;
  },
};

/** Why, where it is not. */
function notJudged(rule: z.output<typeof alertRuleShape>): Cell {
  if (!rule.enabled) return { text: "disabled", tint: "dim" };
  if (rule.last_error === null) return "";
  return { text: printable(`since ${rule.failing_since}: ${rule.last_error}`), tint: "bad" };
}

export const alertsRuleCreate: Command = {
  name: "alerts rule create",
  summary: "makes an alert rule",
  positionals: [
    { name: "NAME", required: true },
    { name: "EXPRESSION", required: true },
  ],
  options: {
    ...whose,
    ...ruleFields,
  },
  notes: [
    `  weir alerts rule create "Hot CPU" 'cpu_usage_percent{env!="dev"} > 80 for 5m'`,
    "  weir alerts rule create Slow 'p95(latency, 5m) by (service) > 300 for 10m' --severity critical",
    "  weir alerts rule create Silent 'absent(heartbeat, 10m) by (host)'",
  ],
  async run({ api, positionals: [name = "", expr = ""], args, output, isJson }) {
    const summary = args.text("summary");
    const notifiers = args.list("notifier");
    const made = await api.post(
      `${ALERTS_PATH}/rules`,
      {
        name,
        expr,
        ...given(args, { for: "for", severity: "severity", repeat_interval: "repeat" }),
        ...(summary !== undefined && { annotations: { summary } }),
        ...(notifiers.length > 0 && { notifiers }),
        ...tenantOf(args),
      },
      alertRuleShape,
    );
    if (isJson) await output.json(made);
    else await output.line(`${made.id} (${printable(made.name)}): it is judged from now on`);
    return 0;
  },
};

export const alertsRuleTest: Command = {
  name: "alerts rule test",
  summary: "what a rule comes to now, without making it",
  positionals: [{ name: "EXPRESSION", required: true }],
  options: whose,
  async run({ api, positionals: [expr = ""], args, output, isJson }) {
    const body = { name: "test", expr, ...tenantOf(args) };
    const tried = await api.post(`${ALERTS_PATH}/rules/test`, body, testedRuleShape);
    if (isJson) {
      await output.json(tried);
      return 0;
    }
    if (!tried.complete)
      output.note("Not all is known now: readers are behind, or something did not answer.");
    if (tried.error !== null) output.note(`It cannot be judged now: ${printable(tried.error)}.`);
    if (tried.results.length === 0) {
      if (tried.error === null)
        await output.line(
          "No series matches now: check the name (GET /api/v1/metrics/names) and the labels.",
        );
      return 0;
    }
    await output.table(
      [{ title: "HOLDS" }, { title: "VALUE", isRight: true }, { title: "LABELS" }],
      tried.results.map(({ labels, value, violated }) => [
        violated ? { text: "yes", tint: "bad" } : { text: "no", tint: "good" },
        String(value),
        labelsOf(labels),
      ]),
    );
    return 0;
  },
};

export const alertsRuleDelete: Command = {
  name: "alerts rule delete",
  summary: "deletes an alert rule; its alerts are resolved",
  positionals: [{ name: "ID", required: true }],
  options: whose,
  async run({ api, positionals: [id = ""], args, output, isJson }) {
    const deleted = await api.delete(
      `${ALERTS_PATH}/rules/${encodeURIComponent(id)}${queryOf(args)}`,
      alertRuleShape,
    );
    if (isJson) await output.json(deleted);
    else await output.line(`${deleted.id} (${printable(deleted.name)}): deleted`);
    return 0;
  },
};
