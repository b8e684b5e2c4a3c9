// The OpenTelemetry SDK for JavaScript, with each of its two HTTP exporters: logs, spans and metrics in one run that meets
// 429 and then 503 on each path, then another whose first answers are lost.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Exchange, type Fault, startFaultProxy } from "../support/fault-proxy.ts";
import { devKey, root } from "../support/start.ts";
import { runClient } from "./client-process.ts";
import { attributesOf, logsOf, metricsOf, nanosOf, traceOf, untilConsumed } from "./read-back.ts";
import { fetched, pathOf } from "./tools.ts";

const sdk = fetched("otel-js");
const program = join(root, "test", "clients", "otel-js", "send.mjs");
const LOGS = 21;

interface Sent {
  run: string;
  traceId: string;
  parentId: string;
  childId: string;
  nowMs: number;
  exchanges: readonly Exchange[];
}

async function send(target: string, encoding: string, faults: readonly Fault[]): Promise<Sent> {
  const proxy = await startFaultProxy({ target, faults });
  const run = randomUUID().replaceAll("-", "");
  try {
    const output = await runClient(process.execPath, [
      program,
      pathOf(sdk),
      proxy.url,
      devKey,
      encoding,
      run,
    ]);
    await untilConsumed(target);
    return { ...(JSON.parse(output) as Omit<Sent, "run" | "exchanges">), run, exchanges: proxy.exchanges };
  } finally {
    await proxy.close();
  }
}

export function otelJsSuite(url: () => string, encoding: "http" | "proto"): void {
  describe.skipIf(!sdk.available)("through 429 and 503", () => {
    let sent: Sent;
    const nanos = (offsetMs: number, beyond: number): bigint =>
      BigInt(sent.nowMs + offsetMs) * 1_000_000n + BigInt(beyond);

    beforeAll(async () => {
      sent = await send(url(), encoding, [429, 503]);
    });

    test("every request was sent until it was taken, in its encoding", () => {
      for (const path of ["/v1/logs", "/v1/traces", "/v1/metrics"]) {
        const exchanges = sent.exchanges.filter((exchange) => exchange.path === path);
        expect(exchanges.map(({ status }) => status)).toEqual([429, 503, 200]);
        const type = encoding === "http" ? "application/json" : "application/x-protobuf";
        for (const { headers } of exchanges) expect(headers["content-type"]).toBe(type);
      }
    });

    test("logs", async () => {
      const rows = await logsOf(url(), `js-${sent.run}`);
      expect(rows).toHaveLength(LOGS);
      const lines = rows.filter(({ message }) => message.startsWith("line "));
      expect(lines.map(({ message }) => message)).toEqual(
        Array.from({ length: LOGS - 1 }, (_, i) => `line ${i} 日本語 🎉`),
      );
      for (const [i, row] of lines.entries()) {
        expect(row).toMatchObject({
          level: "WARN",
          service: `js-${sent.run}`,
          host: "web-ü",
          attributes: { i },
        });
        expect(nanosOf(row.timestamp)).toBe(nanos(i, 123457));
        const { resource, scope, logRecord = {} } = row.detail?.otlp ?? {};
        expect(attributesOf(resource?.attributes)["process.args"]).toEqual({
          arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] },
        });
        expect(scope).toMatchObject({ name: "scope-é", version: "1.2.3" });
        expect(logRecord).toMatchObject({
          timeUnixNano: String(nanos(i, 123457)),
          observedTimeUnixNano: String(nanos(i, 123458)),
          severityNumber: 14,
          traceId: sent.traceId,
          spanId: sent.parentId,
          flags: 1,
        });
        const { big, nested } = attributesOf(logRecord.attributes);
        expect(big).toEqual({ intValue: "-9007199254740994" });
        expect(JSON.stringify(nested)).toContain('{"stringValue":"two"}');
      }
      const event = rows.find(({ message }) => !message.startsWith("line "));
      expect(event).toMatchObject({ level: "FATAL" });
      expect(event?.detail?.otlp?.logRecord).toMatchObject({ eventName: "js.event", severityNumber: 21 });
      expect(JSON.stringify(event?.detail?.otlp?.logRecord?.body)).toContain('{"doubleValue":1.5}');
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
        service: `js-${sent.run}`,
        duration_ms: 100.000004,
      });
      expect(nanosOf(parent?.timestamp ?? "")).toBe(nanos(-100, 1));
      expect(attributesOf(parent?.detail.otlp?.span?.attributes)).toEqual({
        "http.route": { stringValue: "/käse" },
        big: { intValue: "9007199254740994" },
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
        duration_ms: 40.000002,
      });
      expect(child?.detail.otlp?.span).toMatchObject({
        status: { code: 2, message: "deadlock ☠" },
        events: [
          {
            name: "retry",
            timeUnixNano: String(nanos(-80, 3)),
            attributes: [{ key: "attempt", value: { intValue: "2" } }],
          },
        ],
      });
    });

    test("metrics", async () => {
      const point = async (name: string) => {
        const rows = await metricsOf(url(), `js.${sent.run}.${name}`);
        expect(rows, name).toHaveLength(1);
        expect(rows[0], name).toMatchObject({
          labels: { region: "é", service: `js-${sent.run}`, host: "web-ü" },
        });
        expect(rows[0]?.detail?.otlp?.metric, name).toMatchObject({
          unit: "By",
          description: "beschrieben ☕",
        });
        return rows[0];
      };
      expect(await point("counter")).toMatchObject({ value: 9007199254740990, kind: "counter" });
      expect(await point("updown")).toMatchObject({ value: -2.5, kind: "gauge" });
      expect(await point("gauge")).toMatchObject({ value: 0.1, kind: "gauge" });
      const distribution = { count: "4", sum: 11.75, min: 0.5, max: 7.25 };
      const histogram = await point("histogram");
      expect(histogram).toMatchObject({ value: null, kind: "histogram" });
      expect(histogram?.detail?.otlp?.dataPoint).toMatchObject({
        ...distribution,
        explicitBounds: [1, 5],
        bucketCounts: ["1", "2", "1"],
      });
      const exponential = await point("exponential");
      expect(exponential).toMatchObject({ value: null, kind: "exponential_histogram" });
      const dataPoint = exponential?.detail?.otlp?.dataPoint as { positive: { bucketCounts: string[] } };
      expect(dataPoint).toMatchObject(distribution);
      expect(dataPoint.positive.bucketCounts.reduce((sum, count) => sum + Number(count), 0)).toBe(4);
    });
  });

  describe.skipIf(!sdk.available)("whose first answers are lost", () => {
    test("every record is there once", async () => {
      const { run, traceId, exchanges } = await send(url(), encoding, ["lost"]);
      expect(exchanges.map(({ answer }) => answer?.status)).toEqual(Array.from({ length: 6 }, () => 200));
      expect(await logsOf(url(), `js-${run}`)).toHaveLength(LOGS);
      expect(await traceOf(url(), traceId)).toHaveLength(2);
      for (const name of ["counter", "updown", "gauge", "histogram", "exponential"]) {
        expect(await metricsOf(url(), `js.${run}.${name}`), name).toHaveLength(1);
      }
    });
  });
}
