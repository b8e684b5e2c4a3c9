// Reading: partials of several partitions and series, as stores keep them, against what one partial of all samples says.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseWindow, startsOf, type WindowDefinition } from "../../../lib/windows/definition.ts";
import { groupRows, mergeGroups, type WindowRow } from "../../../lib/windows/merge.ts";
import { emptyPartial, fold, type WindowPartial } from "../../../lib/windows/partial.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { quantileOf, resultOfWhole } from "../../../lib/windows/result.ts";
import { mergeSessions, type Session } from "../../../lib/windows/sessions.ts";
import {
  chance,
  DAY,
  exactIncrease,
  exactQuantile,
  exactSum,
  sample,
  shuffled,
  type TestSample,
} from "./samples.ts";

const MINUTE = 60_000;

interface Given extends TestSample {
  series: string;
}

function definitionOf(text: string): WindowDefinition {
  const parsed = parseWindow(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function mergeAtRead(
  definition: WindowDefinition,
  rows: readonly WindowRow[],
  groupOf?: (row: WindowRow) => string,
  stepMs?: number,
) {
  return [...mergeGroups(definition, groupRows(definition, rows, groupOf, stepMs))];
}

/** Rows as a store has them, one for each partition, series and window. */
function rowsOf(text: string, samples: readonly Given[]): WindowRow[] {
  const definition = definitionOf(text);
  if (definition.kind === "session") return sessionRowsOf(definition, samples);
  const partials = new Map<string, { series: string; startMs: number; partial: WindowPartial }>();
  for (const one of samples) {
    for (const startMs of startsOf(definition, one.time.ms)) {
      const key = `${one.partition}/${one.series}/${startMs}`;
      const row = partials.get(key) ?? { series: one.series, startMs, partial: emptyPartial(one.partition) };
      partials.set(key, row);
      fold(row.partial, one);
    }
  }
  return [...partials.values()].map(({ series, startMs, partial }) => ({
    series,
    startMs,
    endMs: startMs + definition.sizeMs,
    state: encodePartial(partial),
  }));
}

function sessionRowsOf(
  definition: Extract<WindowDefinition, { kind: "session" }>,
  samples: readonly Given[],
): WindowRow[] {
  const rows: WindowRow[] = [];
  for (const key of new Set(samples.map(({ partition, series }) => `${partition}/${series}`))) {
    const own = samples.filter(({ partition, series }) => `${partition}/${series}` === key);
    let sessions: Session[] = [];
    for (const one of own) {
      const { changed, removed } = mergeSessions(definition, sessions, [one], one.partition);
      const gone = new Set<Session>([...removed, ...changed.flatMap(({ from }) => from)]);
      sessions = [...sessions.filter((session) => !gone.has(session)), ...changed];
    }
    for (const { startMs, endMs, partial } of sessions)
      rows.push({ series: own[0]?.series ?? "", startMs, endMs, state: encodePartial(partial) });
  }
  return rows;
}

const streams = (spread: number): fc.Arbitrary<Given[]> =>
  fc
    .array(fc.tuple(fc.nat(spread), fc.nat(2), fc.nat(2), fc.integer({ min: -5, max: 500 })), {
      minLength: 1,
      maxLength: 40,
    })
    .map((drawn) =>
      drawn.map(([at, partition, series, value], i) => ({
        ...sample(DAY + at * 1_000, value, { offset: i, partition }),
        series: `s${series}`,
      })),
    );

const numberOf = ({ value }: TestSample) =>
  value.kind === "number" || value.kind === "counter" ? value.value : NaN;

describe("windows that are read", () => {
  it.each(["1m", "5m", "5m/1m"])("are those of all partitions together: %s", (text) => {
    const definition = definitionOf(text);
    if (definition.kind === "session") throw new Error(text);
    fc.assert(
      fc.property(streams(900), fc.nat(), fc.boolean(), (samples, seed, isOneGroup) => {
        const rows = shuffled(rowsOf(text, samples), chance(seed));
        const windows = mergeAtRead(definition, rows, isOneGroup ? () => "all" : undefined);
        const groupOf = ({ series }: { series: string }) => (isOneGroup ? "all" : series);
        const expected = new Map<string, Given[]>();
        for (const one of samples)
          for (const start of startsOf(definition, one.time.ms)) {
            const key = `${start} ${groupOf(one)}`;
            expected.set(key, [...(expected.get(key) ?? []), one]);
          }
        expect(windows.map(({ startMs, group }) => `${startMs} ${group}`)).toEqual(
          [...expected.keys()].toSorted(
            (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1),
          ),
        );
        expect(windows.reduce((sum, window) => sum + window.rows.length, 0)).toBe(rows.length);
        for (const { startMs, endMs, group, whole } of windows) {
          const values = (expected.get(`${startMs} ${group}`) ?? []).map(numberOf);
          expect(endMs).toBe(startMs + definition.sizeMs);
          expect(resultOfWhole(whole, startMs, endMs)).toMatchObject({
            count: values.length,
            sum: exactSum(values),
            min: Math.min(...values),
            max: Math.max(...values),
          });
          const p90 = exactQuantile(values, 900);
          expect(Math.abs((quantileOf(whole.partial, 0.9) ?? NaN) - p90)).toBeLessThanOrEqual(
            Math.abs(p90) * 0.01,
          );
        }
      }),
      { seed: 31, numRuns: 500 },
    );
  });

  it("sessions of several partitions are those of one", () => {
    fc.assert(
      fc.property(streams(600), fc.nat(), fc.boolean(), (samples, seed, isOneGroup) => {
        const definition = definitionOf("session:15s");
        const groupOf = isOneGroup ? () => "all" : undefined;
        const together = samples.map((one) => ({
          ...one,
          partition: 0,
          ...(isOneGroup && { series: "all" }),
        }));
        const read = (rows: readonly WindowRow[]) =>
          mergeAtRead(definition, rows, groupOf).map(({ startMs, endMs, group, whole }) => {
            const { last: _, ...result } = resultOfWhole(whole, startMs, endMs);
            return { startMs, endMs, group, ...result };
          });
        expect(read(shuffled(rowsOf("session:15s", samples), chance(seed)))).toEqual(
          read(rowsOf("session:15s", together)),
        );
      }),
      { seed: 32, numRuns: 500 },
    );
  });

  it("brought to a longer length are as if they had been kept so", () => {
    fc.assert(
      fc.property(streams(3_000), (samples) => {
        const outline = (windows: ReturnType<typeof mergeAtRead>) =>
          windows.map(({ startMs, endMs, group, whole }) => ({
            startMs,
            endMs,
            group,
            ...resultOfWhole(whole, startMs, endMs),
          }));
        const rows = rowsOf("1m", samples);
        expect(outline(mergeAtRead(definitionOf("1m"), rows, () => "all", 15 * MINUTE))).toEqual(
          outline(mergeAtRead(definitionOf("15m"), rowsOf("15m", samples), () => "all")),
        );
      }),
      { seed: 33, numRuns: 300 },
    );
    const rows = rowsOf("2m", [{ ...sample(DAY, 1), series: "s" }]);
    expect(() => mergeAtRead(definitionOf("2m"), rows, undefined, 5 * MINUTE)).toThrow(RangeError);
  });
});

describe("counters that are read", () => {
  const points = (series: string, factor: number): Given[] =>
    Array.from({ length: 60 }, (_, i) => ({
      ...sample(DAY + i * 10_000, { kind: "counter", value: (i < 33 ? i : i - 33) * factor }, { offset: i }),
      series,
      partition: i % 3,
    }));

  it.each(["1m", "3m/1m"])("grow from the window before, each series by itself: %s", (text) => {
    const definition = definitionOf(text);
    if (definition.kind === "session") throw new Error(text);
    const samples = [...points("a", 1), ...points("b", 100)];
    const windows = mergeAtRead(definition, rowsOf(text, samples), () => "both");
    for (const { startMs, endMs, whole } of windows) {
      const increases = ["a", "b"].map((name) => {
        const own = samples
          .filter(({ series }) => series === name)
          .map((one) => ({ ms: one.time.ms, value: numberOf(one) }));
        const before = own.filter(({ ms }) => ms < startMs && ms >= startMs - definition.sizeMs).at(-1);
        return (
          exactIncrease(
            own.filter(({ ms }) => startMs <= ms && ms < endMs),
            before?.value,
          ) ?? 0
        );
      });
      const { increase, rate } = resultOfWhole(whole, startMs, endMs);
      expect(increase).toBe(increases.reduce((sum, one) => sum + one, 0));
      expect(rate).toBe((increase ?? 0) / (definition.sizeMs / 1_000));
    }
    expect(windows.length).toBeGreaterThanOrEqual(10);
  });

  it("of a longer range lose nothing between its windows", () => {
    const rows = rowsOf("1m", points("a", 1));
    const windows = mergeAtRead(definitionOf("1m"), rows, undefined, 5 * MINUTE);
    expect(windows.map(({ startMs, endMs, whole }) => resultOfWhole(whole, startMs, endMs).increase)).toEqual(
      [
        29,
        // 30 to 32, 0, to 26.
        3 + 0 + 26,
      ],
    );
  });
});
