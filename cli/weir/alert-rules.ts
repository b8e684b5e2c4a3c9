// `weir alerts rules`, `rule create`, `rule test`, `rule delete`.
import { z } from "zod";
import { SEVERITIES } from "../../lib/alerts/rule.ts";
import { alertRuleShape, testedRuleShape } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, given, labelsOf, queryOf, tenantOf, whose } from "./alert-options.ts";
import type { Command } from "./command.ts";
import { printable } from "./output.ts";

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
      ],
      rows.map((one) => [
        one.id,
        printable(one.name),
        one.severity,
        one.for,
        one.repeat_interval,
        printable(one.expr),
      ]),
    );
    return 0;
  },
};

export const alertsRuleCreate: Command = {
  name: "alerts rule create",
  summary: "makes an alert rule",
  positionals: [
    { name: "NAME", required: true },
    { name: "EXPRESSION", required: true },
  ],
  options: {
    ...whose,
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
    if (tried.results.length === 0) {
      await output.line("There is nothing that it looks at.");
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
