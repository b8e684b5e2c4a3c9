// Sessions: runs of a series' records in which no two neighbours are further apart than the gap. As in Kafka Streams and in
// Flink a distance of exactly the gap still belongs together; a session ends a gap after its last record. A record belongs to
// the sessions of its own day (UTC): sessions are cut at midnight, and so no longer than a day, whoever came first.
import { DAY_MS, type SessionDefinition } from "./definition.ts";
import { copyPartial, emptyPartial, fold, merge, type FoldedSample, type WindowPartial } from "./partial.ts";

export interface Session {
  startMs: number;
  /** Its last record's time + gap, midnight at the latest. */
  endMs: number;
  partial: WindowPartial;
}

export interface MergedSession<S extends Session> extends Session {
  /** What went into it, earliest first. One that has its start stays in its place; all others are removed. */
  from: S[];
}

/**
 * @param existing sessions of one series and partition, of the samples' days; others do no harm. They stay as they are
 * @returns `changed`: with a sample in it, earliest first; `removed`: whose start is no session's any more
 */
export function mergeSessions<S extends Session>(
  definition: SessionDefinition,
  existing: readonly S[],
  samples: readonly FoldedSample[],
  partition: number,
): { changed: MergedSession<S>[]; removed: S[] } {
  const pieces: Piece<S>[] = [
    ...existing.map((session) => ({ startMs: session.startMs, endMs: session.endMs, session })),
    ...samples.map((sample) => ({
      startMs: sample.time.ms,
      endMs: sessionEnd(definition, sample.time.ms),
      sample,
    })),
  ];
  const changed: MergedSession<S>[] = [];
  for (const run of runsOf(pieces)) {
    if (!run.some(({ sample }) => sample)) continue;
    const from = run.flatMap(({ session }) => session ?? []);
    const [first, ...others] = from;
    const partial = first ? copyPartial(first.partial) : emptyPartial(partition);
    for (const other of others) merge(partial, other.partial);
    for (const { sample } of run) if (sample) fold(partial, sample);
    changed.push({ ...spanOf(run), partial, from });
  }
  const removed = changed.flatMap(({ startMs, from }) =>
    from.filter((session) => session.startMs !== startMs),
  );
  return { changed, removed };
}

/** When a session ends that has its last record at this time. */
function sessionEnd({ gapMs }: SessionDefinition, lastMs: number): number {
  return Math.min(lastMs + gapMs, dayStart(lastMs) + DAY_MS);
}

/** Spans that make one session, each run by start: those that overlap or touch, of one day. */
export function runsOf<T extends Span>(spans: readonly T[]): T[][] {
  const runs: T[][] = [];
  let endMs = -Infinity;
  let day = 0;
  for (const span of spans.toSorted((a, b) => a.startMs - b.startMs)) {
    if (span.startMs <= endMs && dayStart(span.startMs) === day) runs.at(-1)?.push(span);
    else {
      runs.push([span]);
      endMs = -Infinity;
      day = dayStart(span.startMs);
    }
    endMs = Math.max(endMs, span.endMs);
  }
  return runs;
}

/** @param run not empty, by start */
export function spanOf(run: readonly Span[]): Span {
  let endMs = -Infinity;
  for (const span of run) endMs = Math.max(endMs, span.endMs);
  return { startMs: (run[0] as Span).startMs, endMs };
}

interface Span {
  startMs: number;
  endMs: number;
}

interface Piece<S> extends Span {
  session?: S;
  sample?: FoldedSample;
}

function dayStart(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}
