// The newest log records. Rows stay the same nodes while they are shown, so that an opened row stays open and the
// keyboard keeps its place when new ones arrive.
import type { Api } from "../data/api-client.ts";
import { formatPreciseTime } from "../data/format.ts";
import { type LogEntry, parseLogs } from "../data/shapes.ts";
import { el } from "../view/element.ts";
import { createFrame, type Panel } from "../view/panel.ts";

const knownLevels = new Set(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]);
const aliases: Record<string, string> = { WARNING: "WARN", ERR: "ERROR", CRITICAL: "FATAL", NOTICE: "INFO" };

function toneOf(level: string): string {
  const name = aliases[level] ?? level;
  return knownLevels.has(name) ? name.toLowerCase() : "unknown";
}

function createRow(entry: LogEntry): HTMLElement {
  const source = [entry.service, entry.host].filter(Boolean).join(" · ");
  const summary = el(
    "summary",
    {},
    el(
      "time",
      { datetime: new Date(entry.atMs).toISOString(), title: new Date(entry.atMs).toISOString() },
      formatPreciseTime(entry.atMs),
    ),
    el("span", { class: `level ${toneOf(entry.level)}` }, entry.level || "–"),
    el("span", { class: "source", title: source }, source),
    el("span", { class: "message" }, entry.message),
  );
  const row = el("details", { class: "log" }, summary);
  // Made when first opened: fifty records with large attributes would otherwise be laid out for nothing.
  row.addEventListener(
    "toggle",
    () =>
      row.append(
        el(
          "pre",
          { class: "attributes" },
          JSON.stringify({ message: entry.message, ...entry.attributes }, null, 2),
        ),
      ),
    { once: true },
  );
  return row;
}

export function createLogs(options: { teach: () => Node }): Panel {
  const frame = createFrame({ id: "logs", title: "Latest logs", class: "logs" });
  const rows = el("div", { class: "log-rows" });
  frame.body.append(rows);
  let shown = new Map<string, HTMLElement>();

  function draw(entries: LogEntry[]): void {
    frame.empty(entries.length === 0 ? options.teach : undefined);
    const next = new Map<string, HTMLElement>();
    // Records carry no id here; equal ones are told apart by their count, from the oldest on.
    const counts = new Map<string, number>();
    for (const entry of entries.toReversed()) {
      const text = JSON.stringify(entry);
      const count = (counts.get(text) ?? 0) + 1;
      counts.set(text, count);
      const key = `${text}#${count}`;
      next.set(key, shown.get(key) ?? createRow(entry));
    }
    for (const [key, row] of shown) if (!next.has(key)) row.remove();
    // Only what is new or out of place moves: moving a focused row would take its focus away.
    let place = rows.firstChild;
    for (const row of [...next.values()].toReversed()) {
      if (row === place) place = place.nextSibling;
      else rows.insertBefore(row, place);
    }
    shown = next;
  }

  return {
    element: frame.element,
    everyMs: 5_000,
    refresh: async (api: Api) => frame.settle(await api.get("/api/v1/logs?limit=50", parseLogs), draw),
  };
}
