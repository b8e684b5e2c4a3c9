// Pages of windows: whatever the page's length and however few rows a look at the store brings, all pages together are
// what one look at everything gives; and that is what the samples themselves say.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_RESULTS, type FoundRow } from "../../../lib/query/window-answer.ts";
import { MAX_ROWS, readWindows } from "../../../lib/query/windows.ts";
import { parseWindowsRequest, type WindowsRequest } from "../../../lib/query/windows-request.ts";
import { parseWindow, startsOf, type WindowDefinition } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold, type WindowPartial } from "../../../lib/windows/partial.ts";

const DAY = Date.parse("2026-11-21T00:00:00.000Z");
const NOW = DAY + 12 * 3_600_000;
const MINUTE = 60_000;
const LATENESS = 300_000;

/** One value of one series, in one partition. */
interface Point {
  host: string;
  partition: number;
  atMs: number;
  value: number;
}

const definitionOf = (id: string): WindowDefinition => {
  const parsed = parseWindow(id);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

function requestOf(query: string): WindowsRequest {
  const window = new URLSearchParams(query).get("window") ?? "1m";
  const parsed = parseWindowsRequest(new URLSearchParams(`name=m&${query}`), [definitionOf(window)], NOW);
  if (!parsed.ok) throw new Error(`${parsed.error.path} ${parsed.error.message}`);
  return parsed.value;
}

const labelsOf = (host: string) => ({ host, region: host < "c" ? "east" : "west" });

/** What a store holds: a row for each partition, series and window. */
function rowsOf(
  definition: WindowDefinition,
  points: readonly Point[],
  kind: "number" | "counter" = "number",
): FoundRow[] {
  const rows = new Map<string, FoundRow & { partial: WindowPartial }>();
  for (const [offset, { host, partition, atMs, value }] of points.entries()) {
    const spans =
      definition.kind === "session"
        ? [{ startMs: atMs, endMs: atMs + definition.gapMs }]
        : startsOf(definition, atMs).map((startMs) => ({ startMs, endMs: startMs + definition.sizeMs }));
    for (const { startMs, endMs } of spans) {
      const place = `${host} ${partition} ${startMs}`;
      const row = rows.get(place) ?? {
        series: host,
        labels: labelsOf(host),
        startMs,
        endMs,
        dueMs: endMs + LATENESS <= NOW ? null : endMs,
        revision: 1,
        state: "",
        partial: emptyPartial(partition),
      };
      rows.set(place, row);
      fold(row.partial, { time: { ms: atMs, ns: 0 }, offset, index: 0, value: { kind, value } });
    }
  }
  return [...rows.values()]
    .map(({ partial, ...row }) => ({ ...row, state: encodePartial(partial) }))
    .toSorted((a, b) => b.startMs - a.startMs);
}

/** A store that gives so many rows at a look at most, if it is asked for more. */
function finder(rows: readonly FoundRow[], looks: { count: number; rows: number } = { count: 0, rows: 0 }) {
  return async ({ fromMs, toMs, limit }: { fromMs: number; toMs: number; limit: number }) => {
    const found = rows.filter(({ startMs }) => startMs >= fromMs && startMs < toMs).slice(0, limit);
    looks.count++;
    looks.rows += found.length;
    return found;
  };
}

async function page(request: WindowsRequest, rows: readonly FoundRow[], firstLook?: number) {
  const given = firstLook === undefined ? {} : { firstLook };
  const read = await readWindows(request, finder(rows), NOW, LATENESS, given);
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
}

/** All pages, as a client follows them. */
async function pages(query: string, rows: readonly FoundRow[], firstLook?: number) {
  const all = [];
  let request = requestOf(query);
  for (;;) {
    const { windows, isMore } = await page(request, rows, firstLook);
    all.push(windows);
    if (!isMore) return all;
    request = { ...request, toMs: windows.at(-1)!.startMs };
  }
}

const points = fc.array(
  fc.record({
    host: fc.constantFrom("a", "b", "c", "d"),
    partition: fc.integer({ min: 0, max: 2 }),
    atMs: fc.integer({ min: 0, max: 40 * 60 }).map((second) => DAY + 6 * 3_600_000 + second * 1_000),
    value: fc.integer({ min: 0, max: 1_000 }),
  }),
  { minLength: 1, maxLength: 60 },
);

describe("one look", () => {
  it("merges partitions, and says of each window what its samples say", async () => {
    await fc.assert(
      fc.asyncProperty(points, async (given) => {
        const { windows } = await page(
          requestOf("limit=1000&agg=count,sum,min,max,avg"),
          rowsOf(definitionOf("1m"), given),
        );
        const wanted = new Map<string, number[]>();
        for (const { host, atMs, value } of given) {
          const key = `${Math.floor(atMs / MINUTE) * MINUTE} ${host}`;
          wanted.set(key, [...(wanted.get(key) ?? []), value]);
        }
        expect(windows).toHaveLength(wanted.size);
        for (const { startMs, labels, figures } of windows) {
          const values = wanted.get(`${startMs} ${labels["host"]}`)!;
          const sum = values.reduce((a, b) => a + b, 0);
          expect(figures).toEqual({
            count: values.length,
            sum,
            min: Math.min(...values),
            max: Math.max(...values),
            avg: sum / values.length,
          });
        }
        expect(windows.map(({ startMs }) => startMs)).toEqual(
          windows.map(({ startMs }) => startMs).toSorted((a, b) => b - a),
        );
      }),
    );
  });

  it("merges series by labels, and all of them by none", async () => {
    const given = ["a", "b", "c"].map((host, i): Point => ({
      host,
      partition: i,
      atMs: NOW - 600_000,
      value: 10 ** i,
    }));
    const rows = rowsOf(definitionOf("1m"), given);
    const told = async (query: string) =>
      (await page(requestOf(query), rows)).windows.map(({ labels, figures }) => [labels, figures["sum"]]);
    expect(await told("agg=sum&by=region")).toEqual(
      expect.arrayContaining([
        [{ region: "east" }, 11],
        [{ region: "west" }, 100],
      ]),
    );
    expect(await told("agg=sum&by=")).toEqual([[{}, 111]]);
    expect(await told("agg=sum&by=nosuch")).toEqual([[{}, 111]]);
    expect(await told("agg=sum&by=toString")).toEqual([[{}, 111]]);
    expect(await told("agg=sum&by=region,host")).toHaveLength(3);
  });

  it("brings windows to a longer length by the sketch", async () => {
    const given = Array.from({ length: 1_000 }, (_, i): Point => ({
      host: "a",
      partition: i % 3,
      atMs: DAY + 6 * 3_600_000 + i * 5_000,
      value: i + 1,
    }));
    const { windows } = await page(
      requestOf("window=5m&step=6h&agg=count,p50,p99.9"),
      rowsOf(definitionOf("5m"), given),
    );
    expect(windows).toHaveLength(1);
    expect(windows[0]).toMatchObject({ startMs: DAY + 6 * 3_600_000, endMs: DAY + 12 * 3_600_000 });
    const { count, p50, "p99.9": p999 } = windows[0]!.figures;
    expect(count).toBe(1_000);
    expect(Math.abs(p50! - 500) / 500).toBeLessThanOrEqual(0.01);
    expect(Math.abs(p999! - 999) / 999).toBeLessThanOrEqual(0.01);
  });

  it("counts increases from the window before, which is not told itself", async () => {
    const given = [5, 9, 20].map((value, i): Point => ({
      host: "a",
      partition: 0,
      atMs: DAY + i * MINUTE,
      value,
    }));
    const rows = rowsOf(definitionOf("1m"), given, "counter");
    const { windows } = await page(
      requestOf(`agg=increase&from=${new Date(DAY + MINUTE).toISOString()}`),
      rows,
    );
    expect(windows.map(({ figures }) => figures["increase"])).toEqual([11, 4]);
    const all = await pages("agg=increase&limit=1", rows);
    expect(all.map(([window]) => window?.figures["increase"] ?? 0)).toEqual([11, 4, 0]);
  });

  it("counts what cumulative histograms saw from the window before, whichever figures are asked for", async () => {
    const rows = [5, 9, 20].map((count, i): FoundRow => {
      const partial = emptyPartial(0);
      const startMs = DAY + i * MINUTE;
      const value = { kind: "cumulative_distribution", count, sum: count, bins: [[1, count]] } as const;
      fold(partial, { time: { ms: startMs, ns: 0 }, offset: i, index: 0, value });
      const state = encodePartial(partial);
      const told = { labels: labelsOf("a"), dueMs: null, revision: 1 };
      return { series: "a", startMs, endMs: startMs + MINUTE, state, ...told };
    });
    for (const query of ["agg=count", "agg=count,increase"]) {
      const from = new Date(DAY + MINUTE).toISOString();
      const { windows } = await page(requestOf(`${query}&from=${from}`), rows.toReversed());
      expect(windows.map(({ figures }) => figures["count"])).toEqual([11, 4]);
      const all = await pages(`${query}&limit=1`, rows.toReversed(), 1);
      expect(all.map(([window]) => window?.figures["count"])).toEqual([11, 4, 0]);
    }
  });

  it("says what is open, final and how often it was told", async () => {
    const at = (atMs: number): Point => ({ host: "a", partition: 0, atMs, value: 1 });
    const other = { ...at(NOW - 600_000), partition: 1 };
    const rows = rowsOf(definitionOf("1m"), [at(NOW + 1_000), at(NOW - 120_000), at(NOW - 600_000), other]);
    const { windows } = await page(requestOf("agg=count"), rows);
    expect(windows.map(({ isOpen, final, revision }) => ({ isOpen, final, revision }))).toEqual([
      { isOpen: true, final: false, revision: 1 },
      { isOpen: false, final: false, revision: 1 },
      { isOpen: false, final: true, revision: 2 },
    ]);
  });

  it("calls none final that may still change, also where nothing is ever due", async () => {
    const given = [1, 4, 5, 6, 7].map((minutes): Point => ({
      host: "a",
      partition: 0,
      atMs: NOW - minutes * MINUTE,
      value: 1,
    }));
    const rows = rowsOf(definitionOf("1m"), given).map((row) => ({ ...row, dueMs: null }));
    const { windows } = await page(requestOf("agg=count"), rows);
    expect(windows.map(({ final }) => final)).toEqual([false, false, false, true, true]);
  });
});

describe("pages", () => {
  const queries = [
    "window=1m",
    "window=5m/1m",
    "window=1m&by=region",
    "window=1m&step=10m",
    "window=session:90s",
    "window=session:90s&by=",
  ];

  it.each(queries)("%s: together they are what one look at everything gives", async (query) => {
    await fc.assert(
      fc.asyncProperty(points, fc.integer({ min: 1, max: 12 }), async (given, limit) => {
        const definition = definitionOf(new URLSearchParams(query).get("window") ?? "");
        // Counters, whose increases reach over the ends of pages.
        const rows = rowsOf(definition, given, "counter");
        const whole = await page(requestOf(`${query}&limit=1000`), rows);
        expect(whole.isMore).toBe(false);
        const all = await pages(`${query}&limit=${limit}`, rows, 1);
        expect(all.flat()).toEqual(whole.windows);
        for (const windows of all) {
          const starts = new Set(windows.map(({ startMs }) => startMs));
          expect(windows.length <= limit || starts.size === 1).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("reads no more than the page needs, by some rows", async () => {
    const given = Array.from({ length: 30_000 }, (_, i): Point => ({
      host: "a",
      partition: 0,
      atMs: NOW - i * MINUTE,
      value: i,
    }));
    const looks = { count: 0, rows: 0 };
    const read = await readWindows(
      requestOf("limit=10"),
      finder(rowsOf(definitionOf("1m"), given), looks),
      NOW,
      LATENESS,
    );
    expect(read).toMatchObject({ ok: true, value: { isMore: true } });
    expect(looks).toEqual({ count: 1, rows: 80 });
  });

  it("reads a start that has more rows than one look brings", async () => {
    const given = Array.from({ length: 900 }, (_, i): Point => ({
      host: `h${i}`,
      partition: 0,
      atMs: NOW - MINUTE,
      value: i,
    }));
    const older = given.map((point) => ({ ...point, atMs: NOW - 2 * MINUTE }));
    const all = await pages("limit=1&agg=count", rowsOf(definitionOf("1m"), [...given, ...older]));
    expect(all.map((windows) => windows.length)).toEqual([900, 900]);
  });

  it("refuses a start with more results than a page may have, and says how to narrow it", async () => {
    const given = Array.from({ length: MAX_RESULTS + 1 }, (_, i): Point => ({
      host: `h${i}`,
      partition: 0,
      atMs: NOW - MINUTE,
      value: i,
    }));
    const rows = rowsOf(definitionOf("1m"), given);
    const read = await readWindows(requestOf("agg=count"), finder(rows), NOW, LATENESS);
    expect(read).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/more than 1000 results.*narrow it/) },
    });
    expect((await page(requestOf("agg=count&by="), rows)).windows[0]?.figures["count"]).toBe(MAX_RESULTS + 1);
  });

  it("refuses a start with more rows than are read at once", async () => {
    const [row] = rowsOf(definitionOf("1m"), [{ host: "a", partition: 0, atMs: NOW - MINUTE, value: 1 }]);
    const rows = Array.from({ length: MAX_ROWS + 1 }, () => row!);
    const read = await readWindows(requestOf("agg=count"), finder(rows), NOW, LATENESS);
    expect(read).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/20000 stored rows.*narrow it/) },
    });
  });

  it("is empty where nothing is", async () => {
    expect(await page(requestOf(""), [])).toEqual({ windows: [], isMore: false });
    expect(await page(requestOf("from=now&to=-1h"), [])).toEqual({ windows: [], isMore: false });
  });
});
