// A live line chart over a fixed span of time, by uPlot: lines in, a canvas out. Charts of a page share their cursor.
// The caller draws the legend; `onCursor` tells it where the reader points.
import uPlot from "uplot";
import type { ChartColumns } from "../data/series.ts";
import { onColourSchemeChange, readPalette } from "./palette.ts";

export interface TimeChart {
  readonly element: HTMLElement;
  draw(columns: ChartColumns, span: { fromMs: number; toMs: number; ceiling: number }): void;
}

const heightPx = 168;
const cursorGroup = uPlot.sync("weir");

const twoDigits = (value: number): string => String(value).padStart(2, "0");

function clockLabels(_: uPlot, splits: number[]): string[] {
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    return `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`;
  });
}

/** The colour at some strength, for the fill beneath a line. */
function faded(colour: string, percent: number): string {
  return `color-mix(in srgb, ${colour} ${percent}%, transparent)`;
}

export function createTimeChart(context: {
  formatValue: (value: number) => string;
  /** Index into the columns under the cursor, undefined when it left. */
  onCursor: (index: number | undefined) => void;
}): TimeChart {
  const element = document.createElement("div");
  element.className = "chart";
  let plot: uPlot | undefined;
  let columns: ChartColumns = [[]];
  let span = { fromMs: 0, toMs: 1, ceiling: 1 };

  function options(lines: number, width: number): uPlot.Options {
    const palette = readPalette();
    const axis: uPlot.Axis = {
      stroke: palette.ink,
      font: palette.font,
      ticks: { show: false },
      grid: { stroke: palette.grid, width: 1 },
    };
    return {
      width,
      height: heightPx,
      padding: [10, 4, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: cursorGroup.key }, drag: { x: false, y: false }, points: { size: 6 }, y: false },
      scales: {
        x: { time: true, range: () => [span.fromMs / 1000, span.toMs / 1000] },
        y: { range: () => [0, span.ceiling] },
      },
      axes: [
        { ...axis, grid: { show: false }, values: clockLabels, space: 70, size: 26 },
        {
          ...axis,
          values: (_, splits) => splits.map(context.formatValue),
          splits: () => [0, span.ceiling / 2, span.ceiling],
          size: 46,
          gap: 6,
        },
      ],
      series: [
        {},
        ...Array.from({ length: lines }, (_, index): uPlot.Series => {
          const stroke = palette.lines[index % palette.lines.length] ?? palette.ink;
          const fill = (self: uPlot): CanvasGradient => {
            const gradient = self.ctx.createLinearGradient(
              0,
              self.bbox.top,
              0,
              self.bbox.top + self.bbox.height,
            );
            gradient.addColorStop(0, faded(stroke, 26));
            gradient.addColorStop(1, faded(stroke, 2));
            return gradient;
          };
          return { stroke, width: 1.75, points: { show: false }, ...(lines === 1 ? { fill } : {}) };
        }),
      ],
      hooks: {
        setCursor: [
          (self) =>
            context.onCursor(
              self.cursor.left !== undefined && self.cursor.left >= 0
                ? (self.cursor.idx ?? undefined)
                : undefined,
            ),
        ],
      },
    };
  }

  function rebuild(): void {
    plot?.destroy();
    plot = undefined;
    const width = element.clientWidth;
    if (width === 0) return;
    plot = new uPlot(options(columns.length - 1, width), columns, element);
  }

  new ResizeObserver(() => {
    if (!plot) rebuild();
    else if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height: heightPx });
  }).observe(element);
  onColourSchemeChange(rebuild);

  return {
    element,
    draw(next, nextSpan) {
      const sameLines = next.length === columns.length;
      columns = next;
      span = nextSpan;
      if (!plot || !sameLines) rebuild();
      else plot.setData(columns);
    },
  };
}
