// Windows merged over more series than are read at once: slice by slice they come to what one look at everything gives,
// field by field, whatever the slices; and they cost by what lies in the start, read once, with what counters need.
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FoundRow, WindowAnswer } from "../../../lib/query/window-answer.ts";
import { readWindows, type ReadBounds } from "../../../lib/query/windows.ts";
import { parseWindowsRequest, type WindowsRequest } from "../../../lib/query/windows-request.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { DAY_MS, parseWindow, startsOf, type WindowDefinition } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold, type FoldedSample, type WindowPartial } from "../../../lib/windows/partial.ts";
import type { SampleValue } from "../../../lib/windows/sample.ts";
import { mergeSessions } from "../../../lib/windows/sessions.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";

const DAY = Date.parse("2026-11-21T00:00:00.000Z");
const NOW = DAY + 12 * 3_600_000;
const MINUTE = 60_000;
const LATENESS = 300_000;
const ALL_FIGURES = "count,sum,avg,min,max,last,p50,p90,p99.9,increase,rate";

/** So small that nearly every start is read by slices. */
const TINY: Partial<ReadBounds> = { firstLook: 1, lookRows: 3, maxRows: 400 };
const HUGE: Partial<ReadBounds> = { lookRows: 1e9, lookChars: 1e12, maxRows: 1e9, maxChars: 1e12 };

const definitionOf = (id: string): WindowDefinition => {
  const parsed = parseWindow(id);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

function requestOf(query: string): WindowsRequest {
  const parameters = new URLSearchParams(`name=m&${query}`);
  const parsed = parseWindowsRequest(parameters, [definitionOf(parameters.get("window") ?? "1m")], NOW);
  if (!parsed.ok) throw new Error(`${parsed.error.path} ${parsed.error.message}`);
  return parsed.value;
}

const idOf = (host: number) => createHash("md5").update(String(host)).digest("hex");
const labelsOf = (host: number) => ({ host: `h${host}`, region: `r${host % 3}`, kind: kindOf(host) });

const KINDS = ["number", "counter", "distribution", "cumulative_distribution"] as const;
const kindOf = (host: number) => KINDS[host % KINDS.length]!;

function valueOf(host: number, value: number): SampleValue {
  const kind = kindOf(host);
  if (kind === "number" || kind === "counter") return { kind, value };
  const count = Math.floor(Math.abs(value));
  const bins: [number, number][] = [
    [0.5, Math.floor(count / 3)],
    [80, count - Math.floor(count / 3)],
  ];
  return { kind, count, sum: value, bins };
}

interface Point {
  host: number;
  partition: number;
  atMs: number;
  value: number;
  revision: number;
  isDue: boolean;
}

/** What a store holds: a row for each partition, series and window. */
function rowsOf(definition: WindowDefinition, points: readonly Point[]): FoundRow[] {
  const rows: FoundRow[] = [];
  const places = new Map<string, { point: Point; sample: FoldedSample }[]>();
  for (const [offset, point] of points.entries()) {
    const value = valueOf(point.host, point.value);
    const sample = { time: { ms: point.atMs, ns: 0 }, offset, index: 0, value };
    const starts = definition.kind === "session" ? [0] : startsOf(definition, point.atMs);
    for (const startMs of starts) {
      const place = `${point.host} ${point.partition} ${startMs}`;
      places.set(place, [...(places.get(place) ?? []), { point, sample }]);
    }
  }
  const put = ({ host, revision, isDue }: Point, startMs: number, endMs: number, partial: WindowPartial) =>
    rows.push({
      series: idOf(host),
      labels: labelsOf(host),
      startMs,
      endMs,
      dueMs: isDue ? endMs : null,
      revision,
      state: encodePartial(partial),
    });
  for (const [place, members] of places) {
    const { point } = members[0]!;
    const samples = members.map(({ sample }) => sample);
    if (definition.kind === "session") {
      const { changed } = mergeSessions(definition, [], samples, point.partition);
      for (const { startMs, endMs, partial } of changed) put(point, startMs, endMs, partial);
      continue;
    }
    const startMs = Number(place.split(" ")[2]);
    const partial = emptyPartial(point.partition);
    for (const sample of samples) fold(partial, sample);
    put(point, startMs, startMs + definition.sizeMs, partial);
  }
  return rows.toSorted((a, b) => b.startMs - a.startMs);
}

interface Looks {
  count: number;
  rows: number;
  slices: number;
  /** Rows of the largest look. */
  most: number;
}

const noLooks = (): Looks => ({ count: 0, rows: 0, slices: 0, most: 0 });

type Find = Parameters<typeof readWindows<FoundRow>>[1];

function finder(rows: readonly FoundRow[], looks: Looks): Find {
  return async ({ fromMs, toMs, limit, series: slice }) => {
    const { from = "", below = "g" } = slice ?? {};
    const found = rows
      .filter(({ startMs }) => startMs >= fromMs && startMs < toMs)
      .filter(({ series }) => series >= from && series < (below ?? "g"))
      .slice(0, limit);
    looks.count++;
    looks.rows += found.length;
    looks.most = Math.max(looks.most, found.length);
    if (slice) looks.slices++;
    return found;
  };
}

/** All pages, as a client follows them. */
async function pages(given: WindowsRequest, find: Find, bounds: Partial<ReadBounds>) {
  const all: WindowAnswer[][] = [];
  let request = given;
  for (;;) {
    const read = await readWindows(request, find, NOW, LATENESS, bounds);
    if (!read.ok) throw new Error(read.error.message);
    all.push(read.value.windows);
    if (!read.value.isMore) return all;
    request = { ...request, toMs: read.value.windows.at(-1)!.startMs };
  }
}

const points = fc.array(
  fc.record({
    host: fc.integer({ min: 0, max: 15 }),
    partition: fc.integer({ min: 0, max: 2 }),
    atMs: fc
      .tuple(fc.constantFrom(DAY - DAY_MS, DAY - 2 * MINUTE), fc.integer({ min: 0, max: 4 * 60 }))
      .map(([fromMs, second]) => fromMs + second * 1_000),
    value: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.double({ min: -1e3, max: 1e17, noNaN: true })),
    revision: fc.integer({ min: 0, max: 9 }),
    isDue: fc.boolean(),
  }),
  { minLength: 1, maxLength: 150, size: "max" },
);

