// How full each disk is, the fullest first.
import { formatBytes, formatPercent } from "../data/format.ts";
import { hostOf } from "../data/metric-feed.ts";
import { type MetricPoint, parseMetrics } from "../data/shapes.ts";
import { el } from "../view/element.ts";
import { createFrame, type Panel } from "../view/panel.ts";

const maxRows = 6;
const recent = "from=-5m&limit=500";

const diskOf = ({ labels }: MetricPoint): string => `${hostOf(labels)}\u0000${labels["mount"] ?? ""}`;

/** The newest point of each disk; answers come newest first. */
function newest(points: readonly MetricPoint[]): Map<string, MetricPoint> {
  const disks = new Map<string, MetricPoint>();
  for (const point of points) if (!disks.has(diskOf(point))) disks.set(diskOf(point), point);
  return disks;
}

export function createDisks(): Panel {
  const frame = createFrame({ id: "disks", title: "Disks", class: "disks" });
  const rows = el("ul", { class: "rows" });
  frame.body.append(rows);

  function draw(usage: MetricPoint[], used: MetricPoint[]): void {
    const usedBytes = newest(used);
    const disks = [...newest(usage).values()].toSorted((a, b) => b.value - a.value);
    frame.empty(
      disks.length === 0
        ? () => el("p", {}, "No disk figures in the last 5 minutes. The metrics agent sends them.")
        : undefined,
    );
    rows.replaceChildren(
      ...disks.slice(0, maxRows).map((disk) =>
        el(
          "li",
          { class: "disk" },
          el("span", { class: "host" }, el("b", {}, disk.labels["mount"] ?? "?"), ` ${hostOf(disk.labels)}`),
          el(
            "span",
            { class: "value" },
            el("span", { class: "minor" }, formatBytes(usedBytes.get(diskOf(disk))?.value)),
            formatPercent(disk.value),
          ),
          el("meter", {
            min: "0",
            max: "100",
            low: "80",
            high: "90",
            optimum: "0",
            value: String(disk.value),
            "aria-label": `${disk.labels["mount"] ?? ""} used`,
          }),
        ),
      ),
      ...(disks.length > maxRows
        ? [el("li", { class: "more" }, `and ${disks.length - maxRows} more, less full`)]
        : []),
    );
  }

  return {
    element: frame.element,
    everyMs: 10_000,
    async refresh(api) {
      const [usage, used] = await Promise.all([
        api.get(`/api/v1/metrics?name=disk_usage_percent&${recent}`, parseMetrics),
        api.get(`/api/v1/metrics?name=disk_used_bytes&${recent}`, parseMetrics),
      ]);
      return frame.settle(usage, (points) => draw(points, used.ok ? used.value : []));
    },
  };
}
