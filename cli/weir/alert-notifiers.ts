// `weir alerts notifiers`, `notifier add`, `notifier delete`. A webhook's secret is printed once, where it is made, and alone
// on stdout, so that it can be piped on.
import { z } from "zod";
import { madeNotifierShape, notifierShape } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, queryOf, tenantOf, whose } from "./alert-options.ts";
import type { Command } from "./command.ts";
import { printable } from "./output.ts";

export const alertsNotifiers: Command = {
  name: "alerts notifiers",
  summary: "who is told of alerts, and how that went",
  positionals: [],
  options: whose,
  async run({ api, args, output, isJson }) {
    const { value: rows } = await api.get(`${ALERTS_PATH}/notifiers${queryOf(args)}`, z.array(notifierShape));
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    await output.table(
      [
        { title: "ID" },
        { title: "NAME" },
        { title: "KIND" },
        { title: "HOST" },
        { title: "SENT", isRight: true },
        { title: "GIVEN UP", isRight: true },
        { title: "LAST ERROR", isOptional: true },
      ],
      rows.map((one) => [
        one.id,
        printable(one.name),
        one.kind,
        printable(one.host),
        String(one.sent_total),
        String(one.dropped_total),
        printable(one.last_error ?? ""),
      ]),
    );
    return 0;
  },
};

export const alertsNotifierAdd: Command = {
  name: "alerts notifier add",
  summary: "adds a webhook, or a Slack channel; prints a webhook's secret, once",
  positionals: [
    { name: "NAME", required: true },
    { name: "URL", required: true },
  ],
  options: { ...whose, slack: { type: "boolean", summary: "the URL is an incoming webhook of Slack's" } },
  async run({ api, positionals: [name = "", url = ""], args, output, isJson }) {
    const kind = args.isSet("slack") ? "slack" : "webhook";
    const made = await api.post(
      `${ALERTS_PATH}/notifiers`,
      { name, kind, url, ...tenantOf(args) },
      madeNotifierShape,
    );
    if (isJson) {
      await output.json(made);
      return 0;
    }
    output.note(
      `Notifier ${made.id} (${printable(made.name)}) at ${printable(made.host)} is told of alerts.`,
    );
    if (made.secret === null) return 0;
    output.note("Its signatures are verified with this secret, which is shown this once:");
    await output.line(made.secret);
    return 0;
  },
};

export const alertsNotifierDelete: Command = {
  name: "alerts notifier delete",
  summary: "deletes a notifier, and what was yet to be sent to it",
  positionals: [{ name: "ID", required: true }],
  options: whose,
  async run({ api, positionals: [id = ""], args, output, isJson }) {
    const deleted = await api.delete(
      `${ALERTS_PATH}/notifiers/${encodeURIComponent(id)}${queryOf(args)}`,
      notifierShape,
    );
    if (isJson) await output.json(deleted);
    else await output.line(`${deleted.id} (${printable(deleted.name)}): deleted`);
    return 0;
  },
};
