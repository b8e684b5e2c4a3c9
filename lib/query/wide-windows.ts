// Windows merged over more series than are read at once: slice by slice of the series, each slice merged as if it were
// all, and what the slices say added up. It comes to what one look at everything gives, and is refused where that would
// take too long. What changes meanwhile may be seen by one slice and not by the one before.
import { ok, type Result } from "../telemetry/result.ts";
import { DAY_MS } from "../windows/definition.ts";
import { grouped, groupRows, mergeGroups, type WindowGroup } from "../windows/merge.ts";
import { runsOf, spanOf } from "../windows/sessions.ts";
import { MergedWindows, newestFirst } from "./merged-windows.ts";
import { SeriesSlices, type LookBounds } from "./series-slices.ts";
import {
  answerOf,
  ceilTo,
  floorTo,
  grouping,
  lookBackOf,
  MAX_RESULTS,
  pageLength,
  tooManyMerged,
  tooManyResults,
  tooManyRows,
  unitOf,
  type Clock,
  type FindRows,
  type FoundRow,
  type Starts,
  type WindowAnswer,
  type WindowsPage,
} from "./window-answer.ts";
import type { WindowsRequest } from "./windows-request.ts";

/** Of what a page may take: with so much it ends, where it has something to tell. */
const LONG = 1 / 4;
/** Of a day's sessions, whichever page they are on. */
const MAX_SPANS = 200_000;

interface Span {
  startMs: number;
  endMs: number;
}

type Placed = Span & { group: string };

/** Of one unit what is asked for, newest first. */
interface UnitRead {
  answers: WindowAnswer[];
  /** There are older ones in it, for which the page has no room. */
  isCut: boolean;
}

/**
 * Goes on with a page.
 * @param so what it has; all windows from `toldFromMs` on are in it
 * @param bounds and `size`: characters of a row's state, as of the last look
 */
export async function readWide<R extends FoundRow>(
  request: WindowsRequest,
  find: FindRows<R>,
  clock: Clock,
  so: { windows: readonly WindowAnswer[]; toldFromMs: number },
  bounds: LookBounds & { size: number },
): Promise<Result<WindowsPage>> {
  const { fromMs, page } = request;
  const unitMs = unitOf(request);
  const windows = [...so.windows];
  const slices = new SeriesSlices(find, bounds, bounds.size);
  let { toldFromMs } = so;
  /** What the last unit took, as the next one may: of looks, and of the page. */
  let looks = 0;
  let results = 1;
  for (;;) {
    const lowestMs = floorTo(fromMs, unitMs);
    const highestMs = ceilTo(toldFromMs, unitMs);
    // oxlint-disable-next-line no-await-in-loop -- one unit after the other
    const [newest] = highestMs > lowestMs ? await find({ fromMs: lowestMs, toMs: highestMs, limit: 1 }) : [];
    if (!newest) return ok({ windows, isMore: false });
    const room = page.limit - windows.length;
    const isLong = bounds.wideLooks - slices.left + looks > bounds.wideLooks * LONG;
    if (windows.length > 0 && (results > room || isLong)) return ok({ windows, isMore: true });
    const startMs = floorTo(newest.startMs, unitMs);
    const { left } = slices;
    const asked = { startMs, fromMs, toMs: toldFromMs, room, hasFirst: windows.length === 0 };
    const readUnit = request.definition.kind === "session" ? readSessions : readStart;
    // oxlint-disable-next-line no-await-in-loop -- as above
    const read = await readUnit(request, slices, clock, asked);
    // What is told stays told: the next page is refused.
    if (!read.ok) return windows.length > 0 ? ok({ windows, isMore: true }) : read;
    for (const answer of read.value.answers) windows.push(answer);
    if (read.value.isCut) return ok({ windows, isMore: true });
    looks = left - slices.left;
    results = request.definition.kind === "session" ? 1 : Math.max(1, read.value.answers.length);
    toldFromMs = Math.min(startMs, toldFromMs);
  }
}

interface Asked {
  /** Of the unit. */
  startMs: number;
  /** Starts of what is told: from ≤ start < to. */
  fromMs: number;
  toMs: number;
  /** Results for which the page has room; the first start belongs to it, however many it has. */
  room: number;
  hasFirst: boolean;
}

