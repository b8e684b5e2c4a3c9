// What windows have to be, by force: for each commit that was made, all records up to it are sorted and every window is
// computed anew. Knows of the code under test only where commits ended, how far their watermarks were, and what they sent.
import { decodePartial } from "../../../lib/windows/partial-codec.ts";
import { resultOf } from "../../../lib/windows/result.ts";
import { dueTime, figuresOf, windowsOf, type Figures, type Run } from "./window-figures.ts";
import { PARTITIONS, type Played, type Point, type Step } from "./window-case.ts";

const DAY_MS = 86_400_000;

/** What is known of one window while the commits go by. */
interface Told {
  revision: number;
  /** How many records it held when it was told last. */
  records: number;
  isFinal: boolean;
}

export interface SentResult {
  id: string;
  tenant: string;
  name: string;
  labels: Record<string, string>;
  series: string;
  window: string;
  kind: string;
  window_start: string;
  window_end: string;
  partition: number;
  revision: number;
  final: boolean;
  removed?: boolean;
  [figure: string]: unknown;
}

/** @returns what is wrong; none when all is well */
export async function faultsOf(played: Played): Promise<string[]> {
  const faults: string[] = [];
  const { steps, points, lastStates } = played;
  for (const state of lastStates) if (state !== "caught-up") faults.push(`in the end: ${state}`);
  const seen = new Set<string>();
  const ids = new Set<string>();
  const stored = new Map<number, Point[]>(PARTITIONS.map((partition) => [partition, []]));
  const runs = new Map<number, ReadonlyMap<string, Run>>();
  const told = new Map<number, Map<string, Told>>(PARTITIONS.map((partition) => [partition, new Map()]));
  const late: string[] = [];
  const counts = { stored: 0, late: 0, redelivered: 0 };
  for (const step of steps) {
    const { partition, from, next, rawFloorDay, outbox } = step.commit;
    const first = from?.nextOffset ?? 0;
    const taken: Point[] = [];
    for (const point of points) {
      if (point.partition !== partition || point.offset < first || point.offset >= next.nextOffset) continue;
      if (seen.has(point.identity)) counts.redelivered++;
      else if (Math.floor(point.ms / DAY_MS) < rawFloorDay) {
        late.push(point.identity);
        counts.late++;
      } else {
        taken.push(point);
        counts.stored++;
      }
      seen.add(point.identity);
    }
    const own = stored.get(partition) as Point[];
    own.push(...taken);
    if (taken.length > 0 || !runs.has(partition)) runs.set(partition, windowsOf(played.definitions, own));
    judgeWatermark(step, taken, first, faults);
    const sent = outbox
      .filter(({ topic }) => topic === "metrics.processed")
      .flatMap(({ value }) => JSON.parse(value) as SentResult[]);
    for (const { id } of sent) {
      if (ids.has(id)) faults.push(`sent twice: ${id}`);
      ids.add(id);
    }
    judgeSent(
      played,
      step,
      runs.get(partition) as Map<string, Run>,
      sent,
      told.get(partition) as Map<string, Told>,
      faults,
    );
  }
  await judgeStored(played, stored, told, faults);
  judgeLate(played, late, counts, faults);
  return faults;
}

function judgeWatermark({ commit, nowMs }: Step, taken: Point[], first: number, faults: string[]): void {
  const before = commit.from?.watermarkMs ?? 0;
  const { watermarkMs, nextOffset } = commit.next;
  const newest = Math.min(nowMs, Math.max(0, ...taken.map(({ ms }) => ms)));
  if (nextOffset > first || commit.from === undefined) {
    if (watermarkMs !== Math.max(before, newest))
      faults.push(`watermark ${watermarkMs} after ${before} and ${newest}`);
    return;
  }
  // Without messages: it goes on with the clock, or by the least step where something was left to be sent.
  const isByClock = watermarkMs > before && watermarkMs <= nowMs - 10_000;
  if (!isByClock && watermarkMs !== before + 1)
    faults.push(`idle watermark ${watermarkMs} after ${before} at ${nowMs}`);
}

function judgeSent(
  { latenessMs, maxResults }: Played,
  { commit }: Step,
  runs: ReadonlyMap<string, Run>,
  sent: readonly SentResult[],
  told: Map<string, Told>,
  faults: string[],
): void {
  const { watermarkMs } = commit.next;
  const wanted = new Map<string, { revision: number; isFinal: boolean; isRemoved: boolean }>();
  for (const [place, { endMs, points }] of runs) {
    const last = told.get(place) ?? { revision: 0, records: 0, isFinal: false };
    if (watermarkMs < endMs) continue;
    const isFinal = watermarkMs >= endMs + latenessMs;
    if (points.length !== last.records)
      wanted.set(place, { revision: last.revision + 1, isFinal, isRemoved: false });
    else if (isFinal && !last.isFinal)
      wanted.set(place, { revision: last.revision, isFinal, isRemoved: false });
  }
  let removals = 0;
  for (const [place, { revision }] of told) {
    if (runs.has(place)) continue;
    wanted.set(place, { revision: revision + 1, isFinal: true, isRemoved: true });
    removals++;
  }
  for (const result of sent) {
    const place = `${result.series}/${result.window}/${Date.parse(result.window_start)}`;
    const due = wanted.get(place);
    const run = runs.get(place);
    if (!due) {
      faults.push(`nobody wants ${result.id}`);
      continue;
    }
    wanted.delete(place);
    if (due.isRemoved) {
      removals--;
      expectEqual(faults, result.id, "removed", result.removed, true);
      expectEqual(faults, result.id, "revision", result.revision, due.revision);
      told.delete(place);
    } else if (run) {
      judgeResult(result, run, runs, due, faults);
      told.set(place, { revision: due.revision, records: run.points.length, isFinal: due.isFinal });
    }
  }
  if (removals > 0) faults.push(`${removals} sessions are gone, and nobody was told`);
  if (wanted.size > 0 && sent.length < maxResults)
    faults.push(`not sent, though there was room: ${[...wanted.keys()].join()}`);
  if (sent.length > maxResults && !sent.every(({ removed }) => removed === true)) {
    const others = sent.filter(({ removed }) => removed !== true).length;
    if (others > maxResults) faults.push(`${others} results in one commit`);
  }
}

