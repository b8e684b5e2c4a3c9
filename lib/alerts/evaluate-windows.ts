// A rule on windows: which stored windows make up its span, and what they come to merged. Figures that grow with the
// span (count, sum, increase, rate) go by whole windows that are over; all others look at the open one, too.
import { decodePartial } from "../windows/partial-codec.ts";
import { merge, type WindowPartial } from "../windows/partial.ts";
import { resultOfParts, type SeriesPart } from "../windows/result.ts";
import type { WindowDefinition } from "../windows/definition.ts";
import type { Evaluation } from "./evaluate.ts";
import {
  groupLabels,
  holds,
  isMatched,
  type Aggregate,
  type Expression,
  type Selector,
} from "./expression.ts";
import { fingerprintOf, type Observation } from "./instance.ts";

export interface WindowSubject {
  aggregate: Aggregate;
  selector: Selector;
  rangeMs: number;
}

export interface WindowPlan {
  /** Id of the definition. */
  window: string;
  /** Starts, from ≤ start < to: the span, and one window before it, from which increases count. */
  fromMs: number;
  toMs: number;
  /** Where the span begins. */
  startMs: number;
  endMs: number;
}

/** Fits FoundWindow of lib/storage. */
export interface WindowOfSeries {
  series: string;
  labels: Record<string, string>;
  startMs: number;
  /** The partial, encoded. */
  state: string;
}

const GROWS_WITH_SPAN: readonly Aggregate[] = ["count", "sum", "increase", "rate"];

/** What was received before a window's end may still be on its way into it. */
const SETTLE_MS = 10_000;

/** A span is made of as many windows at least, where there are some so small. */
const GOOD_PARTS = 5;

/** @returns undefined where no window of the deployment divides the span */
export function planWindows(
  { aggregate, rangeMs }: WindowSubject,
  definitions: readonly WindowDefinition[],
  nowMs: number,
): WindowPlan | undefined {
  const fitting = definitions
    .flatMap((one) => (one.kind === "tumbling" && rangeMs % one.sizeMs === 0 ? [one] : []))
    .toSorted((a, b) => a.sizeMs - b.sizeMs);
  const definition = fitting.findLast(({ sizeMs }) => rangeMs / sizeMs >= GOOD_PARTS) ?? fitting[0];
  if (!definition) return undefined;
  const { id, sizeMs } = definition;
  const floor = (ms: number) => Math.floor(ms / sizeMs) * sizeMs;
  const isWhole = GROWS_WITH_SPAN.includes(aggregate);
  const endMs = isWhole ? floor(nowMs - SETTLE_MS) : floor(nowMs) + sizeMs;
  const startMs = isWhole ? endMs - rangeMs : floor(nowMs) - rangeMs;
  return { window: id, fromMs: startMs - sizeMs, toMs: endMs, startMs, endMs };
}

/** @throws PartialStateError */
export function evaluateWindows(
  { by, condition }: Expression,
  { aggregate, selector }: WindowSubject,
  { startMs, endMs }: WindowPlan,
  rows: readonly WindowOfSeries[],
  isCurrent: boolean,
): Evaluation {
  const groups = new Map<string, { labels: Record<string, string>; parts: Map<string, Part> }>();
  for (const { series, labels: all, startMs: rowMs, state } of rows) {
    if (!isMatched(selector.matchers, all)) continue;
    const labels = groupLabels(by, all);
    const fingerprint = fingerprintOf(labels);
    const group = groups.get(fingerprint) ?? { labels, parts: new Map<string, Part>() };
    groups.set(fingerprint, group);
    const part = group.parts.get(series) ?? { partial: undefined, previous: undefined };
    group.parts.set(series, part);
    const where = rowMs < startMs ? "previous" : "partial";
    const partial = decodePartial(state);
    const known = part[where];
    if (known) merge(known, partial);
    else part[where] = partial;
  }
  const observations = [...groups.values()].flatMap(({ labels, parts }): Observation[] => {
    const ready = [...parts].flatMap(([series, { partial, previous }]): SeriesPart[] =>
      partial ? [{ series, partial, previous }] : [],
    );
    if (ready.length === 0 || !condition) return [];
    const value = resultOfParts(ready, startMs, endMs)[aggregate] ?? null;
    if (value === null) return [];
    return [{ labels, value, isViolated: holds(condition.comparison, value, condition.threshold) }];
  });
  const fault = kindFault(aggregate, [...groups.values()]);
  return { observations, isComplete: isCurrent, ...(fault !== undefined && { fault }) };
}

/** What goes by one kind of metric says nothing of another; that it is silent for ever should be known. */
function kindFault(
  aggregate: Aggregate,
  groups: readonly { parts: Map<string, Part> }[],
): string | undefined {
  const partials = groups.flatMap(({ parts }) => [...parts.values()].flatMap(({ partial }) => partial ?? []));
  if (partials.length === 0) return undefined;
  if (aggregate === "last" && partials.every(({ last }) => last === undefined))
    return "last() is of numbers, and what it looks at are histograms";
  const isOfCounters = aggregate === "increase" || aggregate === "rate";
  if (isOfCounters && partials.every(({ counter }) => counter === undefined))
    return `${aggregate}() is of counters, and what it looks at is none`;
  return undefined;
}

interface Part {
  partial: WindowPartial | undefined;
  previous: WindowPartial | undefined;
}