describe("series merged by slices", () => {
  const queries = [
    "window=1m",
    "window=5m/1m",
    "window=1m&step=10m",
    "window=session:20s",
    "window=1h",
  ].flatMap((query) => ["", "region", "kind,region", "host", "nosuch"].map((by) => `${query}&by=${by}`));

  it.each(queries)("%s: they are what one look at everything gives", async (query) => {
    let slices = 0;
    await fc.assert(
      fc.asyncProperty(
        points,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(-DAY_MS + 61_234, -DAY_MS, -MINUTE, -30_500),
        fc.integer({ min: 1, max: DAY_MS + 5 * MINUTE }),
        async (given, limit, lookRows, afterMs, lengthMs) => {
          const request = requestOf(`${query}&agg=${ALL_FIGURES}&limit=1000`);
          const rows = rowsOf(request.definition, given);
          const part = { ...request, fromMs: DAY + afterMs, toMs: DAY + afterMs + lengthMs };
          for (const asked of [request, part]) {
            const [whole, ...others] = await pages(asked, finder(rows, noLooks()), HUGE);
            expect(others).toEqual([]);
            const looks = noLooks();
            const short = { ...asked, page: { ...asked.page, limit } };
            const all = await pages(short, finder(rows, looks), { ...TINY, lookRows });
            expect(all.flat()).toEqual(whole);
            for (const windows of all) {
              const starts = new Set(windows.map(({ startMs }) => startMs));
              expect(windows.length <= limit || starts.size === 1).toBe(true);
            }
            slices += looks.slices;
          }
        },
      ),
      { numRuns: 25 },
    );
    expect(slices).toBeGreaterThan(0);
  });
});

