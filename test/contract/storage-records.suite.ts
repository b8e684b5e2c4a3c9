// Records come back as they were, and to those who asked for them.
import { describe, expect, it } from "vitest";
import type { Row } from "../../lib/storage/storage.ts";
import type { JsonObject } from "../../lib/telemetry/json-value.ts";
import type { MetricKind } from "../../lib/telemetry/metric.ts";
import { formatMoment, nanosToMoment } from "../../lib/telemetry/time.ts";
import { positionAt } from "./partition-commit.ts";
import { ANY_LOG, hex, log, metric, PAGE, span, TIME, type GivenStore } from "./storage-case.ts";

export function recordCases(given: GivenStore): void {
  const metrics = async (labels: Record<string, string> = {}, metricName?: string) =>
    await given.query.metrics({ ...PAGE, tenant: given.tenant, name: metricName, labels });

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
      await given.stream.commit(given.commit(undefined, positionAt(1), { logs: [given.row(full, 0)] }));
      const [found] = await given.logs();
      expect(formatMoment(nanosToMoment(found!.key.time))).toBe(full.timestamp);
      const { timestamp: _, ...rest } = full;
      expect(found!.record).toEqual(rest);
    });

    it("texts that hold NUL", async () => {
      await given.stream.commit(
        given.commit(undefined, positionAt(1), {
          logs: [given.row(log({ message: "a\u0000b", attributes: { k: "c\u0000d" } }), 0)],
        }),
      );
      const [found] = await given.logs();
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
        given.row(metric({ value, labels: { i: String(i) } }), 0, i),
      );
      await given.stream.commit(given.commit(undefined, positionAt(1), { metrics: rows }));
      const found = await metrics();
      const back = new Map(found.map(({ record }) => [Number(record.labels.i), record.value]));
      expect(values.map((_, i) => back.get(i))).toEqual(values);
    });

    it("points of series that lie among each other, each with its place and time", async () => {
      const times = [
        "1969-12-31T23:59:59.999999999Z",
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T10:00:00.000000001Z",
      ];
      const labels: Record<string, string>[] = [{}, { 'a"b': "日本 \\ \u0001" }, { x: "1", y: "2" }];
      const rows = Array.from({ length: 2_500 }, (_, i): Row<"metrics"> => {
        const timestamp = times[Math.floor(i / 7) % times.length]!;
        const kind = i % 5 === 0 ? { kind: "counter" as const } : {};
        const name = `na"me ${i % 2}`;
        return given.row(metric({ name, timestamp, value: i / 8, labels: labels[i % 3]!, ...kind }), 9, i);
      });
      await given.stream.commit(given.commit(undefined, positionAt(10), { metrics: rows }));
      const page = { ...PAGE, limit: 3_000, tenant: given.tenant, name: undefined, labels: {} };
      const found = new Map((await given.query.metrics(page)).map((row) => [row.key.idx, row]));
      expect(found.size).toBe(rows.length);
      for (const { index, record } of rows) {
        const { key, record: back } = found.get(index)!;
        expect(key.offset).toBe(9);
        expect({ ...back, timestamp: formatMoment(nanosToMoment(key.time)) }).toEqual(record);
      }
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
        return given.row(
          metric({ value, ...(kind ? { kind } : {}), ...(i % 2 ? { detail: detail(i) } : {}) }),
          0,
          i,
        );
      });
      await given.stream.commit(given.commit(undefined, positionAt(1), { metrics: rows }));
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
      const rows = [given.row(log({ detail }), 0), given.row(log(), 1), given.row(log({ detail: {} }), 2)];
      await given.stream.commit(given.commit(undefined, positionAt(3), { logs: rows }));
      const found = (await given.logs()).toReversed().map(({ record }) => record);
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
      await given.stream.commit(
        given.commit(undefined, positionAt(1), { traces: [given.row(full, 0), given.row(bare, 0, 1)] }),
      );
      const found = await given.query.spans(given.tenant, full.trace_id, 10);
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
        given.row(
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
      await given.stream.commit(given.commit(undefined, positionAt(1), { events: rows }));
      const found = await given.query.events({ ...PAGE, tenant: given.tenant, eventType: "e" });
      expect(found.toReversed().map(({ record }) => record.data)).toEqual(data);
      expect(found.at(-1)!.record).toMatchObject({ id: null, key: null, attributes: null });
      expect(found.at(-2)!.record).toMatchObject({ id: "id 1", key: "k", attributes: { x: 1 } });
    });
  });

  describe("queries", () => {
    it("show a tenant its own rows only", async () => {
      await given.stream.commit(
        given.commit(undefined, positionAt(1), {
          logs: [given.row(log(), 0), { ...given.row(log(), 0, 1), tenant: `${given.tenant}-other` }],
        }),
      );
      expect(await given.logs()).toHaveLength(1);
    });

    it("page newest first, stable while rows are added", async () => {
      const minute = (i: number) => `2026-11-21T10:${String(i).padStart(2, "0")}:00.000Z`;
      const rows = Array.from({ length: 25 }, (_, i) =>
        given.row(log({ timestamp: minute(Math.floor(i / 2)), message: `${i}` }), i),
      );
      await given.stream.commit(given.commit(undefined, positionAt(25), { logs: rows }));
      const seen: string[] = [];
      const query = { ...PAGE, limit: 10, tenant: given.tenant, ...ANY_LOG };
      let found = await given.query.logs(query);
      for (let pages = 1; found.length > 0; pages++) {
        seen.push(...found.map(({ record }) => record.message));
        const late = given.row(log({ timestamp: minute(59), message: `late ${pages}` }), 25 + pages);
        await given.stream.commit(
          given.commit(positionAt(24 + pages), positionAt(25 + pages), { logs: [late] }),
        );
        found = await given.query.logs({ ...query, after: found.at(-1)!.key });
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
      const rows = times.map((timestamp, i) => given.row(log({ timestamp }), i));
      const spans = times.map((timestamp, i) => given.row(span(1, { timestamp }), i));
      await given.stream.commit(given.commit(undefined, positionAt(4), { logs: rows, traces: spans }));
      expect((await given.logs()).map(({ key }) => key.offset)).toEqual([3, 2, 1, 0]);
      const ofTrace = await given.query.spans(given.tenant, hex(2, 32), 10);
      expect(ofTrace.map(({ key }) => key.offset)).toEqual([0, 1, 2, 3]);
    });

    it("filter by time, from inclusive and to exclusive", async () => {
      const times = [
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T10:00:00.000000001Z",
        "2026-11-21T10:00:01.000Z",
      ];
      const rows = times.map((timestamp, i) => given.row(log({ timestamp, message: `${i}` }), i));
      await given.stream.commit(given.commit(undefined, positionAt(3), { logs: rows }));
      const found = await given.query.logs({
        ...PAGE,
        tenant: given.tenant,
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
      ].map((record, i) => given.row(record, i));
      await given.stream.commit(given.commit(undefined, positionAt(3), { logs: rows }));
      const search = async (filter: { text?: string; service?: string; level?: string }) => {
        const found = await given.query.logs({
          ...PAGE,
          tenant: given.tenant,
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
      ].map((record, i) => given.row(record, i));
      await given.stream.commit(given.commit(undefined, positionAt(3), { metrics: rows }));
      const offsets = async (labels: Record<string, string>, metricName?: string) =>
        (await metrics(labels, metricName)).map(({ key }) => key.offset);
      expect(await offsets({}, "cpu")).toEqual([1, 0]);
      expect(await offsets({ host: "a" })).toEqual([2, 0]);
      expect(await offsets({ host: "a" }, "cpu")).toEqual([0]);
      expect(await offsets({ 'odd "name".with$': "1" })).toEqual([0]);
      expect(await offsets({ missing: "x" })).toEqual([]);
    });
  });
}
