// One percentage of every host over the last fifteen minutes: CPU, memory.
import type { Api } from "../data/api-client.ts";
import { formatPercent, formatTime } from "../data/format.ts";
import { chartSpanMs, MetricFeed } from "../data/metric-feed.ts";
import { alignForChart, type ChartColumns, percentCeiling, type Series } from "../data/series.ts";
import { el, setText } from "../view/element.ts";
import { createFrame, type Panel } from "../view/panel.ts";
import { lineColours } from "../view/palette.ts";
import { createTimeChart } from "../view/time-chart.ts";

/** With more hosts than colours, the busiest ones. */
function busiest(all: readonly Series[]): Series[] {
  if (all.length <= lineColours) return [...all];
  return all
    .toSorted((a, b) => (b.values.at(-1) ?? 0) - (a.values.at(-1) ?? 0))
    .slice(0, lineColours)
    .toSorted((a, b) => a.label.localeCompare(b.label));
}

export function createUsageChart(options: {
  id: string;
  title: string;
  metric: string;
  teach: () => Node;
}): Panel {
  const frame = createFrame({ id: options.id, title: options.title, class: "usage" });
  const feed = new MetricFeed(options.metric);
  const figure = el("span", { class: "figure", "data-testid": `${options.id}-now` });
  const when = el("span", { class: "when" });
  const legend = el("ul", { class: "legend" });
  let lines: Series[] = [];
  let hosts = 0;
  let columns: ChartColumns = [[]];
  let pointed: number | undefined;

  const chart = createTimeChart({
    formatValue: (value) => `${value} %`,
    onCursor: (index) => {
      pointed = index;
      drawLegend();
    },
  });
  chart.element.setAttribute("role", "img");
  frame.aside.append(when, figure);
  frame.body.append(chart.element, legend);

  function drawLegend(): void {
    const valueOf = (line: Series, index: number): number | undefined =>
      pointed === undefined ? line.values.at(-1) : (columns[index + 1]?.[pointed] ?? undefined);
    const atSeconds = pointed === undefined ? undefined : columns[0][pointed];
    const single = lines.length === 1 ? lines[0] : undefined;
    setText(
      when,
      atSeconds === undefined
        ? hosts > lines.length
          ? `${lines.length} busiest of ${hosts} hosts`
          : ""
        : formatTime(atSeconds * 1000),
    );
    setText(figure, single ? formatPercent(valueOf(single, 0)) : "");
    legend.replaceChildren(
      ...lines.map((line, index) =>
        el(
          "li",
          { class: `line-${index + 1}` },
          el("span", { class: "host", title: line.label }, line.label),
          ...(single ? [] : [el("span", { class: "value" }, formatPercent(valueOf(line, index)))]),
          el("span", { class: "peak" }, `peak ${formatPercent(Math.max(...line.values))}`),
        ),
      ),
    );
  }

  function draw(all: Series[], nowMs: number): void {
    frame.empty(all.length === 0 ? options.teach : undefined);
    lines = busiest(all);
    hosts = all.length;
    columns = alignForChart(lines);
    chart.draw(columns, { fromMs: nowMs - chartSpanMs, toMs: nowMs, ceiling: percentCeiling(lines) });
    drawLegend();
    const spoken = lines.map(({ label, values }) => `${label} ${formatPercent(values.at(-1))}`).join(", ");
    chart.element.setAttribute("aria-label", `${options.title}, last 15 minutes. Now: ${spoken}`);
  }

  return {
    element: frame.element,
    everyMs: 5_000,
    refresh: async (api: Api) => frame.settle(await feed.refresh(api), (all) => draw(all, api.nowMs())),
  };
}
