// Sessions against their definition: all samples of a series, sorted, parted where the gap or a day ends; whatever the order
// and the batches they came in.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAY_MS, type SessionDefinition } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { resultOf } from "../../../lib/windows/result.ts";
import { mergeSessions, type Session } from "../../../lib/windows/sessions.ts";
import { byTime, DAY, sample, type TestSample } from "./samples.ts";

const GAP = 30_000;
const DEFINITION: SessionDefinition = { id: "session:30s", kind: "session", gapMs: GAP };

/** Start, end and values of each. */
type Outline = [startMs: number, endMs: number, values: number[]];

function reference(samples: readonly TestSample[]): Outline[] {
  const sessions: Outline[] = [];
  let before = -Infinity;
  for (const { time, value } of samples.toSorted(byTime)) {
    const { ms } = time;
    const day = Math.floor(ms / DAY_MS);
    const number = value.kind === "number" ? value.value : NaN;
    const end = Math.min(ms + GAP, (day + 1) * DAY_MS);
    const newest = sessions.at(-1);
    if (newest && ms - before <= GAP && Math.floor(before / DAY_MS) === day) {
      newest[1] = end;
      newest[2].push(number);
    } else sessions.push([ms, end, [number]]);
    before = ms;
  }
  return sessions;
}

/** As a store has them: by start; the samples come in batches, each with the sessions that it may touch only. */
function inBatches(batches: readonly (readonly TestSample[])[]): Map<number, Session> {
  const stored = new Map<number, Session>();
  for (const batch of batches) {
    // From the day's midnight to a gap after the record: nothing else can be joined with it.
    const existing = [...stored.values()].filter(({ startMs }) =>
      batch.some(({ time: { ms } }) => Math.floor(ms / DAY_MS) * DAY_MS <= startMs && startMs <= ms + GAP),
    );
    const before = existing.map(({ partial }) => encodePartial(partial));
    const { changed, removed } = mergeSessions(DEFINITION, existing, batch, 0);
    expect(existing.map(({ partial }) => encodePartial(partial))).toEqual(before);
    const starts = new Set(changed.map(({ startMs }) => startMs));
    for (const session of removed) {
      expect(stored.get(session.startMs)).toBe(session);
      expect(starts.has(session.startMs)).toBe(false);
      stored.delete(session.startMs);
    }
    for (const { startMs, endMs, partial, from } of changed) {
      for (const one of from) expect(one.startMs === startMs || removed.includes(one)).toBe(true);
      // What it replaces went into it.
      const replaced = stored.get(startMs);
      if (replaced) expect(from).toContain(replaced);
      stored.set(startMs, { startMs, endMs, partial });
    }
  }
  return stored;
}

function expectSame(stored: Map<number, Session>, expected: readonly Outline[]): void {
  const sorted = [...stored.values()].toSorted((a, b) => a.startMs - b.startMs);
  expect(sorted.map(({ startMs, endMs }) => [startMs, endMs])).toEqual(
    expected.map(([start, end]) => [start, end]),
  );
  sorted.forEach(({ partial, startMs, endMs }, i) => {
    const values = expected[i]?.[2] ?? [];
    expect(resultOf(partial, startMs, endMs)).toMatchObject({
      count: values.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      last: values.at(-1),
    });
  });
}

describe("sessions", () => {
  it("equal the reference, whatever the order and the batches (3,000 streams over midnight)", () => {
    // In steps of half a gap, so that some are exactly a gap apart; around a midnight.
    const streams = fc
      .array(fc.tuple(fc.integer({ min: -40, max: 40 }), fc.constantFrom(0, 0, 1, -1)), {
        minLength: 1,
        maxLength: 25,
      })
      .map((places) =>
        places.map(([half, off], i) => sample(DAY + half * (GAP / 2) + off, i, { offset: i })),
      );
    fc.assert(
      fc.property(streams, fc.array(fc.nat(6), { maxLength: 12 }), (samples, sizes) => {
        const batches: TestSample[][] = [];
        const left = [...samples];
        for (const size of sizes) batches.push(left.splice(0, size));
        batches.push(left);
        expectSame(inBatches(batches), reference(samples));
      }),
      { seed: 21, numRuns: 3_000 },
    );
  });

  it("take a record that is exactly the gap away, and not one a millisecond further", () => {
    const at = (ms: number) => sample(DAY + ms, 1, { offset: ms });
    expect([...inBatches([[at(0)], [at(GAP)]]).keys()]).toEqual([DAY]);
    expect([...inBatches([[at(GAP)], [at(0)]]).keys()]).toEqual([DAY]);
    expect([...inBatches([[at(0)], [at(GAP + 1)]]).keys()]).toEqual([DAY, DAY + GAP + 1]);
  });

  it("end at midnight, and the next day begins new ones", () => {
    const [last, first] = [sample(DAY - 1, 1), sample(DAY, 2, { offset: 1 })];
    for (const batches of [[[last], [first]], [[first], [last]], [[last, first]]]) {
      const stored = inBatches(batches);
      const spans = [...stored.values()].map(({ startMs, endMs }) => [startMs, endMs]);
      expect(spans.toSorted(([a = 0], [b = 0]) => a - b)).toEqual([
        [DAY - 1, DAY],
        [DAY, DAY + GAP],
      ]);
    }
  });

  it("that nothing came to are left alone", () => {
    const stored = inBatches([[sample(DAY, 1)], [sample(DAY + 10 * GAP, 2)]]);
    const { changed, removed } = mergeSessions(
      DEFINITION,
      [...stored.values()],
      [sample(DAY + 5 * GAP, 3)],
      0,
    );
    expect(changed.map(({ startMs, from }) => [startMs, from])).toEqual([[DAY + 5 * GAP, []]]);
    expect(removed).toEqual([]);
  });
});
