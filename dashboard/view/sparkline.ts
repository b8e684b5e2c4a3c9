// A small line without axes, as SVG: for tiles, where the shape counts and the figure stands beside it.
import type { Series } from "../data/series.ts";

const width = 120;
const height = 28;
const svg = "http://www.w3.org/2000/svg";

export function sparkline(
  series: Series,
  span: { fromMs: number; toMs: number },
  tone: string,
): SVGSVGElement {
  const element = document.createElementNS(svg, "svg");
  element.setAttribute("class", `sparkline ${tone}`);
  element.setAttribute("viewBox", `0 0 ${width} ${height}`);
  element.setAttribute("preserveAspectRatio", "none");
  element.setAttribute("aria-hidden", "true");
  const highest = Math.max(1, ...series.values);
  const points = series.values.map((value, index) => {
    const x = (((series.times[index] ?? 0) - span.fromMs) / (span.toMs - span.fromMs)) * width;
    return `${x.toFixed(1)},${(height - 1.5 - (value / highest) * (height - 3)).toFixed(1)}`;
  });
  const line = document.createElementNS(svg, "polyline");
  line.setAttribute("points", points.join(" "));
  element.append(line);
  return element;
}
