// What every store keeps of the samples of alert rules: of each rule and series the newest point, and the newest that
// violates it, in whatever order and batches they come.
import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { AlertSample } from "../../lib/storage/storage.ts";

export interface AlertSamplesUnderTest {
  /** As one commit. */
  apply(samples: AlertSample[], committedAtMs: number): Promise<void>;
  of(tenant: string, rules: string[], limit: number): Promise<AlertSample[]>;
  prune(beforeMs: number, limit: number): Promise<number>;
}

/** With more digits than a double has. */
const BASE = 1_795_255_200_123_456_780n;

export function alertSamplesSuite(name: string, open: () => AlertSamplesUnderTest, runs: number): void {
  describe(`alert samples: ${name}`, () => {
    let store: AlertSamplesUnderTest;
    let tenant: string;
    beforeEach(() => {
      store = open();
      tenant = `t${crypto.randomUUID()}`;
    });

    const sample = (nanos: number, value: number, fields: Partial<AlertSample> = {}): AlertSample => {
      const time = String(BASE + BigInt(nanos));
      const isViolated = value > 80;
      return {
        tenant,
        rule: "r",
        series: "0123456789abcdef0123456789abcdef",
        name: "cpu",
        labels: { host: 'a "b"', empty: "" },
        time,
        value,
        violatedTime: isViolated ? time : null,
        violatedValue: isViolated ? value : null,
        ...fields,
      };
    };

    it("is told back as it was kept, to the nanosecond", async () => {
      const one = sample(1, 80.5);
      const other = sample(2, -0.25, {
        rule: "s",
        name: "größe\u0000",
        labels: { "a.b": "\u0001\u{1F600}" },
      });
      await store.apply([one, other], 1_000);
      expect(await store.of(tenant, ["r", "s", "none"], 10)).toEqual([one, other]);
      expect(await store.of("nobody", ["r"], 10)).toEqual([]);
      expect(await store.of(tenant, [], 10)).toEqual([]);
    });

    it("keeps the newest, and the newest violation apart", async () => {
      await store.apply([sample(5, 90)], 1_000);
      await store.apply([sample(7, 10)], 1_000);
      await store.apply([sample(6, 95), sample(1, 99)], 1_000);
      expect(await store.of(tenant, ["r"], 10)).toEqual([
        { ...sample(7, 10), violatedTime: sample(6, 0).time, violatedValue: 95 },
      ]);
    });

    it("keeps a rule that began anew apart from what it was", async () => {
      await store.apply([sample(5, 90)], 1_000);
      await store.apply([sample(6, 10, { rule: "r@2" }), sample(7, 99)], 1_000);
      expect(await store.of(tenant, ["r@2"], 10)).toEqual([sample(6, 10, { rule: "r@2" })]);
      expect(await store.of(tenant, ["r"], 10)).toEqual([sample(7, 99)]);
    });

    it("does not depend on order or batches", async () => {
      const point = fc.record({
        nanos: fc.integer({ min: 0, max: 4 }),
        value: fc.constantFrom(1, 80, 81, 90),
        series: fc.constantFrom("a".repeat(32), "b".repeat(32)),
      });
      const shuffled = fc
        .array(point, { minLength: 1, maxLength: 12 })
        .chain((points) =>
          fc.tuple(
            fc.constant(points),
            fc.shuffledSubarray(points, { minLength: points.length }),
            fc.integer({ min: 1, max: 5 }),
          ),
        );
      await fc.assert(
        fc.asyncProperty(shuffled, async ([points, order, batch]) => {
          tenant = `t${crypto.randomUUID()}`;
          const samples = order.map(({ nanos, value, series }) => sample(nanos, value, { series }));
          for (let i = 0; i < samples.length; i += batch) await store.apply(samples.slice(i, i + batch), 1);
          const wanted = ["a", "b"].flatMap((letter) => {
            const own = points
              .filter(({ series }) => series.startsWith(letter))
              .toSorted((x, y) => x.nanos - y.nanos || x.value - y.value);
            const newest = own.at(-1);
            const violated = own.findLast(({ value }) => value > 80);
            if (!newest) return [];
            const { time, value } = sample(newest.nanos, newest.value);
            const violatedTime = violated ? sample(violated.nanos, 0).time : null;
            return [
              {
                series: letter.repeat(32),
                time,
                value,
                violatedTime,
                violatedValue: violated?.value ?? null,
              },
            ];
          });
          expect(await store.of(tenant, ["r"], 10)).toMatchObject(wanted);
        }),
        { numRuns: runs },
      );
    });

    it("answers no more of a rule than was asked for", async () => {
      const many = Array.from({ length: 5 }, (_, i) => sample(1, 1, { series: String(i).repeat(32) }));
      await store.apply([...many, ...many.map((one) => ({ ...one, rule: "s" }))], 1);
      expect(await store.of(tenant, ["r", "s"], 2)).toHaveLength(4);
    });

    it("forgets series that nothing came of", async () => {
      await store.apply(
        [sample(1, 1, { series: "a".repeat(32) }), sample(1, 1, { series: "b".repeat(32) })],
        5_000,
      );
      await store.apply([sample(1, 1, { series: "b".repeat(32) })], 6_000);
      while ((await store.prune(6_000, 1)) > 0);
      expect((await store.of(tenant, ["r"], 10)).map(({ series }) => series)).toEqual(["b".repeat(32)]);
    });
  });
}
