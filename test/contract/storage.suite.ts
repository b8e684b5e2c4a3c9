// What every store must do. A back end's test calls this with a way to make a fresh one; nothing may be skipped
// without a reason.
import { beforeEach, describe, expect, it } from "vitest";
import type {
  DeadLetter,
  PartitionCommit,
  PartitionId,
  Position,
  QueryStore,
  Row,
  Rows,
  StreamStore,
} from "../../lib/storage/storage.ts";
import type { Event } from "../../lib/telemetry/event.ts";
import type { Log } from "../../lib/telemetry/log.ts";
import type { Metric } from "../../lib/telemetry/metric.ts";
import { formatMoment, nanosToMoment } from "../../lib/telemetry/time.ts";

export interface StoreUnderTest {
  stream: StreamStore;
  query: QueryStore;
  /** How many dead letters are kept, to be seen without an API of ours. */
  countDeadLetters(): Promise<number>;
}

const TIME = "2026-11-21T10:00:00.000Z";

export function storageSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`storage contract: ${name}`, () => {
    let store: StoreUnderTest;
    let id: PartitionId;
    let tenant: string;

    beforeEach(async () => {
      store = await open();
      tenant = `t${crypto.randomUUID()}`;
      id = { group: `g${crypto.randomUUID()}`, topic: `topic.${crypto.randomUUID()}`, partition: 1 };
    });

    const at = (nextOffset: number, incarnation = 0): Position => ({ nextOffset, incarnation });
    const noRows = (): Rows => ({ metrics: [], logs: [], events: [] });
    const row = <R extends Log | Metric | Event>(record: R, offset: number, index = 0) => ({
      tenant,
      offset,
      index,
      record,
    });
    const log = (fields: Partial<Log> = {}): Log => ({
      timestamp: TIME,
      level: "INFO",
      message: "m",
      attributes: {},
      ...fields,
    });
    const metric = (fields: Partial<Metric> = {}): Metric => ({
      timestamp: TIME,
      name: "cpu",
      value: 1,
      labels: {},
      ...fields,
    });
    const commit = (
      from: Position | undefined,
      next: Position,
      rows: Partial<Rows> = {},
      deadLetters: DeadLetter[] = [],
    ): PartitionCommit => ({
      ...id,
      from,
      next,
      rows: { ...noRows(), ...rows },
      deadLetters,
      expired: 0,
      committedAtMs: Date.parse(TIME),
    });
    const page = { from: undefined, to: undefined, after: undefined, limit: 1_000 };
    const logs = async () =>
      await store.query.logs({ ...page, tenant, text: undefined, service: undefined, level: undefined });
    const metrics = async (labels: Record<string, string> = {}, metricName?: string) =>
      await store.query.metrics({ ...page, tenant, name: metricName, labels });

    describe("commits", () => {
      it("knows no position of a partition never read, and afterwards the committed one", async () => {
        expect(await store.stream.position(id)).toBeUndefined();
        expect(await store.stream.commit(commit(undefined, at(7)))).toBe("committed");
        expect(await store.stream.position(id)).toEqual(at(7));
        expect(await store.stream.commit(commit(at(7), at(9)))).toBe("committed");
        expect(await store.stream.position(id)).toEqual(at(9));
      });

      it("refuses a batch planned from a position that has moved, and writes nothing of it", async () => {
        await store.stream.commit(commit(undefined, at(5)));
        const stale = [undefined, at(4), at(6), at(5, 1)];
        for (const from of stale) {
          const outcome = await store.stream.commit(
            commit(from, at(9), { logs: [row(log(), 5)] }, [deadLetter(6)]),
          );
          expect(outcome, JSON.stringify(from)).toBe("fenced");
        }
        expect(await logs()).toEqual([]);
        expect(await store.countDeadLetters()).toBe(0);
        expect(await store.stream.position(id)).toEqual(at(5));
      });

      it("lets one of ten concurrent commits through", async () => {
        await store.stream.commit(commit(undefined, at(0)));
        const attempts = Array.from({ length: 10 }, (_, i) =>
          store.stream.commit(commit(at(0), at(1), { logs: [row(log({ message: `attempt ${i}` }), 0)] })),
        );
        const outcomes = await Promise.all(attempts);
        expect(outcomes.filter((outcome) => outcome === "committed")).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === "fenced")).toHaveLength(9);
        expect(await logs()).toHaveLength(1);
      });

      it("keeps partitions, topics and groups apart", async () => {
        await store.stream.commit(commit(undefined, at(5)));
        for (const other of [{ partition: 2 }, { topic: `${id.topic}x` }, { group: `${id.group}x` }]) {
          expect(await store.stream.position({ ...id, ...other })).toBeUndefined();
        }
      });

      it("lets a group that starts anew find the rows where they are, and not store them again", async () => {
        const rows = { logs: [row(log(), 0), row(log(), 1)] };
        await store.stream.commit(commit(undefined, at(2), rows, [deadLetter(2)]));
        const other = {
          ...commit(undefined, at(3), { logs: [...rows.logs, row(log(), 2)] }),
          group: `${id.group}x`,
        };
        expect(await store.stream.commit(other)).toBe("committed");
        expect(await logs()).toHaveLength(3);
      });

      it("takes 4 MB of text that is three bytes a character", async () => {
        const many = Array.from({ length: 40 }, (_, i) => row(log({ message: "漢".repeat(33_000) }), i));
        expect(await store.stream.commit(commit(undefined, at(40), { logs: many }))).toBe("committed");
        expect(await logs()).toHaveLength(40);
      });

      it("counts what expired unread", async () => {
        await store.stream.commit({ ...commit(undefined, at(2)), expired: 2 });
        await store.stream.commit({ ...commit(at(2), at(5)), expired: 3 });
        expect(await store.stream.progress(id.group)).toMatchObject([{ nextOffset: 5, expiredTotal: 5 }]);
      });

      it("adds up what was stored", async () => {
        await store.stream.commit(commit(undefined, at(2), { logs: [row(log(), 0), row(log(), 1)] }));
        await store.stream.commit(commit(at(2), at(4), { metrics: [row(metric(), 2)] }, [deadLetter(3)]));
        expect(await store.stream.progress(id.group)).toEqual([
          { ...id, nextOffset: 4, recordsTotal: 3, deadTotal: 1, expiredTotal: 0, updatedAt: TIME },
        ]);
        expect(await store.stream.progress(`${id.group}-other`)).toEqual([]);
        expect(await store.countDeadLetters()).toBe(1);
      });

      it("keeps equal offsets of a topic made anew apart", async () => {
        await store.stream.commit(commit(undefined, at(1), { logs: [row(log({ message: "old" }), 0)] }));
        const anew = commit(at(1), at(1, 1), { logs: [row(log({ message: "new" }), 0)] });
        expect(await store.stream.commit(anew)).toBe("committed");
        expect((await logs()).map(({ record }) => record.message).toSorted()).toEqual(["new", "old"]);
      });

      it("stores 10,000 records of some 300 bytes in one commit", async () => {
        const many = Array.from({ length: 10_000 }, (_, i) =>
          row(
            log({ message: `line ${i} ${"ü".repeat(100)}`, attributes: { i, path: "/a/b/c" } }),
            Math.floor(i / 100),
            i % 100,
          ),
        );
        expect(await store.stream.commit(commit(undefined, at(100), { logs: many }))).toBe("committed");
        const [progress] = await store.stream.progress(id.group);
        expect(progress?.recordsTotal).toBe(10_000);
        expect(await logs()).toHaveLength(1_000);
      });
    });

    describe("what is stored comes back as it was", () => {
      it("a log, to the nanosecond", async () => {
        const full = log({
          timestamp: "2026-11-21T10:00:00.123456789Z",
          level: "ERROR",
          message: "naïve \"quotes\" 'single' \\ back\nline\t日本語 🚀 \u0001 end",
          service: "api",
          host: "web-1",
          attributes: { nested: { list: [1, "two", null, true, 0.1] }, "a key.with dots": "x", "": "empty" },
        });
        await store.stream.commit(commit(undefined, at(1), { logs: [row(full, 0)] }));
        const [found] = await logs();
        expect(formatMoment(nanosToMoment(found!.key.time))).toBe(full.timestamp);
        const { timestamp: _, ...rest } = full;
        expect(found!.record).toEqual(rest);
      });

      it("texts that hold NUL", async () => {
        await store.stream.commit(
          commit(undefined, at(1), {
            logs: [row(log({ message: "a\u0000b", attributes: { k: "c\u0000d" } }), 0)],
          }),
        );
        const [found] = await logs();
        expect(found!.record.message).toBe("a\u0000b");
        expect(found!.record.attributes).toEqual({ k: "c\u0000d" });
      });

      it("metric values to the last bit", async () => {
        const values = [
          0,
          1,
          -1,
          0.1,
          1 / 3,
          5e-324,
          Number.MAX_VALUE,
          -Number.MIN_VALUE,
          2 ** 53 + 2,
          1e21,
          123456789.12345679,
        ];
        const bits = new DataView(new ArrayBuffer(8));
        for (let seed = 1n; values.length < 500; seed++) {
          bits.setBigUint64(0, BigInt.asUintN(64, seed * 0x9e3779b97f4a7c15n));
          const value = bits.getFloat64(0);
          if (Number.isFinite(value)) values.push(value);
        }
        const rows = values.map((value, i): Row<"metrics"> =>
          row(metric({ value, labels: { i: String(i) } }), 0, i),
        );
        await store.stream.commit(commit(undefined, at(1), { metrics: rows }));
        const found = await metrics();
        const back = new Map(found.map(({ record }) => [Number(record.labels.i), record.value]));
        expect(values.map((_, i) => back.get(i))).toEqual(values);
      });

      it("an event whose data is any JSON", async () => {
        const data = [null, false, 0, "", "text", [], {}, { a: [{ b: null }] }, 12345678901234567000, 0.1];
        const rows = data.map((value, i): Row<"events"> =>
          row(
            {
              timestamp: TIME,
              event_type: "e",
              data: value,
              ...(i % 2 ? { id: `id ${i}`, key: "k", attributes: { x: 1 } } : {}),
            },
            0,
            i,
          ),
        );
        await store.stream.commit(commit(undefined, at(1), { events: rows }));
        const found = await store.query.events({ ...page, tenant, eventType: "e" });
        expect(found.toReversed().map(({ record }) => record.data)).toEqual(data);
        expect(found.at(-1)!.record).toMatchObject({ id: null, key: null, attributes: null });
        expect(found.at(-2)!.record).toMatchObject({ id: "id 1", key: "k", attributes: { x: 1 } });
      });
    });

    describe("queries", () => {
      it("show a tenant its own rows only", async () => {
        await store.stream.commit(
          commit(undefined, at(1), {
            logs: [row(log(), 0), { ...row(log(), 0, 1), tenant: `${tenant}-other` }],
          }),
        );
        expect(await logs()).toHaveLength(1);
      });

      it("page newest first, stable while rows are added", async () => {
        const minute = (i: number) => `2026-11-21T10:${String(i).padStart(2, "0")}:00.000Z`;
        const rows = Array.from({ length: 25 }, (_, i) =>
          row(log({ timestamp: minute(Math.floor(i / 2)), message: `${i}` }), i),
        );
        await store.stream.commit(commit(undefined, at(25), { logs: rows }));
        const seen: string[] = [];
        const query = { ...page, limit: 10, tenant, text: undefined, service: undefined, level: undefined };
        let found = await store.query.logs(query);
        for (let pages = 1; found.length > 0; pages++) {
          seen.push(...found.map(({ record }) => record.message));
          const late = row(log({ timestamp: minute(59), message: `late ${pages}` }), 25 + pages);
          await store.stream.commit(commit(at(24 + pages), at(25 + pages), { logs: [late] }));
          found = await store.query.logs({ ...query, after: found.at(-1)!.key });
        }
        expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => String(24 - i)));
      });

      it("filter by time, from inclusive and to exclusive", async () => {
        const times = [
          "2026-11-21T10:00:00.000Z",
          "2026-11-21T10:00:00.000000001Z",
          "2026-11-21T10:00:01.000Z",
        ];
        const rows = times.map((timestamp, i) => row(log({ timestamp, message: `${i}` }), i));
        await store.stream.commit(commit(undefined, at(3), { logs: rows }));
        const found = await store.query.logs({
          ...page,
          tenant,
          text: undefined,
          service: undefined,
          level: undefined,
          from: "1795255200000000001",
          to: "1795255201000000000",
        });
        expect(found.map(({ record }) => record.message)).toEqual(["1"]);
      });

      it("filter logs by service, level and text, letter case aside", async () => {
        const rows = [
          log({ service: "api", level: "ERROR", message: "Disk FULL 100%" }),
          log({ service: "api", level: "INFO", message: "disk fine" }),
          log({ service: "web", level: "ERROR", message: "disk full_" }),
        ].map((record, i) => row(record, i));
        await store.stream.commit(commit(undefined, at(3), { logs: rows }));
        const search = async (filter: { text?: string; service?: string; level?: string }) => {
          const found = await store.query.logs({
            ...page,
            tenant,
            text: undefined,
            service: undefined,
            level: undefined,
            ...filter,
          });
          return found.map(({ key }) => key.offset);
        };
        expect(await search({ text: "disk full" })).toEqual([2, 0]);
        expect(await search({ text: "100%" })).toEqual([0]);
        expect(await search({ text: "_" })).toEqual([2]);
        expect(await search({ service: "api" })).toEqual([1, 0]);
        expect(await search({ service: "api", level: "error" })).toEqual([0]);
      });

      it("filter metrics by name and labels, whatever the labels are called", async () => {
        const rows = [
          metric({ labels: { host: "a", 'odd "name".with$': "1" } }),
          metric({ labels: { host: "b" } }),
          metric({ name: "mem", labels: { host: "a" } }),
        ].map((record, i) => row(record, i));
        await store.stream.commit(commit(undefined, at(3), { metrics: rows }));
        const offsets = async (labels: Record<string, string>, metricName?: string) =>
          (await metrics(labels, metricName)).map(({ key }) => key.offset);
        expect(await offsets({}, "cpu")).toEqual([1, 0]);
        expect(await offsets({ host: "a" })).toEqual([2, 0]);
        expect(await offsets({ host: "a" }, "cpu")).toEqual([0]);
        expect(await offsets({ 'odd "name".with$': "1" })).toEqual([0]);
        expect(await offsets({ missing: "x" })).toEqual([]);
      });
    });

    function deadLetter(offset: number): DeadLetter {
      return {
        tenant,
        offset,
        index: -1,
        originalKey: null,
        originalValue: "eA==",
        error: "e",
        errorType: "malformed_json",
      };
    }
  });
}
