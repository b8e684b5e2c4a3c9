// What is past its time goes by whole days, and the ledger tells of it. A store's floor is one for all that is in it, so
// each case has days of its own, later than those of the case before.
import { beforeEach, describe, expect, it } from "vitest";
import { DAY_MS, dayOf } from "../../lib/storage/day.ts";
import type { KindGroup, RetentionStore, Retired } from "../../lib/storage/retention.ts";
import type { Position, QueryStore, Rows, StreamStore } from "../../lib/storage/storage.ts";
import { SIGNALS } from "../../lib/telemetry/signal.ts";
import { ledgerEntry, partitionCommit, positionAt, type CommitFields } from "./partition-commit.ts";
import { ANY_LOG, ANY_TRACE, hex, log, metric, PAGE, span } from "./storage-case.ts";

export interface RetainingStore {
  stream: StreamStore;
  query: QueryStore;
  retention: RetentionStore;
}

const HOUR_MS = DAY_MS / 24;

let lastDay = dayOf(Date.parse("2026-01-01T00:00:00.000Z"));

export function retentionSuite(name: string, open: () => Promise<RetainingStore>): void {
  describe(`retention contract: ${name}`, () => {
    let store: RetainingStore;
    let tenant: string;
    let id: { group: string; topic: string; partition: number };
    /** The first of the case's days. */
    let day: number;

    beforeEach(async () => {
      store = await open();
      tenant = `t${crypto.randomUUID()}`;
      id = { group: `g${crypto.randomUUID()}`, topic: `topic.${crypto.randomUUID()}`, partition: 1 };
      day = lastDay += 20;
      // What earlier cases left is none of this one's.
      await retireAll("raw", day);
      await retireAll("windows", day);
    });

    const at = (dayNumber: number, hour = 10) => new Date(dayNumber * DAY_MS + hour * HOUR_MS).toISOString();
    const row = <R>(record: R, offset: number, index = 0) => ({ tenant, offset, index, record });

    /** One record of each signal. */
    const rowsOf = (dayNumber: number, offset: number, hour?: number): Rows => {
      const timestamp = at(dayNumber, hour);
      return {
        logs: [row(log({ timestamp, message: `${offset}` }), offset, 0)],
        metrics: [row(metric({ timestamp, name: `m${offset}` }), offset, 1)],
        events: [row({ timestamp, event_type: "e", data: offset }, offset, 2)],
        traces: [row(span(1, { timestamp }), offset, 3)],
      };
    };
    const counted = (fields = {}) =>
      SIGNALS.map((signal) => ledgerEntry(tenant, { signal, stored: 1, ...fields }));

    const commit = async (from: Position | undefined, next: Position, fields: CommitFields = {}) =>
      await store.stream.commit(
        partitionCommit(id, { from, next, rawFloorDay: await store.stream.rawFloorDay(), ...fields }),
      );
    /** Commits one record of each signal at each of the days, in their order. */
    const commitDays = async (...days: number[]) => {
      for (const [i, one] of days.entries()) {
        const from = i === 0 ? undefined : positionAt(i);
        expect(await commit(from, positionAt(i + 1), { rows: rowsOf(one, i), ledger: counted() })).toBe(
          "committed",
        );
      }
    };

    const retireAll = async (group: KindGroup, floorDay: number): Promise<Retired[]> => {
      const retired: Retired[] = [];
      for (;;) {
        const one = await store.retention.retire(group, floorDay);
        if (!one) return retired;
        retired.push(one);
      }
    };
    const logs = async (page: object = {}) =>
      (await store.query.logs({ ...PAGE, ...ANY_LOG, ...page, tenant })).map(({ record }) => record.message);
    const ledger = async () =>
      (await store.stream.ledger(id.group, undefined)).map(
        ({ signal, epoch, stored, expired }) => `${signal} ${epoch}: ${stored} ${expired}`,
      );

    it("drops the days before the floor, and moves what the ledger counts from stored to expired", async () => {
      await commitDays(day, day + 1, day + 1, day + 2);
      const retired = await retireAll("raw", day + 2);
      expect(retired).toEqual(
        [day, day + 1].flatMap((one) =>
          ["events", "logs", "metrics", "spans"].map((kind) => ({
            kind,
            day: one,
            records: one === day ? 1 : 2,
          })),
        ),
      );
      expect(await logs()).toEqual(["3"]);
      const page = { ...PAGE, tenant };
      expect(await store.query.metrics({ ...page, name: undefined, labels: {} })).toHaveLength(1);
      expect(await store.query.events({ ...page, eventType: undefined })).toHaveLength(1);
      expect(await store.query.traces({ ...page, ...ANY_TRACE })).toHaveLength(1);
      expect(await store.query.spanCount(tenant, hex(2, 32))).toBe(1);
      const names = await store.query.metricNames({ tenant, prefix: "", after: "", limit: 10 });
      expect(names.map((one) => one.name)).toEqual(["m3"]);
      expect(await ledger()).toEqual(["events", "logs", "metrics", "traces"].map((one) => `${one} 0: 1 3`));
      expect(await store.retention.oldestRawDay()).toBe(day + 2);
    });

    it("counts by tenant, partition, making of the topic and epoch, and those in the ledger only", async () => {
      const other = `t${crypto.randomUUID()}`;
      const rows = rowsOf(day, 0);
      rows.logs.push({ ...row(log({ timestamp: at(day) }), 0, 4), tenant: other });
      const foreign = ledgerEntry(other, { stored: 1, foreign: 1, deduplicated: 3, late: 2, dead: 1 });
      await commit(undefined, positionAt(1), { rows, ledger: [...counted(), foreign] });
      const anew = { incarnation: 1 };
      await commit(positionAt(1), positionAt(1, anew), { rows: rowsOf(day, 0), ledger: counted() });
      // An epoch that is being built tells the ledger nothing, and from then on only of what is new.
      const built = { epoch: 1 };
      const reader = `${id.group}@1`;
      const build = async (
        from: Position | undefined,
        next: Position,
        offset: number,
        entries: CommitFields["ledger"],
      ) =>
        await store.stream.commit(
          partitionCommit(
            { ...id, group: reader },
            {
              from,
              next,
              rows: rowsOf(day, offset),
              ...(entries ? { ledger: entries } : {}),
              rawFloorDay: await store.stream.rawFloorDay(),
            },
          ),
        );
      await build(undefined, positionAt(1, built), 0, undefined);
      await build(positionAt(1, built), positionAt(2, built), 1, counted());
      await retireAll("raw", day + 1);
      const told = (await store.stream.ledger(id.group, undefined)).filter(({ signal }) => signal === "logs");
      expect(
        told.map((one) => [one.group, one.incarnation, one.tenant === other, one.stored, one.expired]),
      ).toEqual(
        expect.arrayContaining([
          [id.group, 0, false, 0, 1],
          [id.group, 0, true, 0, 1],
          [id.group, 1, false, 0, 1],
          [reader, 0, false, 0, 1],
        ]),
      );
      expect(told).toHaveLength(4);
      expect(told.find((one) => one.tenant === other)).toMatchObject({
        foreign: 1,
        deduplicated: 3,
        late: 2,
        dead: 1,
      });
    });

    it("takes no commit that was planned before the floor rose, and makes no day anew by it", async () => {
      await commitDays(day, day + 1);
      const planned = await store.stream.rawFloorDay();
      await retireAll("raw", day + 1);
      expect(await store.stream.rawFloorDay()).toBe(day + 1);
      const stale = { rows: rowsOf(day, 5), ledger: counted(), rawFloorDay: planned };
      expect(await commit(positionAt(2), positionAt(6), stale)).toBe("conflict");
      expect(await store.stream.position(id)).toEqual(positionAt(2));
      expect(await store.retention.oldestRawDay()).toBe(day + 1);
      expect(await ledger()).toContain("logs 0: 1 1");
      // A position that has moved is told first: nothing that is planned anew would help there.
      expect(await commit(positionAt(1), positionAt(6), stale)).toBe("fenced");
      expect(await commit(positionAt(2), positionAt(6), { rows: rowsOf(day + 1, 5) })).toBe("committed");
    });

    it("goes on where it ended, and counts once where two are at it", async () => {
      await commitDays(day, day, day + 1);
      expect(await store.retention.retire("raw", day + 1)).toMatchObject({ kind: "events", records: 2 });
      expect(await ledger()).toEqual(["events 0: 1 2", "logs 0: 3 0", "metrics 0: 3 0", "traces 0: 3 0"]);
      await Promise.all([retireAll("raw", day + 1), retireAll("raw", day + 1), retireAll("raw", day + 1)]);
      expect(await ledger()).toEqual(["events", "logs", "metrics", "traces"].map((one) => `${one} 0: 1 2`));
      expect(await retireAll("raw", day + 1)).toEqual([]);
    });

    it("never lowers the floor", async () => {
      await commitDays(day + 1, day + 3);
      await retireAll("raw", day + 2);
      await retireAll("raw", day);
      expect(await store.stream.rawFloorDay()).toBe(day + 2);
      expect(await logs()).toEqual(["1"]);
    });

    it("keeps commits and drops apart, whichever comes first", async () => {
      await commitDays(day);
      const planned = await store.stream.rawFloorDay();
      const racing = Array.from({ length: 8 }, (_, i) =>
        store.stream.commit(
          partitionCommit(
            { ...id, partition: 10 + i },
            { rows: rowsOf(day, i), ledger: counted(), rawFloorDay: planned },
          ),
        ),
      );
      const [outcomes] = await Promise.all([Promise.all(racing), retireAll("raw", day + 1)]);
      await retireAll("raw", day + 1);
      expect(await logs()).toEqual([]);
      expect(await store.retention.oldestRawDay()).toBeUndefined();
      const told = (await store.stream.ledger(id.group, tenant)).filter(({ signal }) => signal === "logs");
      const committed = 1 + outcomes.filter((one) => one === "committed").length;
      expect(outcomes.every((one) => one === "committed" || one === "conflict")).toBe(true);
      expect(told.reduce((sum, { stored }) => sum + stored, 0)).toBe(0);
      expect(told.reduce((sum, { expired }) => sum + expired, 0)).toBe(committed);
    });

    it("pages on where the day of the page before is gone", async () => {
      await commitDays(day, day + 1, day + 2, day + 2, day + 3);
      const query = { ...PAGE, ...ANY_LOG, tenant, limit: 2 };
      const first = await store.query.logs(query);
      expect(first.map(({ record }) => record.message)).toEqual(["4", "3"]);
      await retireAll("raw", day + 1);
      const second = await store.query.logs({ ...query, after: first.at(-1)!.key });
      expect(second.map(({ record }) => record.message)).toEqual(["2", "1"]);
      await retireAll("raw", day + 3);
      expect(await store.query.logs({ ...query, after: second.at(-1)!.key })).toEqual([]);
      expect(await logs({ from: `${day * DAY_MS}000000`, to: `${(day + 9) * DAY_MS}000000` })).toEqual(["4"]);
      expect(await logs({ to: `${(day + 3) * DAY_MS}000000` })).toEqual([]);
    });

    it("pages over more days than are asked at once", async () => {
      const days = Array.from({ length: 12 }, (_, i) => day + i);
      await commitDays(...days);
      expect(await logs()).toEqual(days.map((_, i) => String(11 - i)));
      const seen: string[] = [];
      const query = { ...PAGE, ...ANY_LOG, tenant, limit: 5 };
      let page = await store.query.logs(query);
      while (page.length > 0) {
        seen.push(...page.map(({ record }) => record.message));
        page = await store.query.logs({ ...query, after: page.at(-1)!.key });
      }
      expect(seen).toEqual(await logs());
      expect(await logs({ service: "nobody" })).toEqual([]);
    });

    it("tells a trace whole that spans midnight, and a name by its newest point", async () => {
      const traceId = hex(7, 32);
      const part = (hour: number, fields: object) =>
        span(1, { timestamp: at(day, hour), trace_id: traceId, parent_span_id: hex(1, 16), ...fields });
      const traces = [
        part(23.5, { service: "a", parent_span_id: undefined }),
        part(23.9, { service: "b" }),
        part(24.1, { service: "b", status: "error" }),
        part(49, { service: "c" }),
      ].map((record, i) => row(record, 0, i));
      const metrics = [
        row(metric({ timestamp: at(day, 1), name: "b", kind: "gauge" }), 1, 0),
        row(metric({ timestamp: at(day + 1, 1), name: "b", kind: "counter" }), 1, 1),
        row(metric({ timestamp: at(day + 1, 1), name: "a" }), 1, 2),
        row(metric({ timestamp: at(day, 1), name: "c" }), 1, 3),
      ];
      await commit(undefined, positionAt(2), { rows: { traces, metrics } });
      const list = async () =>
        (await store.query.traces({ ...PAGE, ...ANY_TRACE, tenant })).map(({ record }) => record);
      expect(await list()).toMatchObject([{ trace_id: traceId, span_count: 4, error_count: 1 }]);
      expect((await list())[0]?.services.toSorted()).toEqual(["a", "b", "c"]);
      const spans = async (limit: number) =>
        (await store.query.spans(tenant, traceId, limit)).map(({ key }) => key.idx);
      expect(await spans(10)).toEqual([0, 1, 2, 3]);
      expect(await spans(3)).toEqual([0, 1, 2]);
      expect(await store.query.spanCount(tenant, traceId)).toBe(4);
      const names = async (query = {}) =>
        (await store.query.metricNames({ tenant, prefix: "", after: "", limit: 10, ...query })).map(
          (one) => `${one.name} ${one.kind} ${one.last_timestamp === at(day + 1, 1)}`,
        );
      expect(await names()).toEqual(["a null true", "b counter true", "c null false"]);
      expect(await names({ limit: 2 })).toEqual(["a null true", "b counter true"]);
      expect(await names({ after: "b" })).toEqual(["c null false"]);
      await retireAll("raw", day + 1);
      expect(await list()).toEqual([]);
      expect(await spans(10)).toEqual([2, 3]);
      expect(await names()).toEqual(["a null true", "b counter true"]);
    });

    it("keeps windows by a floor of their own", async () => {
      const window = (dayNumber: number) => ({
        tenant,
        name: "cpu",
        series: hex(1, 32),
        window: "1m",
        startMs: dayNumber * DAY_MS,
        endMs: dayNumber * DAY_MS + 60_000,
        dueMs: dayNumber * DAY_MS + 60_000,
        revision: 0,
        state: "AQ==",
      });
      const series = [{ tenant, name: "cpu", series: hex(1, 32), labels: {}, day: day + 1 }];
      await commit(undefined, positionAt(1), { windows: { put: [window(day), window(day + 1)], series } });
      const found = async () =>
        (
          await store.query.windows({
            tenant,
            name: "cpu",
            window: "1m",
            labels: {},
            fromMs: day * DAY_MS,
            toMs: (day + 5) * DAY_MS,
            limit: 10,
          })
        ).map(({ startMs }) => dayOf(startMs) - day);
      expect(await found()).toEqual([1, 0]);
      await retireAll("raw", day + 2);
      expect(await found()).toEqual([1, 0]);
      await retireAll("windows", day + 1);
      expect(await found()).toEqual([1]);
      const source = { ...id, incarnation: 0, epoch: 0 };
      const due = await store.stream.dueWindows(source, Number.MAX_SAFE_INTEGER, 10);
      expect(due.map(({ startMs }) => dayOf(startMs) - day)).toEqual([1]);
      // Nor is anything told as due that lies in a day which is gone: a reader would look for it again and again.
      const { nextDueMs } = await store.stream.windowHorizon(source);
      expect(nextDueMs).toBe(window(day + 1).dueMs);
      expect(await store.stream.rawFloorDay()).toBe(day + 2);
    });

    it("drops dead letters by when they died, no more at once than asked", async () => {
      const letter = (offset: number) => ({
        tenant,
        offset,
        index: -1,
        originalKey: null,
        originalValue: "eA==",
        error: "e",
        errorType: "malformed_json",
        attempts: 1,
      });
      // Long before those of other cases.
      const diedMs = Date.parse("2001-01-01T00:00:00.000Z");
      await commit(undefined, positionAt(3), { deadLetters: [0, 1, 2].map(letter), committedAtMs: diedMs });
      await commit(positionAt(3), positionAt(4), { deadLetters: [letter(3)], committedAtMs: diedMs + 1 });
      const { retention } = store;
      expect(await retention.dropDeadLetters(diedMs, 10)).toBe(0);
      expect(await retention.dropDeadLetters(diedMs + 1, 2)).toBe(2);
      expect(await retention.dropDeadLetters(diedMs + 1, 2)).toBe(1);
      expect(await retention.dropDeadLetters(diedMs + 1, 2)).toBe(0);
      const letters = {
        from: undefined,
        to: undefined,
        topic: undefined,
        errorType: undefined,
        after: undefined,
      };
      const left = await store.query.deadLetters({ tenant, ...letters, limit: 10 });
      expect(left.map(({ offset }) => offset)).toEqual([3]);
    });

    it("keeps what is not seen out of sight, though its reader has gone on to another making of the topic", async () => {
      const hidden = { ...id, group: `${id.group}@7` };
      const nowMs = Date.parse("2026-11-21T10:00:00.000Z");
      const read = async (
        from: Position | undefined,
        next: Position,
        offset: number,
        committedAtMs: number,
      ) =>
        await store.stream.commit(
          partitionCommit(hidden, {
            from,
            next,
            rows: rowsOf(day, offset),
            rawFloorDay: await store.stream.rawFloorDay(),
            committedAtMs,
          }),
        );
      await commitDays(day);
      const first = positionAt(1, { epoch: 7 });
      expect(await read(undefined, first, 10, nowMs - 1)).toBe("committed");
      const second = positionAt(1, { epoch: 7, incarnation: 1 });
      expect(await read(first, second, 11, nowMs)).toBe("committed");
      await store.retention.dropSources(nowMs);
      expect(await logs()).toEqual(["0"]);
    });

    it("keeps windows out of sight that begin long after they were written", async () => {
      const hidden = { ...id, group: `${id.group}@7` };
      const series = hex(3, 32);
      const startMs = (day + 15) * DAY_MS;
      const put = [
        {
          tenant,
          name: "cpu",
          series,
          window: "1m",
          startMs,
          endMs: startMs + 60_000,
          dueMs: null,
          revision: 0,
          state: "AQ==",
        },
      ];
      const seen = [{ tenant, name: "cpu", series, labels: {}, day }];
      const committedAtMs = Date.parse("2001-01-01T00:00:00.000Z");
      const next = positionAt(1, { epoch: 7 });
      const rawFloorDay = await store.stream.rawFloorDay();
      const windows = { put, series: seen };
      await store.stream.commit(partitionCommit(hidden, { next, windows, rawFloorDay, committedAtMs }));
      await store.retention.dropSources(committedAtMs + 1);
      const asked = { tenant, name: "cpu", window: "1m", labels: {}, limit: 10 };
      const found = await store.query.windows({ ...asked, fromMs: startMs, toMs: startMs + 1 });
      expect(found).toEqual([]);
    });

    it("is fenced by the watermark, which a commit without messages raises", async () => {
      await commit(undefined, positionAt(1, { watermarkMs: 5 }));
      expect(await store.stream.position(id)).toEqual(positionAt(1, { watermarkMs: 5 }));
      const raised = positionAt(1, { watermarkMs: 9 });
      expect(await commit(positionAt(1, { watermarkMs: 4 }), raised)).toBe("fenced");
      expect(await commit(positionAt(1, { watermarkMs: 5 }), raised)).toBe("committed");
      expect(await commit(positionAt(1, { watermarkMs: 5 }), raised)).toBe("fenced");
      expect((await store.stream.progress(id.group)).map(({ watermarkMs }) => watermarkMs)).toEqual([9]);
    });
  });
}
