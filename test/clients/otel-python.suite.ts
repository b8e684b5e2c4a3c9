// The OpenTelemetry SDK for Python, protobuf in gzip: logs, spans and metrics in one run that meets 429 and then 503 on
// each path, then another whose first answers are lost.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Exchange, type Fault, startFaultProxy } from "../support/fault-proxy.ts";
import { devKey, root } from "../support/start.ts";
import { runClient } from "./client-process.ts";
import {
  attributesOf,
  logsOf,
  type JsonObject,
  metricsOf,
  nanosOf,
  traceOf,
  untilConsumed,
} from "./read-back.ts";
import { fetched, pathOf } from "./tools.ts";

const python = fetched("python");
const program = join(root, "test", "clients", "python", "send.py");
const LOGS = 20;
const BIG = "9007199254740993";

interface Sent {
  run: string;
  traceId: string;
  parentId: string;
  childId: string;
  nowNanos: string;
  exchanges: readonly Exchange[];
}

async function send(target: string, faults: readonly Fault[]): Promise<Sent> {
  const proxy = await startFaultProxy({ target, faults });
  const run = randomUUID().replaceAll("-", "");
  try {
    const output = await runClient(pathOf(python), [program, proxy.url, devKey, run]);
    await untilConsumed(target);
    return { ...(JSON.parse(output) as Omit<Sent, "run" | "exchanges">), run, exchanges: proxy.exchanges };
  } finally {
    await proxy.close();
  }
}

