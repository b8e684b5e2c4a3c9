// What every store must do. A back end's test calls this with a way to make a fresh one; nothing may be skipped
// without a reason.
import { beforeEach, describe, expect, it } from "vitest";
import type {
  DeadLetter,
  NameQuery,
  PartitionCommit,
  PartitionId,
  Position,
  QueryStore,
  Row,
  Rows,
  StreamStore,
  TraceQuery,
} from "../../lib/storage/storage.ts";
import type { Event } from "../../lib/telemetry/event.ts";
import type { Log } from "../../lib/telemetry/log.ts";
import type { JsonObject } from "../../lib/telemetry/json-value.ts";
import type { Metric, MetricKind } from "../../lib/telemetry/metric.ts";
import type { Span } from "../../lib/telemetry/span.ts";
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
    const noRows = (): Rows => ({ metrics: [], logs: [], events: [], traces: [] });
    const row = <R extends Log | Metric | Event | Span>(record: R, offset: number, index = 0) => ({
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
    const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
    /** @param trace number of its trace, which is its start's second too */
    const span = (trace: number, fields: Partial<Span> = {}): Span => ({
      timestamp: `2026-11-21T10:00:${String(trace).padStart(2, "0")}.000Z`,
      duration_ns: "1500000",
      trace_id: hex(trace + 1, 32),
      span_id: hex(trace + 1, 16),
      name: "GET /",
      kind: "server",
      status: "unset",
      attributes: {},
      detail: {},
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
    const traceQuery = {
      service: undefined,
      name: undefined,
      status: undefined,
      minDuration: undefined,
    };
    const traces = async (filter: Partial<TraceQuery> = {}) =>
      await store.query.traces({ ...page, tenant, ...traceQuery, ...filter });
    const names = async (query: Partial<NameQuery> = {}) =>
      await store.query.metricNames({ tenant, prefix: "", after: "", limit: 100, ...query });
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

      it("a metric that is no finite number, or not one number, with its kind and detail", async () => {
        const values = [null, "+Inf", "-Inf", "NaN", "stale", "NaN:7ff4000000000001", 1e300, 0.1, -5e-324];
        const kinds: MetricKind[] = ["histogram", "gauge", "counter", "exponential_histogram", "summary"];
        const detail = (i: number): JsonObject => ({
          otlp: { dataPoint: { count: "18446744073709551615", bucketCounts: ["1", "0"], sum: "NaN", i } },
          text: 'a\u0000b " \\ 日本',
          nothing: null,
        });
        const rows = values.map((value, i): Row<"metrics"> => {
          const kind = kinds[i];
          return row(
            metric({ value, ...(kind ? { kind } : {}), ...(i % 2 ? { detail: detail(i) } : {}) }),
            0,
            i,
          );
        });
        await store.stream.commit(commit(undefined, at(1), { metrics: rows }));
        const found = (await metrics()).toReversed().map(({ record }) => record);
        const { timestamp: _, ...rest } = metric();
        expect(found).toEqual(
          values.map((value, i) => ({
            ...rest,
            value,
            ...(kinds[i] ? { kind: kinds[i] } : {}),
            ...(i % 2 ? { detail: detail(i) } : {}),
          })),
        );
      });

      it("a log with detail, and one without beside it", async () => {
        const detail = { otlp: { resource: { attributes: [] }, logRecord: { body: { stringValue: "x" } } } };
        const rows = [row(log({ detail }), 0), row(log(), 1), row(log({ detail: {} }), 2)];
        await store.stream.commit(commit(undefined, at(3), { logs: rows }));
        const found = (await logs()).toReversed().map(({ record }) => record);
        expect(found[0]).toHaveProperty("detail", detail);
        expect(found[1]).not.toHaveProperty("detail");
        expect(found[2]).toHaveProperty("detail", {});
      });

      it("a span, whole", async () => {
        const full = span(3, {
          timestamp: "2026-11-21T10:00:03.000000001Z",
          duration_ns: "1234567890123",
          parent_span_id: "00f067aa0ba902b7",
          name: "naïve \u0000 '日本' 🚀",
          kind: "client",
          status: "error",
          service: "api",
          host: "web-1",
          attributes: { "http.method": "GET", list: [1, null, { a: true }] },
          detail: { otlp: { span: { endTimeUnixNano: "18446744073709551615" } } },
        });
        const bare = span(3, { name: "", duration_ns: "18446744073709551614" });
        await store.stream.commit(commit(undefined, at(1), { traces: [row(full, 0), row(bare, 0, 1)] }));
        const found = await store.query.spans(tenant, full.trace_id, 10);
        expect(found.map(({ key }) => formatMoment(nanosToMoment(key.time)))).toEqual([
          bare.timestamp,
          full.timestamp,
        ]);
        const { timestamp: _, duration_ns: __, ...rest } = full;
        expect(found[1]!.record).toEqual({ ...rest, duration_ms: 1_234_567.890123 });
        expect(found[0]!.record).toMatchObject({
          name: "",
          parent_span_id: null,
          service: null,
          host: null,
          detail: {},
        });
        // What no signed number of 64 bits holds is the largest that it does.
        expect(found[0]!.record.duration_ms).toBeGreaterThan(9e12);
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

      it("keep the order of times with fewer digits, and of those before 1970", async () => {
        const times = [
          "1969-12-31T23:59:59.9Z",
          "1970-01-01T00:00:00.000000009Z",
          "1999-01-01T00:00:00.000Z",
          TIME,
        ];
        const rows = times.map((timestamp, i) => row(log({ timestamp }), i));
        const spans = times.map((timestamp, i) => row(span(1, { timestamp }), i));
        await store.stream.commit(commit(undefined, at(4), { logs: rows, traces: spans }));
        expect((await logs()).map(({ key }) => key.offset)).toEqual([3, 2, 1, 0]);
        const ofTrace = await store.query.spans(tenant, hex(2, 32), 10);
        expect(ofTrace.map(({ key }) => key.offset)).toEqual([0, 1, 2, 3]);
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

    describe("traces", () => {
      /** Three spans each: the root, a child of another service, a failed one. */
      const threeSpans = (trace: number, fields: Partial<Span> = {}): Span[] => {
        const root = span(trace, { service: "front", name: `root ${trace}`, ...fields });
        const child = { parent_span_id: root.span_id, timestamp: root.timestamp };
        return [
          span(trace, { ...child, span_id: hex(0xb000 + trace, 16), service: "back" }),
          root,
          span(trace, { ...child, span_id: hex(0xc000 + trace, 16), status: "error", service: "front" }),
        ];
      };

      it("are listed by their root spans, newest first, with what all their spans tell", async () => {
        const all = [threeSpans(1), threeSpans(2, { status: "ok", duration_ns: "2000001" })].flat();
        // Its root is not there (yet): it is found by its id, not in the list.
        const orphan = span(9, { parent_span_id: hex(1, 16), service: "lonely" });
        const nameless = span(3);
        const rows = [...all, orphan, nameless].map((record, i) => row(record, Math.floor(i / 2), i % 2));
        await store.stream.commit(commit(undefined, at(9), { traces: rows }));
        const found = (await traces()).map(({ record: { services, ...record } }) => ({
          ...record,
          services: services.toSorted(),
        }));
        const told = { span_count: 3, error_count: 1, service: "front", services: ["back", "front"] };
        expect(found).toEqual([
          {
            trace_id: hex(4, 32),
            name: "GET /",
            service: null,
            status: "unset",
            duration_ms: 1.5,
            span_count: 1,
            error_count: 0,
            services: [],
          },
          { ...told, trace_id: hex(3, 32), name: "root 2", status: "ok", duration_ms: 2.000001 },
          { ...told, trace_id: hex(2, 32), name: "root 1", status: "unset", duration_ms: 1.5 },
        ]);
        expect(await store.query.spans(tenant, orphan.trace_id, 10)).toHaveLength(1);
      });

      it("page stably while spans are added, also where many begin at one moment", async () => {
        const start = { timestamp: TIME };
        const rows = Array.from({ length: 23 }, (_, i) => row(span(i, { ...start, name: `${i}` }), i));
        await store.stream.commit(commit(undefined, at(23), { traces: rows }));
        const seen: string[] = [];
        let found = await traces({ limit: 5 });
        for (let pages = 0; found.length > 0; pages++) {
          seen.push(...found.map(({ record }) => record.name));
          const later = [row(span(40, { name: "later" }), 23 + pages)];
          await store.stream.commit(commit(at(23 + pages), at(24 + pages), { traces: later }));
          found = await traces({ limit: 5, after: found.at(-1)!.key });
        }
        expect(seen).toEqual(Array.from({ length: 23 }, (_, i) => String(22 - i)));
      });

      it("are filtered by their roots alone, and by time", async () => {
        const rows = [
          ...threeSpans(1, { duration_ns: "3000000", status: "error" }),
          ...threeSpans(2, { duration_ns: "2999999", service: "back" }),
          ...threeSpans(3, { name: "other", status: "ok" }),
        ].map((record, i) => row(record, i));
        await store.stream.commit(commit(undefined, at(9), { traces: rows }));
        const ids = async (filter: Partial<TraceQuery>) =>
          (await traces(filter)).map(({ record }) => Number.parseInt(record.trace_id, 16) - 1);
        expect(await ids({ service: "front" })).toEqual([3, 1]);
        expect(await ids({ service: "back" })).toEqual([2]);
        expect(await ids({ name: "other" })).toEqual([3]);
        expect(await ids({ status: "error" })).toEqual([1]);
        expect(await ids({ minDuration: 3_000_000 })).toEqual([1]);
        expect(await ids({ minDuration: 0, status: "ok", service: "front" })).toEqual([3]);
        // The second that traces 2 begins with, and the one that it ends before.
        expect(await ids({ from: "1795255202000000000", to: "1795255203000000000" })).toEqual([2]);
      });

      it("give their spans in the order of their starts, and so many at the most", async () => {
        const starts = ["10:00:02.000000002", "10:00:02.000000001", "10:00:01.9", "10:00:02.000000001"];
        const rows = starts.map((time, i) =>
          row(span(1, { timestamp: `2026-11-21T${time}Z`, span_id: hex(i + 1, 16) }), i),
        );
        await store.stream.commit(commit(undefined, at(4), { traces: rows }));
        const order = async (limit: number) =>
          (await store.query.spans(tenant, hex(2, 32), limit)).map(({ key }) => key.offset);
        expect(await order(10)).toEqual([2, 1, 3, 0]);
        expect(await order(2)).toEqual([2, 1]);
        expect(await store.query.spans(tenant, hex(77, 32), 10)).toEqual([]);
      });

      it("with one id are two for two tenants", async () => {
        const other = `${tenant}-other`;
        const rows = [
          ...threeSpans(1).map((record, i) => row(record, 0, i)),
          ...threeSpans(1).map((record, i) => ({ ...row(record, 1, i), tenant: other })),
          { ...row(span(2), 2), tenant: other },
        ];
        await store.stream.commit(commit(undefined, at(3), { traces: rows }));
        const [first, ...rest] = await traces();
        expect(rest).toEqual([]);
        expect(first!.record).toMatchObject({ trace_id: hex(2, 32), span_count: 3, error_count: 1 });
        expect(await store.query.spans(tenant, hex(2, 32), 10)).toHaveLength(3);
        expect(await store.query.spans(tenant, hex(3, 32), 10)).toEqual([]);
        expect(await traces({ tenant: other })).toHaveLength(2);
      });
    });

    describe("names of metrics", () => {
      const storeNames = async (metricNames: readonly string[]) => {
        const rows = metricNames.flatMap((metricName, i) =>
          [0, 1].map((n) => row(metric({ name: metricName }), i, n)),
        );
        await store.stream.commit(commit(undefined, at(metricNames.length), { metrics: rows }));
      };

      it("are in the order of their code points, each once, in pages", async () => {
        const inOrder = ["A", "a", "a.b", "a_b", "ab", "b%", "z", "é", "日", "\uffee", "🚀"];
        await storeNames(inOrder.toReversed());
        expect((await names()).map(({ name: one }) => one)).toEqual(inOrder);
        const seen: string[] = [];
        for (let after = ""; ;) {
          const found = await names({ limit: 4, after });
          seen.push(...found.map(({ name: one }) => one));
          if (found.length < 4) break;
          after = found.at(-1)!.name;
        }
        expect(seen).toEqual(inOrder);
      });

      it("are found by how they begin, whatever signs that has", async () => {
        await storeNames(["cpu", "cpu%", "cpu_a", "cpuxa", "CPU", "disk"]);
        const found = async (query: Partial<NameQuery>) => (await names(query)).map(({ name: one }) => one);
        expect(await found({ prefix: "cpu" })).toEqual(["cpu", "cpu%", "cpu_a", "cpuxa"]);
        expect(await found({ prefix: "cpu_" })).toEqual(["cpu_a"]);
        expect(await found({ prefix: "cpu%" })).toEqual(["cpu%"]);
        expect(await found({ prefix: "cpu", after: "cpu%", limit: 1 })).toEqual(["cpu_a"]);
        expect(await found({ prefix: "cpu", after: "cpuxa" })).toEqual([]);
        // A cursor from before the prefix, or from behind it, as a list with another prefix gave it.
        expect(await found({ prefix: "cpu", after: "CPU" })).toEqual(["cpu", "cpu%", "cpu_a", "cpuxa"]);
        expect(await found({ prefix: "cpu", after: "zzz" })).toEqual([]);
        expect(await found({ prefix: "zzz" })).toEqual([]);
      });

      it("tell the newest point's time and kind, and only a tenant's own", async () => {
        const seconds = ["01", "03", "02"];
        const kinds: MetricKind[] = ["gauge", "counter", "histogram"];
        const rows = seconds.map((second, i) =>
          row(metric({ timestamp: `2026-11-21T10:00:${second}.000000005Z`, kind: kinds[i]! }), i),
        );
        const foreign = { ...row(metric({ name: "foreign" }), 3), tenant: `${tenant}-other` };
        const untold = row(metric({ name: "untold" }), 4);
        await store.stream.commit(commit(undefined, at(5), { metrics: [...rows, foreign, untold] }));
        expect(await names()).toEqual([
          { name: "cpu", kind: "counter", last_timestamp: "2026-11-21T10:00:03.000000005Z" },
          { name: "untold", kind: null, last_timestamp: TIME },
        ]);
        expect(await names({ tenant: `${tenant}-nobody` })).toEqual([]);
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
