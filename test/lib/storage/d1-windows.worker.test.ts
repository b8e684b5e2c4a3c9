// Windows of the storage contract on D1, and what they cost there: by what is changed or told, not by what is stored.
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { D1, D1Statement, D1Value } from "../../../lib/storage/d1-database.ts";
import { dayStatements } from "../../../lib/storage/d1-days.ts";
import { readWindows } from "../../../lib/query/windows.ts";
import { parseWindowsRequest } from "../../../lib/query/windows-request.ts";
import { createD1QueryStore } from "../../../lib/storage/d1-query.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { DAY_MS, dayOf } from "../../../lib/storage/day.ts";
import type { StoredWindow, WindowChanges } from "../../../lib/storage/storage.ts";
import { parseWindows } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../../lib/windows/partial.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { givenStore, hex } from "../../contract/storage-case.ts";
import { windowCases } from "../../contract/storage-windows.suite.ts";

const DB = env.DB as unknown as D1;
const NOON = Date.parse("2026-11-21T12:00:00.000Z");

describe("windows on D1", () => {
  windowCases(
    givenStore(async () => ({
      stream: createD1StreamStore(DB),
      query: createD1QueryStore(DB),
      refused: [],
    })),
  );
});

/** D1 as it is, telling the plans of what it was asked, how many statements and rows that took. */
function watched() {
  const seen = { plans: [] as string[], statements: 0, rowsRead: 0, rowsWritten: 0, longestValue: 0 };
  const prepare = (sql: string): D1Statement => ({
    bind: (...values: D1Value[]) => bound(sql, values),
    all: () => bound(sql, []).all(),
  });
  const bound = (sql: string, values: D1Value[]): D1Statement => ({
    bind: () => bound(sql, values),
    async all() {
      seen.statements++;
      seen.longestValue = Math.max(seen.longestValue, ...values.map((value) => String(value).length));
      if (!sql.startsWith("CREATE")) {
        const explained = env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind(...values);
        const { results } = await explained.all<{ detail: string }>();
        seen.plans.push(results.map(({ detail }) => detail).join("\n"));
      }
      const answer = await env.DB.prepare(sql)
        .bind(...values)
        .all<Record<string, D1Value>>();
      seen.rowsRead += answer.meta.rows_read;
      seen.rowsWritten += answer.meta.rows_written;
      return answer;
    },
  });
  // One after the other, which is no transaction: what it costs is the same.
  const batch = async (statements: D1Statement[]) => {
    const answers = [];
    for (const statement of statements) answers.push(await statement.all());
    return answers;
  };
  const db: D1 = { prepare, batch };
  return { db, seen };
}

function world() {
  const id = { group: "g", topic: crypto.randomUUID(), partition: 0 };
  const tenant = crypto.randomUUID();
  const source = { ...id, incarnation: 0, epoch: 0 };
  const window = (series: number, fields: Partial<StoredWindow> = {}): StoredWindow => ({
    tenant,
    name: "cpu",
    series: hex(series, 32),
    window: "1m",
    startMs: NOON,
    endMs: NOON + 60_000,
    dueMs: NOON + 60_000,
    revision: 0,
    state: "AQ==",
    ...fields,
  });
  const seen = (series: number) => ({
    tenant,
    name: "cpu",
    series: hex(series, 32),
    labels: { host: `h${series}` },
    day: dayOf(NOON),
  });
  let offset = 0;
  const commit = async (windows: Partial<WindowChanges>, db: D1 = DB) => {
    const from = offset === 0 ? undefined : positionAt(offset);
    const whole = partitionCommit(id, { from, next: positionAt(++offset), windows });
    expect(await createD1StreamStore(db).commit(whole)).toBe("committed");
  };
  const lookup = ({ startMs, ...place }: StoredWindow, toMs = startMs) => ({
    ...place,
    fromMs: startMs,
    toMs,
  });
  const ask = {
    tenant,
    name: "cpu",
    window: "1m",
    fromMs: NOON - 90 * DAY_MS,
    toMs: NOON + DAY_MS,
    limit: 10,
  };
  return { id, tenant, source, window, seen, commit, lookup, ask };
}