export function otelPythonSuite(url: () => string): void {
  describe.skipIf(!python.available)("through 429 and 503", () => {
    let sent: Sent;
    const nanos = (offset: number): bigint => BigInt(sent.nowNanos) + BigInt(offset);

    beforeAll(async () => {
      sent = await send(url(), [429, 503]);
    });

    test("every request was sent until it was taken, the same bytes each time", () => {
      for (const path of ["/v1/logs", "/v1/traces", "/v1/metrics"]) {
        const exchanges = sent.exchanges.filter((exchange) => exchange.path === path);
        expect(exchanges.map(({ status }) => status)).toEqual([429, 503, 200]);
        expect(new Set(exchanges.map(({ body }) => body.toString("base64"))).size).toBe(1);
        expect(exchanges[0]?.headers).toMatchObject({
          "content-type": "application/x-protobuf",
          "content-encoding": "gzip",
        });
      }
    });

    test("logs", async () => {
      const rows = await logsOf(url(), `py-${sent.run}`);
      expect(rows.map(({ message }) => message)).toEqual(
        Array.from({ length: LOGS }, (_, i) => `line ${i} 日本語 🎉`),
      );
      for (const [i, row] of rows.entries()) {
        expect(row).toMatchObject({ level: "WARN", host: "web-ü", attributes: { i, big: BIG } });
        expect(nanosOf(row.timestamp)).toBe(nanos(i));
        const { resource, scope, logRecord = {} } = row.detail?.otlp ?? {};
        expect(attributesOf(resource?.attributes)["host.name"]).toEqual({ stringValue: "web-ü" });
        expect(scope).toMatchObject({ name: "scope-é", version: "1.2.3" });
        expect(logRecord).toMatchObject({
          observedTimeUnixNano: String(nanos(i + 1)),
          severityNumber: 14,
          severityText: "WARN",
          traceId: sent.traceId,
          spanId: sent.parentId,
        });
        expect(attributesOf(logRecord.attributes)).toMatchObject({
          big: { intValue: BIG },
          bytes: { bytesValue: "AP8=" },
          nested: {
            kvlistValue: {
              values: [
                {
                  key: "deep",
                  value: { arrayValue: { values: [{ intValue: "1" }, { stringValue: "two" }] } },
                },
              ],
            },
          },
        });
      }
    });

    test("spans", async () => {
      const rows = await traceOf(url(), sent.traceId);
      expect(rows).toHaveLength(2);
      const parent = rows.find(({ span_id: id }) => id === sent.parentId);
      const child = rows.find(({ span_id: id }) => id === sent.childId);
      expect(parent).toMatchObject({
        name: "GET /käse",
        kind: "server",
        status: "ok",
        service: `py-${sent.run}`,
        duration_ms: 100.000001,
      });
      expect(nanosOf(parent?.timestamp ?? "")).toBe(nanos(-100_000_001));
      expect(attributesOf(parent?.detail.otlp?.span?.attributes)).toEqual({
        "http.route": { stringValue: "/käse" },
        big: { intValue: BIG },
        ratio: { doubleValue: 0.5 },
        ok: { boolValue: true },
        list: { arrayValue: { values: [{ stringValue: "x" }, { stringValue: "y" }] } },
      });
      expect(parent?.detail.otlp?.span?.links).toEqual([
        expect.objectContaining({
          traceId: "0af7651916cd43dd8448eb211c80319c",
          spanId: "b7ad6b7169203331",
          attributes: [{ key: "why", value: { stringValue: "follows" } }],
        }),
      ]);
      expect(child).toMatchObject({
        name: "SELECT",
        kind: "client",
        status: "error",
        parent_span_id: sent.parentId,
        duration_ms: 40,
      });
      expect(child?.detail.otlp?.span).toMatchObject({
        status: { code: 2, message: "deadlock ☠" },
        events: [
          {
            name: "retry",
            timeUnixNano: String(nanos(-80_000_000)),
            attributes: [{ key: "attempt", value: { intValue: "2" } }],
          },
        ],
      });
    });

    test("metrics and their exemplars", async () => {
      const pointOf = async (name: string): Promise<JsonObject> => {
        const rows = await metricsOf(url(), `py.${sent.run}.${name}`);
        expect(rows, name).toHaveLength(1);
        const [row] = rows;
        expect(row, name).toMatchObject({
          labels: { region: "é", service: `py-${sent.run}`, host: "web-ü" },
        });
        expect(row?.detail?.otlp?.metric, name).toMatchObject({ unit: "By", description: "beschrieben ☕" });
        return { value: row?.value, kind: row?.kind, ...row?.detail?.otlp?.dataPoint };
      };
      const exemplar = expect.objectContaining({ traceId: sent.traceId, spanId: sent.parentId });
      // 2^53 + 1 has no place among JSON's numbers: the detail has it.
      expect(await pointOf("counter")).toMatchObject({
        value: 2 ** 53,
        kind: "counter",
        asInt: BIG,
        exemplars: [exemplar],
      });
      expect(await pointOf("updown")).toMatchObject({ value: -2.5, kind: "gauge" });
      expect(await pointOf("gauge")).toMatchObject({ value: 0.1, kind: "gauge" });
      const distribution = { value: null, count: "4", sum: 11.75, min: 0.5, max: 7.25 };
      const histogram = await pointOf("histogram");
      expect(histogram).toMatchObject({
        ...distribution,
        kind: "histogram",
        explicitBounds: [1, 5],
        bucketCounts: ["1", "2", "1"],
      });
      expect(histogram.exemplars).toContainEqual(exemplar);
      const exponential = await pointOf("exponential");
      expect(exponential).toMatchObject({ ...distribution, kind: "exponential_histogram" });
      const { bucketCounts } = exponential.positive as { bucketCounts: string[] };
      expect(bucketCounts.reduce((sum, count) => sum + Number(count), 0)).toBe(4);
    });
  });

  describe.skipIf(!python.available)("whose first answers are lost", () => {
    test("every record is there once", async () => {
      const { run, traceId, exchanges } = await send(url(), ["lost"]);
      expect(exchanges.map(({ answer }) => answer?.status)).toEqual(Array.from({ length: 6 }, () => 200));
      expect(await logsOf(url(), `py-${run}`)).toHaveLength(LOGS);
      expect(await traceOf(url(), traceId)).toHaveLength(2);
      for (const name of ["counter", "updown", "gauge", "histogram", "exponential"]) {
        expect(await metricsOf(url(), `py.${run}.${name}`), name).toHaveLength(1);
      }
    });
  });
}