function judgeResult(
  result: SentResult,
  run: Run,
  runs: ReadonlyMap<string, Run>,
  due: { revision: number; isFinal: boolean },
  faults: string[],
): void {
  const [{ tenant, name, labels, partition }] = run.points as [Point];
  const told = { tenant, name, window: run.definition.id, kind: run.definition.kind, partition };
  const end = new Date(run.endMs).toISOString();
  const given = { ...told, window_end: end, revision: due.revision, final: due.isFinal };
  for (const [field, value] of Object.entries(given))
    expectEqual(faults, result.id, field, result[field], value);
  expectEqual(faults, result.id, "labels", JSON.stringify(result.labels), JSON.stringify(labels));
  judgeFigures(result, figuresOf(run, runs), result.id, faults);
}

function judgeFigures(
  found: Record<string, unknown>,
  wanted: Figures,
  where: string,
  faults: string[],
): void {
  for (const [field, value] of Object.entries(wanted)) {
    if (!/^p\d+$/.test(field)) expectEqual(faults, where, field, found[field], value);
    else if (Math.abs(Number(found[field]) - Number(value)) > Math.abs(Number(value)) * 0.01 + 1e-9)
      faults.push(`${where}: ${field} is ${String(found[field])}, and exactly ${String(value)}`);
  }
}

async function judgeStored(
  { definitions, latenessMs, store }: Played,
  stored: ReadonlyMap<number, Point[]>,
  told: ReadonlyMap<number, ReadonlyMap<string, Told>>,
  faults: string[],
): Promise<void> {
  for (const partition of PARTITIONS) {
    const runs = windowsOf(definitions, stored.get(partition) as Point[]);
    const found = new Map<string, string>();
    const everything = { fromMs: -Infinity, toMs: Infinity, limit: Infinity, labels: {} };
    const names = new Set([...runs.values()].map(({ points: [one] }) => `${one?.tenant}\0${one?.name}`));
    for (const both of names) {
      const [tenant = "", name = ""] = both.split("\0");
      for (const { id } of definitions) {
        for (const row of await store.query.windows({ ...everything, tenant, name, window: id })) {
          if (row.partition !== partition) continue;
          const place = `${row.series}/${row.window}/${row.startMs}`;
          found.set(place, row.state);
          const run = runs.get(place);
          if (!run) {
            faults.push(`stored, and no window: ${partition} ${place}`);
            continue;
          }
          const last = told.get(partition)?.get(place) ?? { revision: 0, records: 0, isFinal: false };
          expectEqual(faults, place, "end", row.endMs, run.endMs);
          expectEqual(faults, place, "revision", row.revision, last.revision);
          expectEqual(faults, place, "due", row.dueMs, dueTime(run, last, latenessMs));
          expectEqual(
            faults,
            place,
            "labels",
            JSON.stringify(row.labels),
            JSON.stringify(run.points[0]?.labels),
          );
          const figures = resultOf(decodePartial(row.state), row.startMs, row.endMs);
          judgeFigures({ ...figures }, figuresOf(run, new Map()), `stored ${place}`, faults);
        }
      }
    }
    for (const place of runs.keys()) if (!found.has(place)) faults.push(`not stored: ${partition} ${place}`);
  }
}

function judgeLate(
  { store, steps }: Played,
  late: readonly string[],
  counts: { stored: number; late: number; redelivered: number },
  faults: string[],
): void {
  const sent = steps
    .flatMap(({ commit }) => commit.outbox)
    .filter(({ topic }) => topic === "metrics.late")
    .flatMap(({ value }) => JSON.parse(value) as { id: string }[]);
  expectEqual(faults, "late", "sent", new Set(sent.map(({ id }) => id)).size, late.length);
  expectEqual(faults, "late", "sent once", sent.length, late.length);
  for (const count of ["stored", "late", "redelivered"] as const) {
    const sum = [...store.tables.ledger.values()].reduce((total, row) => total + row[count], 0);
    expectEqual(faults, "ledger", count, sum, counts[count]);
  }
  expectEqual(faults, "rows", "stored", store.tables.rows.metrics.size, counts.stored);
}

function expectEqual(faults: string[], where: string, field: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) faults.push(`${where}: ${field} is ${String(found)}, not ${String(wanted)}`);
}
