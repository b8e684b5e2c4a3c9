// A rule on windows: which stored windows make up its span, and what they come to merged. Figures that grow with the
// span (count, sum, increase, rate) go by whole windows that are over and read; all others look at the open one, too.
// What was not read yet is never taken for nothing: by less of a span no alert resolves, and none fires.
import { decodePartial } from "../windows/partial-codec.ts";
import { merge, type WindowPartial } from "../windows/partial.ts";
import { resultOfParts, type SeriesPart } from "../windows/result.ts";
import type { WindowDefinition } from "../windows/definition.ts";
import type { Evaluation, ReadState } from "./evaluate.ts";
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

export interface WindowPlans {
  /** The span as of now, of which the last may not be read yet. */
  newest: WindowPlan;
  /** The newest span of which all is read; the same where that is not known. */
  read: WindowPlan;
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

/** With each record that is read they stay or grow. A sum may fall. */
const NEVER_FALLS: readonly Aggregate[] = ["count", "increase", "rate"];

/** What was received before a window's end may still be on its way into it. */
const SETTLE_MS = 10_000;

/** A span is made of as many windows at least, where there are some so small. */
const GOOD_PARTS = 5;

/** @returns the window that spans of a rule are made of; undefined where none of the deployment divides them */
export function windowFor(
  { rangeMs }: Pick<WindowSubject, "rangeMs">,
  definitions: readonly WindowDefinition[],
): { id: string; sizeMs: number } | undefined {
  const fitting = definitions
    .flatMap((one) => (one.kind === "tumbling" && rangeMs % one.sizeMs === 0 ? [one] : []))
    .toSorted((a, b) => a.sizeMs - b.sizeMs);
  return fitting.findLast(({ sizeMs }) => rangeMs / sizeMs >= GOOD_PARTS) ?? fitting[0];
}

/**
 * @param state of the reader of windows
 * @returns undefined as {@link windowFor}
 */
export function planWindows(
  { aggregate, rangeMs }: WindowSubject,
  definitions: readonly WindowDefinition[],
  { throughMs, isCurrent }: ReadState,
  nowMs: number,
): WindowPlans | undefined {
  const definition = windowFor({ rangeMs }, definitions);
  if (!definition) return undefined;
  const { id, sizeMs } = definition;
  const floor = (ms: number) => Math.floor(ms / sizeMs) * sizeMs;
  const isWhole = GROWS_WITH_SPAN.includes(aggregate);
  const planOf = (readMs: number): WindowPlan => {
    const endMs = isWhole ? floor(Math.min(nowMs - SETTLE_MS, readMs)) : floor(nowMs) + sizeMs;
    const startMs = isWhole ? endMs - rangeMs : floor(Math.min(nowMs, readMs)) - rangeMs;
    return { window: id, fromMs: startMs - sizeMs, toMs: endMs, startMs, endMs };
  };
  // What a reader that stands still has read to its end is long over.
  return { newest: planOf(nowMs), read: planOf(isCurrent ? throughMs : nowMs) };
}

/** @param rows of both plans. @throws PartialStateError */
export function evaluateWindows(
  expression: Expression,
  { aggregate, selector }: WindowSubject,
  { newest, read }: WindowPlans,
  rows: readonly WindowOfSeries[],
  { isCurrent }: Pick<ReadState, "isCurrent">,
): Evaluation {
  const figuresIn = (plan: WindowPlan) => figuresOf(expression, aggregate, selector, plan, rows);
  const fresh = figuresIn(newest);
  const settled = read.startMs === newest.startMs ? fresh : figuresIn(read);
  const comparison = expression.condition?.comparison;
  // By what is still to be read these are violated all the same.
  const isCertain = NEVER_FALLS.includes(aggregate) && (comparison === ">" || comparison === ">=");
  const violated = fresh.observations.filter(({ isViolated }) => isViolated);
  const evaluation = ((): Pick<Evaluation, "observations"> => {
    if (!GROWS_WITH_SPAN.includes(aggregate))
      // What had a value when all was read has not ceased because no more was read since.
      return { observations: isCurrent ? joined(fresh.observations, settled.observations) : violated };
    const certain = isCertain ? violated : [];
    return { observations: isCurrent ? joined(certain, settled.observations) : certain };
  })();
  const { fault } = settled;
  return { ...evaluation, isComplete: isCurrent, ...(fault !== undefined && { fault }) };
}

/** Those of `first`, and of `second` what has other labels. */
function joined(first: readonly Observation[], second: readonly Observation[]): Observation[] {
  if (first === second) return [...first];
  const all = new Map(second.map((one) => [fingerprintOf(one.labels), one]));
  for (const one of first) all.set(fingerprintOf(one.labels), one);
  return [...all.values()];
}

function figuresOf(
  { by, condition }: Expression,
  aggregate: Aggregate,
  selector: Selector,
  { fromMs, toMs, startMs, endMs }: WindowPlan,
  rows: readonly WindowOfSeries[],
): { observations: Observation[]; fault: string | undefined } {
  const groups = new Map<string, { labels: Record<string, string>; parts: Map<string, Part> }>();
  for (const { series, labels: all, startMs: rowMs, state } of rows) {
    if (rowMs < fromMs || rowMs >= toMs || !isMatched(selector.matchers, all)) continue;
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
  return { observations, fault: kindFault(aggregate, [...groups.values()]) };
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