/** A single start, or a step. */
async function readStart<R extends FoundRow>(
  request: WindowsRequest,
  slices: SeriesSlices<R>,
  clock: Clock,
  { startMs, fromMs, toMs, room, hasFirst }: Asked,
): Promise<Result<UnitRead>> {
  const { definition, stepMs, by } = request;
  const groupOf = grouping(by);
  const merged = new MergedWindows();
  if (startMs >= toMs || startMs < fromMs) return ok({ answers: [], isCut: false });
  const from = (ms: number): Starts => ({ fromMs: ms, toMs: ms + (stepMs ?? 1) });
  const reading = slices.read(from(startMs), from(startMs - lookBackOf(request)));
  const refused = await eachSlice(reading, (rows) => {
    const groups = groupRows(definition, rows, groupOf, stepMs);
    for (const window of mergeGroups(definition, groups, startMs)) merged.add(window);
    return merged.count > MAX_RESULTS ? tooManyResults() : merged.check();
  });
  if (refused) return refused;
  const isCut = !hasFirst && merged.count > room;
  const answers = isCut ? [] : merged.newestFirst().map((window) => answerOf(window, request, clock));
  return ok({ answers, isCut });
}

/**
 * Sessions of a day. Which of them are one is known only when all were seen; and what cumulative points of a series come
 * to, only by all of its sessions that became one. So all is read twice, the second time of those alone that are told.
 */
async function readSessions<R extends FoundRow>(
  request: WindowsRequest,
  slices: SeriesSlices<R>,
  clock: Clock,
  { startMs, fromMs, toMs, room, hasFirst }: Asked,
): Promise<Result<UnitRead>> {
  const { definition, by } = request;
  const groupOf = grouping(by);
  const spans = new Map<string, Span[]>();
  let count = 0;
  let refused = await eachSlice(
    slices.read({ fromMs: startMs, toMs: startMs + DAY_MS }, undefined),
    (rows) => {
      for (const [group, members] of grouped(rows, groupOf)) {
        const known = spans.get(group) ?? [];
        const joined = runsOf<Span>([...known, ...members]).map(spanOf);
        spans.set(group, joined);
        count += joined.length - known.length;
      }
      return count > MAX_SPANS ? tooManyMerged(`has more than ${MAX_SPANS} sessions on one day`) : undefined;
    },
  );
  if (refused) return refused;
  const ready = newestFirst(
    [...spans].flatMap(([group, own]) => own.map((span) => ({ ...span, group }))),
  ).filter((span) => span.startMs >= fromMs && span.startMs < toMs);
  spans.clear();
  const length = pageLength(ready, room, hasFirst);
  if (length > MAX_RESULTS) return tooManyResults();
  const told = ready.slice(0, length);
  const last = told.at(-1);
  if (!last) return ok({ answers: [], isCut: ready.length > 0 });

  const merged = new MergedWindows();
  const ofGroup = grouped(told, ({ group }) => group);
  const untilMs = told.reduce((ms, span) => Math.max(ms, span.endMs), 0);
  refused = await eachSlice(slices.read({ fromMs: last.startMs, toMs: untilMs }, undefined), (rows) => {
    const groups = new Map<Placed, WindowGroup<R>>();
    for (const row of rows) {
      const place = placeOf(ofGroup.get(groupOf(row)) ?? [], row.startMs);
      if (!place) continue;
      const group = groups.get(place) ?? { ...place, rows: [] };
      groups.set(place, group);
      group.rows.push(row);
    }
    for (const window of mergeGroups(definition, [...groups.values()])) merged.add(window);
    return merged.check();
  });
  if (refused) return refused;
  const answers = merged.newestFirst().map((window) => answerOf(window, request, clock));
  return ok({ answers, isCut: length < ready.length });
}

/** @returns why it is refused, if it is */
async function eachSlice<R, Refused>(
  reading: AsyncGenerator<R[], string | undefined>,
  take: (rows: R[]) => Refused | undefined,
) {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one slice is let go of before the next is read
    const { done, value } = await reading.next();
    if (done) return value === undefined ? undefined : tooManyRows(value);
    const refused = take(value);
    if (refused) return refused;
  }
}

/** @param spans newest first, of which none overlap */
function placeOf(spans: readonly Placed[], ms: number): Placed | undefined {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle] as Placed).startMs > ms) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  return span && ms < span.endMs ? span : undefined;
}
