// `weir alerts silences`, `silence`, `unsilence`.
import { z } from "zod";
import { formatDuration, parseDuration } from "../../lib/alerts/duration.ts";
import { silenceShape } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, given, queryOf, tenantOf, whose } from "./alert-options.ts";
import { UsageError, type Command } from "./command.ts";
import { printable } from "./output.ts";

export const alertsSilences: Command = {
  name: "alerts silences",
  summary: "silences that are not over",
  positionals: [],
  options: { ...whose, expired: { type: "boolean", summary: "those that are over, too" } },
  async run({ api, args, output, isJson }) {
    const expired = args.isSet("expired") ? "true" : undefined;
    const query = queryOf(args, { limit: "1000", expired });
    const { value: rows } = await api.get(`${ALERTS_PATH}/silences${query}`, z.array(silenceShape));
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    await output.table(
      [
        { title: "ID" },
        { title: "STATE" },
        { title: "FROM" },
        { title: "UNTIL" },
        { title: "MATCHERS" },
        { title: "AUTHOR" },
        { title: "COMMENT" },
      ],
      rows.map((one) => [
        one.id,
        one.state,
        one.starts_at,
        one.ends_at,
        printable(one.matchers.map(({ name, op, value }) => `${name}${op}${value}`).join(", ")),
        printable(one.author),
        printable(one.comment),
      ]),
    );
    return 0;
  },
};

export const alertsSilence: Command = {
  name: "alerts silence",
  summary: "silences alerts for a while",
  positionals: [{ name: "SPAN", required: true }],
  options: {
    ...whose,
    match: {
      type: "string",
      multiple: true,
      short: "m",
      hint: "MATCHER",
      summary: "host=web-1, env!=dev, alertname=Slow, severity=info; repeatable, all must hold",
    },
    comment: { type: "string", short: "c", hint: "TEXT", summary: "why" },
    author: { type: "string", hint: "NAME", summary: "who; the key's id unless given" },
  },
  notes: ['  weir alerts silence 2h --match host=web-1 --comment "disk is replaced"'],
  async run({ api, positionals: [span = ""], args, output, isJson }) {
    const spanMs = parseDuration(span);
    if (spanMs === undefined || spanMs === 0)
      throw new UsageError(`SPAN must be a span of time, as in 30m or 2h, not ${span}`);
    const comment = args.text("comment");
    if (comment === undefined) throw new UsageError("--comment must say why");
    const matchers = args.list("match").map(matcherOf);
    if (matchers.length === 0)
      throw new UsageError("--match must say which alerts, as in --match host=web-1");
    const body = {
      matchers,
      ends_at: new Date(Date.now() + spanMs).toISOString(),
      comment,
      ...given(args, { author: "author" }),
      ...tenantOf(args),
    };
    const made = await api.post(`${ALERTS_PATH}/silences`, body, silenceShape);
    if (isJson) await output.json(made);
    else await output.line(`${made.id}: silent for ${formatDuration(spanMs)}, until ${made.ends_at}`);
    return 0;
  },
};

export const alertsUnsilence: Command = {
  name: "alerts unsilence",
  summary: "ends a silence now",
  positionals: [{ name: "ID", required: true }],
  options: whose,
  async run({ api, positionals: [id = ""], args, output, isJson }) {
    const ended = await api.delete(
      `${ALERTS_PATH}/silences/${encodeURIComponent(id)}${queryOf(args)}`,
      silenceShape,
    );
    if (isJson) await output.json(ended);
    else await output.line(`${ended.id}: ended`);
    return 0;
  },
};

/** @throws UsageError */
function matcherOf(text: string): { name: string; op: string; value: string } {
  const [, name = "", op = "", value = ""] = /^([^=!]+)(!?=)(.*)$/s.exec(text) ?? [];
  if (name === "") throw new UsageError(`--match must be NAME=VALUE or NAME!=VALUE, not ${text}`);
  return { name, op, value };
}
