// What is asked of windows: GET /api/v1/metrics/windows, and the names that stand for an aggregate of a window, such as
// `cpu_usage_avg_5min`. Refuses windows that are not kept, and says which are.
import { ok, reject, type Result } from "../telemetry/result.ts";
import { DAY_MS, parseWindow, spell, type WindowDefinition } from "../windows/definition.ts";
import { parsePage, type Page } from "./page.ts";

/** One figure of a window: those of WindowResult, or a percentile (`p99.9` is 0.999). */
export interface Aggregate {
  name: string;
  quantile: number | undefined;
}

export interface WindowsRequest {
  page: Page;
  name: string;
  definition: WindowDefinition;
  aggregates: Aggregate[];
  /** Which labels stay, all series that agree in them merged; undefined: each series by itself. */
  by: string[] | undefined;
  /** Length to which windows are brought; undefined: their own. */
  stepMs: number | undefined;
  /** Starts: from ≤ start < to; epoch ms. */
  fromMs: number;
  toMs: number;
}

const FIGURES = ["count", "sum", "avg", "min", "max", "last", "increase", "rate"] as const;
const DEFAULT_AGGREGATES = "count,sum,avg,min,max,last,p50,p90,p95,p99,increase,rate";
const MAX_AGGREGATES = 20;
/** As many labels as a metric may have. */
const MAX_BY = 30;
const MAX_STEP_MS = 31 * DAY_MS;
const UNITS_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

const ALIAS =
  /^(.+)_(count|sum|avg|min|max|last|increase|rate|p\d{1,2}(?:\.\d{1,4})?)_(\d{1,6})(s|sec|m|min|h|hour|d|day)s?$/;

/** What a name such as `cpu_usage_p95_1hour` stands for; undefined where it is of no such form. */
export function windowAlias(name: string): { name: string; aggregate: string; window: string } | undefined {
  const [, base, aggregate, length = "", unit = ""] = ALIAS.exec(name) ?? [];
  if (base === undefined || aggregate === undefined) return undefined;
  const lengthMs = Number(length) * (UNITS_MS[unit[0] ?? ""] ?? 0);
  return lengthMs === 0 ? undefined : { name: base, aggregate, window: spell(lengthMs) };
}

/**
 * A name of the form {@link windowAlias} counts as such only where `window` is not given.
 * @param configured the windows that are kept; the first of them is meant where none is named
 */
export function parseWindowsRequest(
  query: URLSearchParams,
  configured: readonly WindowDefinition[],
  nowMs: number,
): Result<WindowsRequest> {
  const given = query.get("name");
  if (given === null || given === "")
    return reject("invalid_query", "name", "must be given: of which metric");
  const alias = query.has("window") ? undefined : windowAlias(given);
  const definition = parseDefinition(alias?.window ?? query.get("window"), configured);
  if (!definition.ok) return definition;
  const aggregates = parseAggregates(query.get("agg") ?? alias?.aggregate ?? DEFAULT_AGGREGATES);
  if (!aggregates.ok) return aggregates;
  const by = parseBy(query.get("by"));
  if (!by.ok) return by;
  const stepMs = parseStep(query.get("step"), definition.value);
  if (!stepMs.ok) return stepMs;
  const page = parsePage(query, nowMs);
  if (!page.ok) return page;
  const { from, to, after } = page.value;
  const toMs = to === undefined ? nowMs + DAY_MS : startFrom(to);
  return ok({
    page: page.value,
    name: alias?.name ?? given,
    definition: definition.value,
    aggregates: aggregates.value,
    by: by.value,
    stepMs: stepMs.value,
    fromMs: from === undefined ? 0 : startFrom(from),
    toMs: after === undefined ? toMs : Math.min(toMs, startFrom(after.time)),
  });
}

/** The first whole millisecond that is not before these nanoseconds. */
function startFrom(nanos: string): number {
  const whole = BigInt(nanos);
  const ms = whole / 1_000_000n;
  return Number(ms * 1_000_000n < whole ? ms + 1n : ms);
}

function parseDefinition(
  text: string | null,
  configured: readonly WindowDefinition[],
): Result<WindowDefinition> {
  const [first] = configured;
  if (text === null && first) return ok(first);
  const asked = text === null ? undefined : parseWindow(text);
  const known = asked?.ok === true ? configured.find(({ id }) => id === asked.value.id) : undefined;
  if (known) return ok(known);
  const kept = configured.length === 0 ? "none" : configured.map(({ id }) => id).join(", ");
  const why = asked?.ok === false ? "is no window" : "is not kept";
  return reject("invalid_query", "window", `${why}; the windows kept here are ${kept} (the setting WINDOWS)`);
}

function parseAggregates(text: string): Result<Aggregate[]> {
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  if (names.length > MAX_AGGREGATES)
    return reject("invalid_query", "agg", `may name at most ${MAX_AGGREGATES} figures`);
  const aggregates: Aggregate[] = [];
  for (const name of names) {
    const [, percent] = /^p(\d{1,2}(?:\.\d{1,4})?|100)$/.exec(name) ?? [];
    // Of whole millionths: 99.9 / 100 is not 0.999.
    const quantile = percent === undefined ? undefined : Math.round(Number(percent) * 10_000) / 1_000_000;
    if (quantile === 0 || (quantile === undefined && !FIGURES.some((known) => known === name))) {
      const known = FIGURES.join(", ");
      return reject("invalid_query", "agg", `must be of ${known}, or percentiles such as p95 and p99.9`);
    }
    aggregates.push({ name, quantile });
  }
  return ok(aggregates);
}

function parseBy(text: string | null): Result<string[] | undefined> {
  if (text === null) return ok(undefined);
  const names = [...new Set(text.split(",").map((name) => name.trim()))].filter((name) => name !== "");
  if (names.length > MAX_BY) return reject("invalid_query", "by", `may name at most ${MAX_BY} labels`);
  return ok(names);
}

function parseStep(text: string | null, definition: WindowDefinition): Result<number | undefined> {
  if (text === null) return ok(undefined);
  const [, count = "", unit = ""] = /^([1-9]\d{0,5})([smhdw])$/.exec(text) ?? [];
  const stepMs = Number(count) * (UNITS_MS[unit] ?? Number.NaN);
  if (definition.kind !== "tumbling")
    return reject(
      "invalid_query",
      "step",
      `goes with tumbling windows such as 5m only, not with ${definition.id}`,
    );
  if (!(stepMs <= MAX_STEP_MS) || count === "" || stepMs % definition.sizeMs !== 0) {
    const example = spell(definition.sizeMs * 6);
    return reject(
      "invalid_query",
      "step",
      `must be a multiple of ${definition.id} as in ${example}, at most 31d`,
    );
  }
  return ok(stepMs === definition.sizeMs ? undefined : stepMs);
}