/** No statement walks a table, but those of a handful of rows. */
const WALK = /SCAN (?!(r|l|p|d|s|due|starts|own|json_each|sources|CONSTANT|\d|\()\b)\S+/;

describe("what windows cost on D1", () => {
  it("looks up by keys and indexes only", async () => {
    const { source, window, seen: seenSeries, commit, lookup, ask } = world();
    const session = (series: number, startMs: number) => window(series, { window: "session:30s", startMs });
    await commit({ put: [window(1), session(1, NOON)], series: [seenSeries(1)] });
    const { db, seen } = watched();
    const store = createD1StreamStore(db);
    await commit({ put: [window(1)], removed: [session(1, NOON)], series: [seenSeries(1)] }, db);
    await store.windows(source, [
      lookup(window(1)),
      lookup(session(1, NOON), NOON + 1),
      lookup(window(1), NOON + 1),
    ]);
    expect(await store.dueWindows(source, NOON + DAY_MS, 10)).toHaveLength(1);
    await store.windowHorizon(source);
    await store.seriesLabels([seenSeries(1)]);
    const query = createD1QueryStore(db);
    for (const labels of [{}, { host: "h1" }]) {
      expect(await query.windows({ ...ask, labels })).toHaveLength(1);
      await query.windows({ ...ask, window: "session:30s", labels });
    }
    const plans = seen.plans.join("\n");
    expect(plans).not.toMatch(WALK);
    const due = "windows_20261121_due \\(source=\\? AND partition=\\? AND due_ms";
    expect(plans).toMatch(new RegExp(`SEARCH windows_20261121 USING (COVERING )?INDEX ${due}`));
    const exact = "tenant=? AND name=? AND window=? AND start_ms=? AND series=? AND source=? AND partition=?";
    expect(plans).toContain(`SEARCH w USING PRIMARY KEY (${exact})`);
    expect(plans).toContain(`SEARCH windows_20261121 USING PRIMARY KEY (${exact})`);
    expect(plans).toMatch(
      /SEARCH w USING INDEX windows_20261121_sessions \(series=\? AND window=\? AND start_ms>\? AND start_ms<\?\)/,
    );
    // The newest starts come from the key's own order.
    expect(plans).not.toMatch(
      /SEARCH w USING PRIMARY KEY \(tenant=\? AND name=\? AND window=\? AND start_ms>\? AND start_ms<\?\)\n.*\n?.*USE TEMP B-TREE FOR ORDER BY/,
    );
  });

  it("finds what is due among 100,000 that are open", { timeout: 300_000 }, async () => {
    const { source, window, commit, lookup } = world();
    const count = 100_000;
    for (let from = 0; from < count; from += 25_000) {
      const put = Array.from({ length: 25_000 }, (_, i) =>
        window(from + i, { dueMs: NOON + ((from + i) % 1_000) }),
      );
      await commit({ put });
    }
    const { db, seen } = watched();
    const store = createD1StreamStore(db);
    expect(await store.dueWindows(source, NOON + 1_000, 50)).toHaveLength(50);
    expect(await store.dueWindows(source, NOON - 1, 50)).toEqual([]);
    expect((await store.windowHorizon(source)).nextDueMs).toBe(NOON);
    expect(await store.windows(source, [lookup(window(7)), lookup(window(count))])).toHaveLength(1);
    expect(seen.rowsRead).toBeLessThan(200);
    const before = seen.rowsRead;
    await commit({ put: [window(7, { dueMs: null })] }, db);
    expect(seen.rowsRead - before).toBeLessThan(60);
  });

  it("costs the same whatever days there are", async () => {
    const { source, window, seen: seenSeries, commit, lookup, ask } = world();
    const cost = async () => {
      await commit({ put: [window(1)], series: [seenSeries(1)] });
      const { db, seen } = watched();
      const store = createD1StreamStore(db);
      await commit({ put: [window(1, { state: "Ag==" })], series: [seenSeries(1)] }, db);
      await store.windows(source, [lookup(window(1))]);
      await store.dueWindows(source, NOON + DAY_MS, 10);
      await store.windowHorizon(source);
      await createD1QueryStore(db).windows({ ...ask, limit: 1, labels: {} });
      return seen;
    };
    const before = await cost();
    const days = Array.from({ length: 60 }, (_, i) => dayOf(NOON) - 1 - i);
    await DB.batch(dayStatements(DB, "windows", days));
    const closed = days.map((day) => window(1, { startMs: day * DAY_MS, dueMs: null }));
    await commit({ put: closed });
    const after = await cost();
    expect(after.statements).toBe(before.statements);
    expect(after.rowsWritten).toBe(before.rowsWritten);
    // What days there are is one row each.
    expect(after.rowsRead - before.rowsRead).toBeLessThan(days.length + 10);
  });

  it("hides what a later epoch tells anew", async () => {
    const { id, window, seen: seenSeries, commit, ask } = world();
    const put = [window(1), window(1, { startMs: NOON - DAY_MS })];
    await commit({ put, series: [seenSeries(1)] });
    await env.DB.prepare("UPDATE sources SET visible_until_ms = ?1 WHERE topic = ?2")
      .bind(NOON, id.topic)
      .run();
    for (const labels of [{}, { host: "h1" }]) {
      const found = await createD1QueryStore(DB).windows({ ...ask, labels });
      expect(found.map(({ startMs }) => startMs)).toEqual([NOON - DAY_MS]);
    }
  });

  it("does not write a series again that was seen that day", async () => {
    const { seen: seenSeries, commit } = world();
    await commit({ series: [seenSeries(1)] });
    const { db, seen } = watched();
    await commit({}, db);
    const { rowsWritten } = seen;
    await commit({ series: [seenSeries(1)] }, db);
    expect(seen.rowsWritten).toBe(2 * rowsWritten);
  });

  it("reads a label's few series without the many others", async () => {
    const { window, seen: seenSeries, commit, ask } = world();
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    const starts = Array.from({ length: 20 }, (_, i) => NOON + i * 60_000);
    const put = starts.flatMap((startMs) => numbers.map((series) => window(series, { startMs })));
    await commit({ put, series: numbers.map(seenSeries) });
    const { db, seen } = watched();
    const found = await createD1QueryStore(db).windows({ ...ask, limit: 100, labels: { host: "h7" } });
    expect(found.map(({ startMs }) => startMs)).toEqual(starts.toReversed());
    // The labels of 300 series, each start some times, and what other days there are.
    expect(seen.rowsRead).toBeLessThan(300 * 5 + starts.length * 6 + 300);
  });

  /** Ids that lie evenly, as hashes do. */
  const evenly = (i: number, of: number) =>
    Math.floor((i * 2 ** 48) / of)
      .toString(16)
      .padStart(12, "0")
      .padEnd(32, "0");

  it.each(["1m", "session:30s"])("reads a slice of the series by what lies in it: %s", async (id) => {
    const { tenant, window, seen: seenSeries, commit, ...given } = world();
    const ask = { ...given.ask, window: id, fromMs: NOON };
    const count = 4_000;
    const ids = Array.from({ length: count }, (_, i) => evenly(i, count));
    const starts = Array.from({ length: 5 }, (_, i) => NOON + i * 60_000);
    const series = ids.map((one, i) => ({ ...seenSeries(i), series: one }));
    const other = `${tenant}x`;
    for (const startMs of starts) {
      const put = ids.map((one) => window(0, { series: one, startMs, window: id }));
      await commit({ put: [...put, ...put.map((one) => ({ ...one, tenant: other }))], series });
    }
    const slice = { from: evenly(count / 2, count), below: evenly(count / 2 + count / 40, count) };
    for (const labels of [{}, { host: `h${count / 2 + 7}` }]) {
      const { db, seen } = watched();
      const found = await createD1QueryStore(db).windows({
        ...ask,
        limit: 1_000,
        labels,
        series: slice,
      });
      expect(found).toHaveLength("host" in labels ? starts.length : (starts.length * count) / 40);
      // Each row with its series and where it comes from, each series' labels, each start some times, and what days there are.
      expect(seen.rowsRead).toBeLessThan((starts.length * count * 5) / 40 + 300);
      expect(seen.plans.join("\n")).not.toMatch(WALK);
    }
    const { db, seen } = watched();
    await createD1QueryStore(db).windows({
      ...ask,
      toMs: NOON + 1,
      labels: {},
      series: slice,
    });
    expect(seen.rowsRead).toBeLessThan(count / 4);
  });

  it("goes by labels that very many series have, of which one statement cannot be told", async () => {
    const { window, seen: seenSeries, commit, ask } = world();
    const count = 20_000;
    const ids = Array.from({ length: count }, (_, i) => evenly(i, count));
    const series = ids.map((one, i) => ({
      ...seenSeries(i),
      series: one,
      labels: { zone: "z", host: `h${i % 3}` },
    }));
    const put = ids.flatMap((one) => [
      window(0, { series: one }),
      window(0, { series: one, window: "session:30s" }),
    ]);
    await commit({ put, series });
    const { db, seen } = watched();
    const store = createD1QueryStore(db);
    for (const id of ["1m", "session:30s"]) {
      const query = { ...ask, window: id, labels: { zone: "z" }, limit: 50 };
      const found = await store.windows(query);
      expect(found).toHaveLength(50);
      for (const { labels } of found) expect(labels["zone"]).toBe("z");
      const slice = { from: "0".repeat(32), below: evenly(15_000, count) };
      const host = { ...query, labels: { zone: "z", host: "h1" }, limit: 15_000 };
      const few = await store.windows({ ...host, labels: { zone: "z" }, series: slice });
      expect(few).toHaveLength(15_000);
      expect(await store.windows({ ...host, series: slice })).toHaveLength(5_000);
      expect(await store.windows({ ...host, labels: { zone: "y" }, series: slice })).toEqual([]);
    }
    expect(seen.longestValue).toBeLessThan(600_000);
  });

  it("merges more series than are read at once, slice by slice, to what one look at everything gives", async () => {
    const { tenant, window, seen: seenSeries, commit } = world();
    const count = 6_000;
    const put: StoredWindow[] = [];
    const series = Array.from({ length: count }, (_, i) => {
      const labels = { region: `r${i % 3}`, zone: i % 2 === 0 ? "z" : "y" };
      return { ...seenSeries(i), series: evenly(i, count), labels };
    });
    for (const [i, { series: id }] of series.entries()) {
      for (const startMs of [NOON, NOON + 60_000]) {
        const partial = emptyPartial(0);
        const value = { kind: "counter" as const, value: (i % 7) + (startMs - NOON) / 30_000 };
        fold(partial, { time: { ms: startMs, ns: 0 }, offset: i, index: 0, value });
        const state = encodePartial(partial);
        const own = { series: id, startMs: startMs + (i % 3) * 5_000, revision: i % 2, state };
        put.push(window(i, { ...own, startMs, endMs: startMs + 60_000 }));
        put.push(window(i, { ...own, window: "session:30s", endMs: own.startMs + 30_000 }));
      }
    }
    await commit({ put, series });
    const definitions = parseWindows("1m,session:30s");
    if (!definitions.ok) throw new Error(definitions.error);
    const store = createD1QueryStore(DB);
    for (const id of ["1m", "session:30s"]) {
      for (const labels of [{}, { zone: "z" }] as Record<string, string>[]) {
        const asked = new URLSearchParams(`name=cpu&window=${id}&by=region&from=2026-11-21T11:00:00Z`);
        const request = parseWindowsRequest(asked, definitions.value, NOON + DAY_MS);
        if (!request.ok) throw new Error(request.error.message);
        const slices: number[] = [];
        const read = async (bounds: object) =>
          await readWindows(
            request.value,
            async (range) => {
              const found = await store.windows({ tenant, name: "cpu", window: id, labels, ...range });
              if (range.series) slices.push(found.length);
              return found;
            },
            NOON + DAY_MS,
            0,
            bounds,
          );
        const whole = await read({ lookRows: 1e6, lookChars: 1e9, maxRows: 1e6, maxChars: 1e9 });
        expect(slices).toEqual([]);
        expect(await read({ lookRows: 500 })).toEqual(whole);
        expect(slices.length).toBeGreaterThan(2 * ("zone" in labels ? 6 : 12));
        expect(whole).toMatchObject({ ok: true, value: { isMore: false } });
        if (whole.ok) expect(whole.value.windows).toHaveLength(6);
      }
    }
  });
});
