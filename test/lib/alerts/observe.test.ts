// What is kept of records for rules on raw values does not depend on their order, nor on how they came in batches.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { observe, type MetricRow } from "../../../lib/alerts/observe.ts";
import { parseExpression } from "../../../lib/alerts/parse-expression.ts";
import { MemoryAlertSamples } from "../../../lib/storage/memory-alert-samples.ts";

function rule(tenant: string, id: string, text: string) {
  const parsed = parseExpression(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return { tenant, id, sampled: 1, expression: parsed.value };
}

const RULES = [
  rule("acme", "hot", "cpu > 80"),
  rule("acme", "web", 'cpu{host="web",env!="dev"} > 80'),
  rule("acme", "gone", "absent(cpu, 5m)"),
  rule("acme", "window", "avg(cpu, 5m) > 80"),
  rule("other", "hot", "cpu > 80"),
];

/** Later than all rows. */
const NOW = 1_800_000_000_000;

function row(seconds: number, value: number | string | null, labels: Record<string, string> = {}): MetricRow {
  const timestamp = new Date(1_700_000_000_000 + seconds * 1_000).toISOString();
  return { tenant: "acme", record: { timestamp, name: "cpu", value, labels } };
}

describe("observing", () => {
  it("keeps the newest point, and the newest violation apart", () => {
    const store = new MemoryAlertSamples();
    const rows = [row(1, 10), row(2, 95), row(3, 90), row(4, 20)];
    store.apply({ alertSamples: observe(RULES).samplesOf(rows, NOW), committedAtMs: 1 });
    expect(store.of("acme", ["hot"], 10)).toMatchObject([
      {
        name: "cpu",
        value: 20,
        time: "1700000004000000000",
        violatedValue: 90,
        violatedTime: "1700000003000000000",
      },
    ]);
    expect(store.of("acme", ["gone"], 10)).toMatchObject([{ value: 20, violatedTime: null }]);
    expect(store.of("acme", ["window", "web"], 10)).toEqual([]);
    expect(store.of("other", ["hot"], 10)).toEqual([]);
  });

  it("keeps what it sees for a rule that began anew apart from what was before", () => {
    const anew = { ...rule("acme", "hot", "cpu > 99"), sampled: 3 };
    const sampled = observe([anew]).samplesOf([row(1, 90)], NOW);
    expect(sampled).toMatchObject([{ rule: "hot@3", value: 90, violatedTime: null }]);
  });

  it("looks at labels, and leaves out what is no number", () => {
    const { samplesOf: look } = observe(RULES);
    const rulesOf = (one: MetricRow) => look([one], NOW).map(({ rule }) => rule);
    expect(rulesOf(row(1, 1, { host: "web" }))).toEqual(["hot", "web", "gone"]);
    expect(rulesOf(row(1, 1, { host: "web", env: "dev" }))).toEqual(["hot", "gone"]);
    // A histogram says nothing of a value, and yet that it is there.
    expect(rulesOf(row(1, null))).toEqual(["hot#histograms", "gone"]);
    expect(look([row(1, null)], NOW)[0]).toMatchObject({ violatedTime: null, violatedValue: null });
    expect(rulesOf(row(1, "NaN"))).toEqual(["gone"]);
    expect(rulesOf({ ...row(1, 1), tenant: "nobody" })).toEqual([]);
  });

  describe("of a time to come", () => {
    const START = 1_700_000_000_000;
    /** Batches, each with when it was read, in seconds. */
    function kept(...batches: [readSeconds: number, rows: MetricRow[]][]) {
      const store = new MemoryAlertSamples();
      for (const [seconds, rows] of batches) {
        const readMs = START + seconds * 1_000;
        store.apply({ alertSamples: observe(RULES).samplesOf(rows, readMs), committedAtMs: readMs });
      }
      return [...store.of("acme", ["hot"], 1), ...store.of("acme", ["gone"], 1)];
    }
    const at = (seconds: number) => `${START + seconds * 1_000}000000`;

    it("hides what comes later for no more than a minute", () => {
      const glitch: [number, MetricRow[]] = [10, [row(86_000, 10)]];
      expect(kept(glitch)).toMatchObject([{ value: 10, time: at(70) }, { time: at(70) }]);
      expect(kept(glitch, [72, [row(71, 95)]])).toMatchObject([
        { value: 95, time: at(71), violatedTime: at(71), violatedValue: 95 },
        { value: 95, time: at(71) },
      ]);
      // Nor is a violation told of a time long before which it is over.
      expect(kept([10, [row(86_000, 99)]], [72, [row(71, 95)]])).toMatchObject([
        { violatedTime: at(71), violatedValue: 95 },
        {},
      ]);
    });

    it("goes in its order where a clock is ahead for good", () => {
      const rows = [row(309, 20), row(302, 99), row(300, 30), row(308, 85)];
      expect(kept([10, rows])).toMatchObject([
        { value: 20, time: at(70), violatedValue: 85, violatedTime: String(BigInt(at(70)) - 1n) },
        { value: 20 },
      ]);
      expect(kept([10, rows], [20, [row(315, 40), row(311, 90)]])).toMatchObject([
        { value: 40, time: at(80), violatedValue: 90 },
        { value: 40 },
      ]);
    });

    it("goes in its order where the reader's clock is set back by less than a minute", () => {
      expect(kept([20, [row(20, 10)]], [5, [row(21, 95)]])).toMatchObject([
        { value: 95, time: at(21), violatedTime: at(21) },
        { value: 95, time: at(21) },
      ]);
    });
  });

  it("comes to the same in any order and any batches", () => {
    const point = fc.record({
      seconds: fc.integer({ min: 0, max: 5 }),
      value: fc.constantFrom(10, 79, 81, 90, 95),
      host: fc.constantFrom("web", "db"),
    });
    fc.assert(
      fc.property(
        fc
          .array(point, { maxLength: 25 })
          .chain((points) =>
            fc.tuple(
              fc.constant(points),
              fc.shuffledSubarray(points, { minLength: points.length }),
              fc.integer({ min: 1, max: 7 }),
            ),
          ),
        ([points, shuffled, batch]) => {
          const rowsOf = (some: typeof points) =>
            some.map(({ seconds, value, host }) => row(seconds, value, { host }));
          const together = new MemoryAlertSamples();
          together.apply({ alertSamples: observe(RULES).samplesOf(rowsOf(points), NOW), committedAtMs: 1 });
          const apart = new MemoryAlertSamples();
          for (let i = 0; i < shuffled.length; i += batch)
            apart.apply({
              alertSamples: observe(RULES).samplesOf(rowsOf(shuffled.slice(i, i + batch)), NOW),
              committedAtMs: 1,
            });
          const ids = RULES.map(({ id }) => id);
          expect(apart.of("acme", ids, 100)).toEqual(together.of("acme", ids, 100));
        },
      ),
      { numRuns: 300 },
    );
  });
});