describe("a start of very many series", () => {
  /** Two windows of so many series, one value in each. */
  const manyRows = (count: number, kind: "number" | "counter"): FoundRow[] =>
    [NOW - 10 * MINUTE, NOW - 11 * MINUTE].flatMap((startMs, i) =>
      Array.from({ length: count }, (_, host): FoundRow => {
        const partial = emptyPartial(0);
        const value = { kind, value: host + (2 - i) };
        fold(partial, { time: { ms: startMs, ns: 0 }, offset: host, index: 0, value });
        return {
          series: idOf(host),
          labels: labelsOf(host),
          startMs,
          endMs: startMs + MINUTE,
          dueMs: null,
          revision: 1,
          state: encodePartial(partial),
        };
      }),
    );

  it("is read from a store, whole, as what all of it comes to", async () => {
    const count = 30_000;
    const rows = manyRows(count, "counter");
    const { stream, query } = createMemoryStore();
    const id = { group: "g", topic: "metrics.raw", partition: 0 };
    const of = { tenant: "acme", name: "m" };
    const windows = {
      put: rows.map(({ series, startMs, endMs, dueMs, revision, state }) => ({
        ...of,
        series,
        window: "1m",
        startMs,
        endMs,
        dueMs,
        revision,
        state,
      })),
      removed: [],
      series: rows.map(({ series, labels }) => ({ ...of, series, labels, day: DAY / DAY_MS })),
    };
    await stream.commit(partitionCommit(id, { from: undefined, next: positionAt(1), windows }));
    const looks = noLooks();
    const find: Find = async (range) => {
      const found = await query.windows({ ...of, window: "1m", labels: {}, ...range });
      looks.rows += found.length;
      looks.most = Math.max(looks.most, found.length);
      return found;
    };
    const request = requestOf("by=region&limit=3&agg=count,sum,max,increase,p50");
    const read = await readWindows(request, find, NOW, LATENESS);
    if (!read.ok) throw new Error(read.error.message);
    expect(read.value.isMore).toBe(true);
    expect(read.value.windows.map(({ labels }) => labels["region"])).toEqual(["r2", "r1", "r0"]);
    for (const [i, { figures, revision, final, startMs }] of read.value.windows.entries()) {
      const own = Array.from({ length: count }, (_, host) => host).filter((host) => host % 3 === 2 - i);
      expect(figures).toMatchObject({
        count: own.length,
        sum: own.reduce((sum, host) => sum + host + 2, 0),
        max: own.at(-1)! + 2,
        increase: own.length,
      });
      expect(Math.abs(figures["p50"]! - count / 2) / (count / 2)).toBeLessThan(0.01);
      expect({ revision, final, startMs }).toEqual({
        revision: own.length,
        final: true,
        startMs: NOW - 10 * MINUTE,
      });
    }
    const [next] = await pages({ ...request, toMs: NOW - 10 * MINUTE }, find, {});
    expect(next?.map(({ figures }) => figures["increase"])).toEqual([undefined, undefined, undefined]);
    // Never more at once than a look may bring.
    expect(looks.most).toBeLessThanOrEqual(4_000);
  });

  it("costs by its rows, and by those of the window before where counters are among them", async () => {
    const count = 30_000;
    const cost = async (kind: "number" | "counter") => {
      const looks = noLooks();
      const read = await readWindows(
        requestOf("by=&limit=1"),
        finder(manyRows(count, kind), looks),
        NOW,
        LATENESS,
      );
      expect(read).toMatchObject({ ok: true, value: { windows: [{ figures: { count } }] } });
      return looks;
    };
    const ofNumbers = await cost("number");
    const ofCounters = await cost("counter");
    // What it took to see that it does not fit, and slices that were too wide.
    expect(ofNumbers.rows).toBeLessThan(count + 15_000);
    expect(ofCounters.rows).toBeLessThan(2 * count + 15_000);
    expect(ofNumbers.count).toBeLessThan(25);
  });

  it("is refused where all of it would take too long, and says how to narrow it; what was told stays", async () => {
    const rows = manyRows(1_000, "number");
    const small = { lookRows: 100, wideLooks: 9 };
    const read = await readWindows(requestOf("by=&agg=count"), finder(rows, noLooks()), NOW, LATENESS, small);
    expect(read).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/more than 9 looks.*narrow it by label/) },
    });
    const enough = { lookRows: 100, wideLooks: 25 };
    const page = await readWindows(
      requestOf("by=&agg=count"),
      finder(rows, noLooks()),
      NOW,
      LATENESS,
      enough,
    );
    expect(page).toMatchObject({
      ok: true,
      value: { windows: [{ figures: { count: 1_000 } }], isMore: true },
    });
    const many = await readWindows(
      requestOf("by=host"),
      finder(manyRows(5_000, "number"), noLooks()),
      NOW,
      LATENESS,
    );
    expect(many).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/more than 1000 results.*narrow it/) },
    });
  });

  it("is refused where one series alone is more than is read at once", async () => {
    const [row] = manyRows(1, "number");
    const rows = Array.from({ length: 500 }, () => row!);
    const small = { lookRows: 10, maxRows: 300 };
    const read = await readWindows(requestOf("by=&agg=count"), finder(rows, noLooks()), NOW, LATENESS, small);
    expect(read).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/300 stored rows of one series/) },
    });
  });

  it("looks at less at once where states are large", async () => {
    const rows = manyRows(2_000, "number");
    const chars = rows[0]!.state.length;
    const looks = noLooks();
    const small = { lookChars: 100 * chars };
    const read = await readWindows(requestOf("by=&limit=1"), finder(rows, looks), NOW, LATENESS, small);
    expect(read).toMatchObject({ ok: true, value: { windows: [{ figures: { count: 2_000 } }] } });
    expect(looks.most).toBeLessThanOrEqual(200);
  });
});
