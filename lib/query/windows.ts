// Reads windows page by page, the newest first: partials of all partitions, merged by series or by labels, brought to
// longer lengths where that is asked. A page ends with a whole start, so that a result is never in two parts. What a
// single page would have to read is bounded; what is told is let go of before more is read. Where series are merged, a
// start that does not fit is read by slices of its series (wide-windows.ts).
import { ok, type Result } from "../telemetry/result.ts";
import { groupRows, mergeGroups } from "../windows/merge.ts";
import { meanSize, type LookBounds } from "./series-slices.ts";
import { readWide } from "./wide-windows.ts";
import {
  answerOf,
  ceilTo,
  floorTo,
  grouping,
  lookBackOf,
  MAX_RESULTS,
  mergedOf,
  pageLength,
  tooMany,
  tooManyResults,
  unitOf,
  type FindRows,
  type FoundRow,
  type WindowAnswer,
  type WindowsPage,
} from "./window-answer.ts";
import type { WindowsRequest } from "./windows-request.ts";

export interface ReadBounds extends LookBounds {
  /** Rows of the first look at the store, where a page of so few results needs no more. */
  firstLook: number;
}

/** Rows of one page, and characters of their states, where they are read at once. */
export const MAX_ROWS = 20_000;
const BOUNDS: ReadBounds = {
  firstLook: 60,
  lookRows: 4_000,
  lookChars: 1_000_000,
  maxRows: MAX_ROWS,
  maxChars: 12_000_000,
  wideLooks: 300,
};
/** While nothing is known of how large the states are. */
const MAX_FIRST_LOOK = 200;
/** Partitions that a series spans are few, as a rule one. */
const ROWS_PER_RESULT = 2;

/**
 * @param latenessMs how long after its end a window may still change
 * @param given others than the usual bounds
 */
export async function readWindows<R extends FoundRow>(
  request: WindowsRequest,
  find: FindRows<R>,
  nowMs: number,
  latenessMs: number,
  given: Partial<ReadBounds> = {},
): Promise<Result<WindowsPage>> {
  const { definition, fromMs, toMs, page, stepMs, by } = request;
  const bounds = { ...BOUNDS, ...given };
  const clock = { nowMs, latenessMs };
  const unitMs = unitOf(request);
  const lookBackMs = lookBackOf(request);
  const lowestMs = floorTo(fromMs, unitMs) - lookBackMs;
  const groupOf = grouping(by);
  const windows: WindowAnswer[] = [];
  /** Those that are read and not told yet; some are of windows before. */
  let rows: R[] = [];
  let toldFromMs = toMs;
  /** All rows with a start from here on are read. */
  let readFromMs = ceilTo(toMs, unitMs);
  let look = Math.min(MAX_FIRST_LOOK, bounds.firstLook + page.limit * ROWS_PER_RESULT);
  let left = bounds.maxRows;
  let chars = 0;
  let size = 1;
  let isAll = readFromMs <= lowestMs;
  let isWide = false;
  while (!isAll && left > 0 && chars < bounds.maxChars && windows.length < page.limit) {
    const limit = Math.min(look, left);
    // oxlint-disable-next-line no-await-in-loop -- where the next look begins is known by this one
    const next = await find({ fromMs: lowestMs, toMs: readFromMs, limit });
    left -= next.length;
    isAll = next.length < limit;
    const lastMs = next.at(-1)?.startMs ?? lowestMs;
    size = meanSize(next);
    // Of the last start there may be more.
    const whole = isAll ? next : next.filter(({ startMs }) => startMs > lastMs);
    if (whole.length === 0 && !isAll) {
      isWide = by !== undefined && (limit >= bounds.lookRows || limit * size >= bounds.lookChars);
      if (isWide || limit === bounds.maxRows || limit * size >= bounds.maxChars) break;
      left = bounds.maxRows;
      look =
        by === undefined
          ? Math.min(bounds.maxRows, look * 4, Math.ceil(bounds.maxChars / size))
          : Math.min(bounds.lookRows, Math.ceil(bounds.lookChars / size));
      continue;
    }
    for (const row of whole) {
      rows.push(row);
      chars += row.state.length;
    }
    look = Math.max(1, Math.min(bounds.lookRows, Math.floor(bounds.lookChars / size)));
    readFromMs = isAll ? lowestMs : lastMs + 1;
    const readyMs = isAll ? fromMs : Math.max(fromMs, ceilTo(readFromMs, unitMs) + lookBackMs);
    if (readyMs >= toldFromMs) continue;
    const groups = groupRows(definition, rows, groupOf, stepMs).filter(({ startMs }) => startMs < toldFromMs);
    const ready = groups.filter(({ startMs }) => startMs >= readyMs).toReversed();
    const count = pageLength(ready, page.limit - windows.length, windows.length === 0);
    if (count > MAX_RESULTS) return tooManyResults();
    const last = ready[count - 1];
    if (last) {
      const told: WindowAnswer[] = [];
      for (const window of mergeGroups(definition, groups, last.startMs))
        told.push(answerOf(mergedOf(window), request, clock));
      for (const answer of told.toReversed()) windows.push(answer);
    }
    if (count < ready.length) return ok({ windows, isMore: true });
    toldFromMs = readyMs;
    rows = rows.filter(({ startMs }) => startMs < readyMs);
  }
  if (isAll) return ok({ windows, isMore: false });
  if (isWide || (windows.length === 0 && by !== undefined)) {
    rows = [];
    return await readWide(request, find, clock, { windows, toldFromMs }, { ...bounds, size });
  }
  if (windows.length === 0)
    return tooMany(
      `lies in more than ${bounds.maxRows} stored rows, or ${bounds.maxChars} characters of them, in a single window`,
    );
  return ok({ windows, isMore: true });
}
