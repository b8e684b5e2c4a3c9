// `weir alerts list`: what is pending or firing, and what was.
import { z } from "zod";
import { alertShape, HISTORY_STATES } from "../../lib/http/alert-shape.ts";
import { ALERTS_PATH, labelsOf, queryOf, whose } from "./alert-options.ts";
import type { Command } from "./command.ts";
import { printable, type Cell, type Tint } from "./output.ts";

export const alertsList: Command = {
  name: "alerts list",
  summary: "what is pending or firing, or the history",
  positionals: [],
  options: {
    ...whose,
    state: {
      type: "string",
      short: "s",
      hint: "STATE",
      summary: `the history instead: of ${HISTORY_STATES.join(", ")}`,
    },
    limit: { type: "string", short: "n", hint: "N", summary: "how many at most (100)" },
  },
  async run({ api, args, output, isJson }) {
    const limit = args.wholeNumber("limit", 1, 1_000) ?? 100;
    const query = queryOf(args, { limit: String(limit), state: args.text("state") });
    const { value: rows } = await api.get(`${ALERTS_PATH}${query}`, z.array(alertShape));
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    if (rows.length === 0) {
      await output.line(
        args.text("state") === undefined ? "Nothing is pending or firing." : "There was none.",
      );
      return 0;
    }
    await output.table(
      [
        { title: "AT" },
        { title: "STATE" },
        { title: "SEVERITY" },
        { title: "RULE" },
        { title: "LABELS" },
        { title: "VALUE", isRight: true },
        { title: "SILENCED", isOptional: true },
      ],
      rows.map((one) => [
        one.at,
        stateOf(one.state),
        one.severity,
        printable(one.name),
        labelsOf(one.labels),
        String(one.value),
        one.silenced ? "yes" : "",
      ]),
    );
    return 0;
  },
};

function stateOf(state: string): Cell {
  const tints: Record<string, Tint> = { firing: "bad", pending: "warn", resolved: "good" };
  return { text: state, tint: tints[state] ?? "dim" };
}
