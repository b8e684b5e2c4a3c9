// What each host receives and sends, all of its interfaces together.
import { formatBytesPerSecond } from "../data/format.ts";
import { chartSpanMs, MetricFeed } from "../data/metric-feed.ts";
import type { Series } from "../data/series.ts";
import { el } from "../view/element.ts";
import { createFrame, type Panel } from "../view/panel.ts";
import { sparkline } from "../view/sparkline.ts";

const maxHosts = 4;

function direction(name: string, tone: string, series: Series | undefined, nowMs: number): Node[] {
  const span = { fromMs: nowMs - chartSpanMs, toMs: nowMs };
  return [
    el("span", { class: `direction ${tone}` }, name),
    ...(series ? [sparkline(series, span, tone)] : [el("span")]),
    el("span", { class: "value" }, formatBytesPerSecond(series?.values.at(-1))),
  ];
}

export function createNetwork(): Panel {
  const frame = createFrame({ id: "network", title: "Network", class: "network" });
  const received = new MetricFeed("network_receive_bytes_per_second", { sum: true });
  const sent = new MetricFeed("network_transmit_bytes_per_second", { sum: true });
  const rows = el("ul", { class: "rows" });
  frame.body.append(rows);

  function draw(incoming: Series[], outgoing: Series[], nowMs: number): void {
    frame.empty(
      incoming.length === 0
        ? () => el("p", {}, "No network figures in the last 15 minutes. The metrics agent sends them.")
        : undefined,
    );
    rows.replaceChildren(
      ...incoming.slice(0, maxHosts).map((series) =>
        el(
          "li",
          { class: "nic" },
          el("span", { class: "host" }, series.label),
          ...direction("in", "in", series, nowMs),
          ...direction(
            "out",
            "out",
            outgoing.find(({ label }) => label === series.label),
            nowMs,
          ),
        ),
      ),
      ...(incoming.length > maxHosts
        ? [el("li", { class: "more" }, `and ${incoming.length - maxHosts} more hosts`)]
        : []),
    );
  }

  return {
    element: frame.element,
    everyMs: 10_000,
    async refresh(api) {
      const [incoming, outgoing] = await Promise.all([received.refresh(api), sent.refresh(api)]);
      return frame.settle(incoming, (series) => draw(series, outgoing.ok ? outgoing.value : [], api.nowMs()));
    },
  };
}
