// Traces by their spans, and the names of metrics.
import { describe, expect, it } from "vitest";
import type { NameQuery, TraceQuery } from "../../lib/storage/storage.ts";
import type { MetricKind } from "../../lib/telemetry/metric.ts";
import type { Span } from "../../lib/telemetry/span.ts";
import { positionAt } from "./partition-commit.ts";
import { ANY_TRACE, hex, metric, PAGE, span, TIME, type GivenStore } from "./storage-case.ts";

export function traceCases(given: GivenStore): void {
  const traces = async (filter: Partial<TraceQuery> = {}) =>
    await given.query.traces({ ...PAGE, tenant: given.tenant, ...ANY_TRACE, ...filter });
  const names = async (query: Partial<NameQuery> = {}) =>
    await given.query.metricNames({ tenant: given.tenant, prefix: "", after: "", limit: 100, ...query });

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
      const rows = [...all, orphan, nameless].map((record, i) => given.row(record, Math.floor(i / 2), i % 2));
      await given.stream.commit(given.commit(undefined, positionAt(9), { traces: rows }));
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
      expect(await given.query.spans(given.tenant, orphan.trace_id, 10)).toHaveLength(1);
    });

    it("page stably while spans are added, also where many begin at one moment", async () => {
      const start = { timestamp: TIME };
      const rows = Array.from({ length: 23 }, (_, i) => given.row(span(i, { ...start, name: `${i}` }), i));
      await given.stream.commit(given.commit(undefined, positionAt(23), { traces: rows }));
      const seen: string[] = [];
      let found = await traces({ limit: 5 });
      for (let pages = 0; found.length > 0; pages++) {
        seen.push(...found.map(({ record }) => record.name));
        const later = [given.row(span(40, { name: "later" }), 23 + pages)];
        await given.stream.commit(
          given.commit(positionAt(23 + pages), positionAt(24 + pages), { traces: later }),
        );
        found = await traces({ limit: 5, after: found.at(-1)!.key });
      }
      expect(seen).toEqual(Array.from({ length: 23 }, (_, i) => String(22 - i)));
    });

    it("are filtered by their roots alone, and by time", async () => {
      const rows = [
        ...threeSpans(1, { duration_ns: "3000000", status: "error" }),
        ...threeSpans(2, { duration_ns: "2999999", service: "back" }),
        ...threeSpans(3, { name: "other", status: "ok" }),
      ].map((record, i) => given.row(record, i));
      await given.stream.commit(given.commit(undefined, positionAt(9), { traces: rows }));
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
        given.row(span(1, { timestamp: `2026-11-21T${time}Z`, span_id: hex(i + 1, 16) }), i),
      );
      await given.stream.commit(given.commit(undefined, positionAt(4), { traces: rows }));
      const order = async (limit: number) =>
        (await given.query.spans(given.tenant, hex(2, 32), limit)).map(({ key }) => key.offset);
      expect(await order(10)).toEqual([2, 1, 3, 0]);
      expect(await order(2)).toEqual([2, 1]);
      expect(await given.query.spans(given.tenant, hex(77, 32), 10)).toEqual([]);
    });

    it("with one id are two for two tenants", async () => {
      const other = `${given.tenant}-other`;
      const rows = [
        ...threeSpans(1).map((record, i) => given.row(record, 0, i)),
        ...threeSpans(1).map((record, i) => ({ ...given.row(record, 1, i), tenant: other })),
        { ...given.row(span(2), 2), tenant: other },
      ];
      await given.stream.commit(given.commit(undefined, positionAt(3), { traces: rows }));
      const [first, ...rest] = await traces();
      expect(rest).toEqual([]);
      expect(first!.record).toMatchObject({ trace_id: hex(2, 32), span_count: 3, error_count: 1 });
      expect(await given.query.spans(given.tenant, hex(2, 32), 10)).toHaveLength(3);
      expect(await given.query.spans(given.tenant, hex(3, 32), 10)).toEqual([]);
      expect(await traces({ tenant: other })).toHaveLength(2);
    });
  });

  describe("names of metrics", () => {
    const storeNames = async (metricNames: readonly string[]) => {
      const rows = metricNames.flatMap((metricName, i) =>
        [0, 1].map((n) => given.row(metric({ name: metricName }), i, n)),
      );
      await given.stream.commit(given.commit(undefined, positionAt(metricNames.length), { metrics: rows }));
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
        given.row(metric({ timestamp: `2026-11-21T10:00:${second}.000000005Z`, kind: kinds[i]! }), i),
      );
      const foreign = { ...given.row(metric({ name: "foreign" }), 3), tenant: `${given.tenant}-other` };
      const untold = given.row(metric({ name: "untold" }), 4);
      await given.stream.commit(
        given.commit(undefined, positionAt(5), { metrics: [...rows, foreign, untold] }),
      );
      expect(await names()).toEqual([
        { name: "cpu", kind: "counter", last_timestamp: "2026-11-21T10:00:03.000000005Z" },
        { name: "untold", kind: null, last_timestamp: TIME },
      ]);
      expect(await names({ tenant: `${given.tenant}-nobody` })).toEqual([]);
    });
  });
}
