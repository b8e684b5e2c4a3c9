// Windows lie where their partition, making of the topic and epoch put them; they are written with the commit, looked up
// by their place, told when they are due, and queried over all partitions.
import { describe, expect, it } from "vitest";
import type {
  PartitionSource,
  SeriesSeen,
  StoredWindow,
  WindowChanges,
  WindowLookup,
  WindowQuery,
} from "../../lib/storage/storage.ts";
import { positionAt } from "./partition-commit.ts";
import { hex, log, type GivenStore } from "./storage-case.ts";

const DAY_MS = 86_400_000;
const MIDNIGHT = Date.parse("2026-11-21T00:00:00.000Z");
const NOON = MIDNIGHT + DAY_MS / 2;
const MINUTE_MS = 60_000;

export function windowCases(given: GivenStore): void {
  const source = (fields: Partial<PartitionSource> = {}): PartitionSource => ({
    ...given.id,
    incarnation: 0,
    epoch: 0,
    ...fields,
  });

  const window = (fields: Partial<StoredWindow> = {}): StoredWindow => {
    const startMs = fields.startMs ?? NOON;
    return {
      tenant: given.tenant,
      name: "cpu",
      series: hex(1, 32),
      window: "1m",
      startMs,
      endMs: startMs + MINUTE_MS,
      dueMs: startMs + MINUTE_MS,
      revision: 0,
      state: "AQ==",
      ...fields,
    };
  };

  const seen = (
    series: number,
    labels: Record<string, string>,
    fields: Partial<SeriesSeen> = {},
  ): SeriesSeen => ({
    tenant: given.tenant,
    name: "cpu",
    series: hex(series, 32),
    labels,
    day: MIDNIGHT / DAY_MS,
    ...fields,
  });

  const lookup = (
    { tenant, name, series, window: id }: StoredWindow,
    fromMs: number,
    toMs = fromMs,
  ): WindowLookup => ({
    tenant,
    name,
    series,
    window: id,
    fromMs,
    toMs,
  });
  const at = (one: StoredWindow) => lookup(one, one.startMs);

  /** Commits changes behind what the partition has. */
  async function change(windows: Partial<WindowChanges>, of: Partial<PartitionSource> = {}): Promise<void> {
    const { incarnation, epoch, ...id } = source(of);
    const from = await given.stream.position(id);
    const next = positionAt((from?.nextOffset ?? 0) + 1, { incarnation, epoch });
    const commit = { ...given.commit(from, next, {}, { windows }), ...id };
    expect(await given.stream.commit(commit)).toBe("committed");
  }

  const ask = (fields: Partial<WindowQuery> = {}) =>
    given.query.windows({
      tenant: given.tenant,
      name: "cpu",
      window: "1m",
      labels: {},
      fromMs: MIDNIGHT - DAY_MS,
      toMs: MIDNIGHT + 2 * DAY_MS,
      limit: 1_000,
      ...fields,
    });

  const inOrder = (windows: readonly StoredWindow[]) =>
    windows.toSorted(
      (a, b) =>
        a.startMs - b.startMs ||
        byText(a.window, b.window) ||
        byText(a.name, b.name) ||
        byText(a.series, b.series),
    );

  describe("windows of a partition", () => {
    it("are found at their place, whole, and no others", async () => {
      const one = window({ revision: 3, dueMs: null, state: "abc+/=" });
      const others = [
        window({ series: hex(2, 32) }),
        window({ window: "5m" }),
        window({ name: "cpu\u0000x" }),
        window({ startMs: NOON + MINUTE_MS }),
        window({ startMs: NOON - DAY_MS }),
        window({ tenant: `${given.tenant}x` }),
      ];
      await change({ put: [one, ...others] });
      expect(await given.stream.windows(source(), [at(one)])).toEqual([one]);
      const all = await given.stream.windows(source(), [one, ...others].map(at));
      expect(inOrder(all)).toEqual(inOrder([one, ...others]));
      expect(await given.stream.windows(source(), [])).toEqual([]);
      const absent = [
        lookup(one, NOON + 1),
        lookup(one, NOON + 40 * DAY_MS),
        lookup(one, NOON - 40 * DAY_MS),
      ];
      expect(await given.stream.windows(source(), absent)).toEqual([]);
      expect(await given.stream.windows(source(), [at(one), at(one), ...absent])).toEqual([one]);
    });

    it("become what was put last, whatever was there", async () => {
      await change({ put: [window({ state: "old", dueMs: 5 }), window({ series: hex(2, 32) })] });
      const anew = window({ state: "new", endMs: NOON + 7, dueMs: null, revision: 2 });
      await change({ put: [anew] });
      expect(await given.stream.windows(source(), [at(anew)])).toEqual([anew]);
      // Of one that stands twice the last counts.
      await change({ put: [anew, { ...anew, dueMs: NOON }] });
      expect(await given.stream.windows(source(), [at(anew)])).toEqual([{ ...anew, dueMs: NOON }]);
      expect(await ask()).toEqual([]);
      await change({ series: [seen(1, {}), seen(2, {})] });
      expect(await ask()).toHaveLength(2);
    });

    it("are apart by topic, partition, making and epoch, and unknown of a source that never was", async () => {
      const places = [
        {},
        { partition: 2 },
        { topic: `${given.id.topic}x` },
        { incarnation: 1 },
        { epoch: 1 },
      ];
      for (const [i, place] of places.entries()) await change({ put: [window({ state: `s${i}` })] }, place);
      for (const [i, place] of places.entries()) {
        const found = await given.stream.windows(source(place), [at(window())]);
        expect(found, JSON.stringify(place)).toEqual([window({ state: `s${i}` })]);
        expect(await given.stream.dueWindows(source(place), NOON + DAY_MS, 10)).toEqual(found);
      }
      expect(await given.stream.windows(source({ epoch: 7 }), [at(window())])).toEqual([]);
      expect(await given.stream.dueWindows(source({ epoch: 7 }), NOON + DAY_MS, 10)).toEqual([]);
    });

    it("are found by a span of starts, over midnight too", async () => {
      const session = (startMs: number, series = 1) =>
        window({ window: "session:30s", startMs, endMs: startMs + 10, series: hex(series, 32) });
      const starts = [NOON, NOON + 1, NOON + 500, MIDNIGHT + DAY_MS - 1, MIDNIGHT + DAY_MS];
      const put = starts.flatMap((startMs) => [session(startMs), session(startMs, 2)]);
      await change({ put: [...put, { ...session(NOON), window: "session:5m" }] });
      const find = async (fromMs: number, toMs: number) =>
        (await given.stream.windows(source(), [lookup(session(NOON), fromMs, toMs)]))
          .map(({ series, startMs }) => ({ series, startMs }))
          .toSorted((a, b) => a.startMs - b.startMs);
      const own = (from: number, to: number) =>
        starts.slice(from, to).map((startMs) => ({ series: hex(1, 32), startMs }));
      expect(await find(NOON, NOON + 500)).toEqual(own(0, 3));
      expect(await find(NOON + 1, NOON + 499)).toEqual(own(1, 2));
      expect(await find(NOON + 501, MIDNIGHT + DAY_MS)).toEqual(own(3, 5));
      expect(await find(MIDNIGHT - DAY_MS, MIDNIGHT - 1)).toEqual([]);
      const overlapping = [
        lookup(session(NOON), NOON, NOON + 500),
        lookup(session(NOON), NOON + 1, NOON + 600),
        at(session(NOON)),
      ];
      expect(await given.stream.windows(source(), overlapping)).toHaveLength(3);
      // Other windows than sessions can be looked for so, too.
      await change({ put: [window(), window({ startMs: NOON + MINUTE_MS })] });
      expect(await given.stream.windows(source(), [lookup(window(), NOON, NOON + MINUTE_MS)])).toHaveLength(
        2,
      );
    });

    it("go when they are removed, before what is put in the same commit", async () => {
      const [a, b] = [window(), window({ startMs: NOON + MINUTE_MS })];
      await change({ put: [a, b] });
      await change({
        put: [{ ...b, state: "merged" }],
        removed: [a, b, window({ startMs: NOON - 9 * DAY_MS })],
      });
      expect(await given.stream.windows(source(), [at(a), at(b)])).toEqual([{ ...b, state: "merged" }]);
      await change({ removed: [b] });
      expect(await given.stream.windows(source(), [at(a), at(b)])).toEqual([]);
      expect((await given.stream.windowHorizon(source())).nextDueMs).toBeNull();
    });

    it("are not written where the commit is refused, or rehearsed", async () => {
      await change({ put: [window()] });
      const windows = {
        put: [window({ state: "no" }), window({ series: hex(9, 32) })],
        series: [seen(1, {})],
      };
      const stale = given.commit(positionAt(9), positionAt(10), {}, { windows });
      expect(await given.stream.commit(stale)).toBe("fenced");
      await given.stream.rehearse(given.commit(positionAt(1), positionAt(2), {}, { windows }));
      const bad = given.commit(
        positionAt(1),
        positionAt(2),
        { logs: [given.row(log({ timestamp: "yesterday" }), 0)] },
        { windows },
      );
      await expect(given.stream.commit(bad)).rejects.toMatchObject({ code: "storage_rejected" });
      const found = await given.stream.windows(source(), [at(window()), at(window({ series: hex(9, 32) }))]);
      expect(found).toEqual([window()]);
      expect(await given.stream.seriesLabels([seen(1, {})])).toEqual(new Map());
    });

    it("takes some thousands of them at once, new and known, with states of every size", async () => {
      const put = Array.from({ length: 3_000 }, (_, i) =>
        window({
          series: hex(i, 32),
          startMs: NOON + (i % 3) * DAY_MS,
          state: "x".repeat(i === 7 ? 1_500_000 : i % 2_000),
        }),
      );
      await change({ put });
      expect(inOrder(await given.stream.windows(source(), put.map(at)))).toEqual(inOrder(put));
      const anew = put.map((one) => ({ ...one, state: "y", revision: 1, dueMs: null }));
      await change({ put: anew });
      expect(inOrder(await given.stream.windows(source(), anew.map(at)))).toEqual(inOrder(anew));
      expect(await given.stream.dueWindows(source(), NOON + 9 * DAY_MS, 10)).toEqual([]);
    });
  });

  describe("windows that are due", () => {
    it("come first due first, over the days, no more than asked for", async () => {
      const dues = [NOON - 5 * DAY_MS, NOON, NOON + 5, NOON + 6, NOON + DAY_MS, NOON + 2 * DAY_MS];
      const put = dues.map((dueMs, i) => window({ series: hex(i, 32), startMs: dueMs - 5 - (i % 3), dueMs }));
      await change({ put: [...put.toReversed(), window({ series: hex(99, 32), dueMs: null })] });
      const due = async (throughMs: number, limit: number) =>
        (await given.stream.dueWindows(source(), throughMs, limit)).map(({ dueMs }) => dueMs);
      expect(await given.stream.dueWindows(source(), NOON + 3 * DAY_MS, 100)).toEqual(put);
      expect(await due(NOON + 5, 100)).toEqual(dues.slice(0, 3));
      expect(await due(NOON + 4, 100)).toEqual(dues.slice(0, 2));
      expect(await due(NOON + 3 * DAY_MS, 2)).toEqual(dues.slice(0, 2));
      expect(await due(NOON - 6 * DAY_MS, 100)).toEqual([]);
      expect(await given.stream.dueWindows(source({ partition: 2 }), NOON + 3 * DAY_MS, 100)).toEqual([]);
    });

    it("are told of by a horizon, which goes on with them", async () => {
      const unknown = { nextDueMs: null, newestStartMs: {} };
      expect(await given.stream.windowHorizon(source())).toEqual(unknown);
      const old = window({ startMs: NOON - 3 * DAY_MS, window: "5m", dueMs: NOON - 2 * DAY_MS });
      const put = [old, window(), window({ startMs: NOON + MINUTE_MS })];
      await change({ put });
      const newestStartMs = { "5m": old.startMs, "1m": NOON + MINUTE_MS };
      expect(await given.stream.windowHorizon(source())).toEqual({ nextDueMs: old.dueMs, newestStartMs });
      await change({ put: [{ ...old, dueMs: null }] });
      expect(await given.stream.windowHorizon(source())).toEqual({
        nextDueMs: NOON + MINUTE_MS,
        newestStartMs,
      });
      await change({ put: [{ ...old, dueMs: NOON }] });
      expect(await given.stream.windowHorizon(source())).toEqual({ nextDueMs: NOON, newestStartMs });
      await change({ put: put.map((one) => ({ ...one, dueMs: null })) });
      // What was removed, or written again, does not take the newest start back.
      await change({ removed: [window({ startMs: NOON + MINUTE_MS })] });
      expect(await given.stream.windowHorizon(source())).toEqual({ nextDueMs: null, newestStartMs });
      expect(await given.stream.windowHorizon(source({ partition: 2 }))).toEqual(unknown);
      expect(await given.stream.windowHorizon(source({ epoch: 1 }))).toEqual(unknown);
    });
  });

  describe("labels of series", () => {
    it("are kept as they are, by tenant and name", async () => {
      const labels: Record<string, string> = { host: "größe", "": "", "a\u0000b": "c\u0000d", quote: `"\\` };
      await change({ series: [seen(1, labels), seen(2, {}), seen(3, { x: "y" }, { name: "mem" })] });
      const found = await given.stream.seriesLabels([
        seen(1, {}),
        seen(2, {}),
        seen(3, {}, { name: "mem" }),
        seen(3, {}),
        seen(1, {}, { tenant: "nobody" }),
        seen(4, {}),
      ]);
      expect(found).toEqual(
        new Map<string, Record<string, string>>([
          [hex(1, 32), labels],
          [hex(2, 32), {}],
          [hex(3, 32), { x: "y" }],
        ]),
      );
      expect(await given.stream.seriesLabels([])).toEqual(new Map());
    });

    it("stay where a series is seen again", async () => {
      for (const day of [5, 9, 7]) await change({ series: [seen(1, { host: "a" }, { day })] });
      expect(await given.stream.seriesLabels([seen(1, {})])).toEqual(new Map([[hex(1, 32), { host: "a" }]]));
    });
  });

  describe("queries of windows", () => {
    const starts = (found: readonly StoredWindow[]) => found.map(({ startMs }) => startMs);

    it("tell partials of all partitions, the newest start first", async () => {
      const put = [
        window({ startMs: NOON - DAY_MS }),
        window(),
        window({ startMs: NOON + MINUTE_MS, dueMs: null }),
      ];
      await change({ put, series: [seen(1, { host: "a" })] });
      await change({ put: [window({ state: "other", revision: 4 })] }, { partition: 2 });
      const labels = { host: "a" };
      const found = await ask();
      expect(starts(found)).toEqual([NOON + MINUTE_MS, NOON, NOON, NOON - DAY_MS]);
      expect(found.toSorted((a, b) => a.partition - b.partition || a.startMs - b.startMs)).toEqual([
        ...put.map((one) => ({ ...one, partition: 1, labels })),
        { ...window({ state: "other", revision: 4 }), partition: 2, labels },
      ]);
    });

    it("take what starts from the first time on and before the last, as many as are wanted", async () => {
      const times = Array.from({ length: 25 }, (_, i) => NOON + (i - 20) * (DAY_MS / 4));
      await change({ put: times.map((startMs) => window({ startMs })), series: [seen(1, { host: "a" })] });
      const all = { fromMs: NOON - 30 * DAY_MS, toMs: NOON + 30 * DAY_MS };
      for (const labels of [{}, { host: "a" }]) {
        expect(starts(await ask({ ...all, labels }))).toEqual(times.toReversed());
        for (const limit of [1, 4, 5, 13])
          expect(starts(await ask({ ...all, labels, limit }))).toEqual(times.toReversed().slice(0, limit));
        const part = { fromMs: times[3]!, toMs: times[20]! };
        expect(starts(await ask({ ...part, labels }))).toEqual(times.slice(3, 20).toReversed());
        expect(starts(await ask({ fromMs: NOON, toMs: NOON + 1, labels }))).toEqual([NOON]);
        expect(await ask({ fromMs: NOON, toMs: NOON, labels })).toEqual([]);
      }
    });

    it.each(["1m", "session:30s"])("go by tenant, name, definition and labels: %s", async (id) => {
      const sets = [{ host: "a", zone: "z" }, { host: "b", zone: "z" }, { host: "a" }, {}, { zone: "host" }];
      const put = sets.flatMap((_, i) => [
        window({ window: id, series: hex(i, 32), startMs: NOON }),
        window({ window: id, series: hex(i, 32), startMs: NOON + 1 + i }),
      ]);
      const strangers = [
        window({ window: "5m", series: hex(0, 32) }),
        window({ window: id, name: "mem", series: hex(0, 32) }),
        window({ window: id, tenant: `${given.tenant}x`, series: hex(0, 32) }),
      ];
      const other = { tenant: `${given.tenant}x` };
      const series = [
        ...sets.map((labels, i) => seen(i, labels)),
        seen(0, sets[0]!, { name: "mem" }),
        seen(0, sets[0]!, other),
      ];
      await change({ put: [...put, ...strangers], series });
      const found = async (labels: Record<string, string>) => {
        const answer = await ask({ window: id, labels });
        expect(starts(answer)).toEqual(starts(answer).toSorted((a, b) => b - a));
        for (const one of answer) expect(one.labels).toEqual(sets[Number.parseInt(one.series, 16)]);
        return [...new Set(answer.map((one) => Number.parseInt(one.series, 16)))].toSorted((a, b) => a - b);
      };
      expect(await found({})).toEqual([0, 1, 2, 3, 4]);
      expect(await found({ host: "a" })).toEqual([0, 2]);
      expect(await found({ host: "a", zone: "z" })).toEqual([0]);
      expect(await found({ zone: "z" })).toEqual([0, 1]);
      expect(await found({ host: "z" })).toEqual([]);
      expect(await found({ region: "" })).toEqual([]);
      expect(await ask({ window: id, tenant: "nobody" })).toEqual([]);
    });

    it.each(["1m", "session:30s"])("go by a slice of the series' ids: %s", async (id) => {
      const ids = ["0", "3fffffff", "7", "8", "80000000000000000001", "c", "ffffffffffffffff"].map((start) =>
        start.padEnd(32, start.startsWith("f") ? "f" : "0"),
      );
      const times = [NOON - DAY_MS, NOON, NOON + MINUTE_MS];
      const put = ids.flatMap((series, i) =>
        times.map((ms) => window({ window: id, series, startMs: ms + i })),
      );
      const strangers = ids.flatMap((series) => [
        window({ window: "5m", series }),
        window({ window: id, name: "mem", series }),
        window({ window: id, tenant: `${given.tenant}x`, series }),
      ]);
      const series = ids.map((one, i) => seen(0, { host: `h${i % 2}`, all: "y" }, { series: one }));
      const others = series.flatMap((one) => [
        { ...one, name: "mem" },
        { ...one, tenant: `${given.tenant}x` },
      ]);
      await change({ put: [...put, ...strangers], series: [...series, ...others] });
      await change({ put: put.slice(0, 4) }, { partition: 2 });
      const partials = [...put, ...put.slice(0, 4)];

      const ends = ["0".repeat(32), ids[2]!, ids[3]!, ids[4]!, ids[5]!, ids[6]!, undefined];
      const slices = ends.flatMap((from, i) =>
        from === undefined ? [] : ends.slice(i + 1).map((below) => ({ from, below })),
      );
      const labelled: Record<string, string>[] = [{}, { host: "h1" }, { all: "y" }, { host: "h7" }];
      const spans = [{}, { fromMs: NOON, toMs: NOON + DAY_MS }, { fromMs: NOON + 3, toMs: NOON + 4 }];
      const placesOf = (windows: readonly StoredWindow[]) =>
        windows.map(({ series: of, startMs }) => `${startMs} ${of}`).toSorted();
      for (const slice of slices) {
        for (const labels of labelled) {
          for (const span of spans) {
            const found = await ask({ window: id, labels, series: slice, ...span });
            expect(starts(found)).toEqual(starts(found).toSorted((a, b) => b - a));
            const { fromMs, toMs } = { fromMs: 0, toMs: Infinity, ...span };
            const wanted = partials.filter(({ series: of, startMs }) => {
              const host = `h${ids.indexOf(of) % 2}`;
              const isWanted = labels["host"] === undefined || labels["host"] === host;
              const isIn = of >= slice.from && (slice.below === undefined || of < slice.below);
              return isWanted && isIn && startMs >= fromMs && startMs < toMs;
            });
            expect(placesOf(found), JSON.stringify({ slice, labels, span })).toEqual(placesOf(wanted));
            for (const one of found)
              expect(one.labels).toEqual({ host: `h${ids.indexOf(one.series) % 2}`, all: "y" });
          }
        }
      }
      const slice = { from: ids[2]!, below: ids[5]! };
      const newest = await ask({ window: id, series: slice, limit: 2 });
      expect(starts(newest)).toEqual([NOON + MINUTE_MS + 4, NOON + MINUTE_MS + 3]);
    });

    it("see nothing of an epoch that is being built", async () => {
      await change({ put: [window({ state: "first" })], series: [seen(1, { host: "a" })] });
      await change({ put: [window({ state: "second" })] }, { epoch: 1 });
      for (const labels of [{}, { host: "a" }])
        expect((await ask({ labels })).map(({ state }) => state)).toEqual(["first"]);
    });
  });
}

const byText = (a: string, b: string) => (a < b ? -1 : Number(a > b));
