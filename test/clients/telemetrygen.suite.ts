// telemetrygen, which is the OpenTelemetry SDK for Go: logs, spans, and each kind of metric, every one through one fault
// (Go waits some five seconds before it tries again, whatever `Retry-After` says, so these run side by side).
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Exchange, type Fault, startFaultProxy } from "../support/fault-proxy.ts";
import { devKey } from "../support/start.ts";
import { runClient } from "./client-process.ts";
import { attributesOf, logsOf, metricsOf, traceOf, untilConsumed } from "./read-back.ts";
import { fetched, pathOf } from "./tools.ts";

const telemetrygen = fetched("telemetrygen");
const BIG = "9007199254740993";
const TRACE_ID = "5b8efff798038103d269b633813fc60c";
const SPAN_ID = "eee19b7ec3c1b174";

async function generate(
  target: string,
  signal: "logs" | "traces" | "metrics",
  faults: readonly Fault[],
  args: readonly string[],
): Promise<readonly Exchange[]> {
  const proxy = await startFaultProxy({ target, faults });
  const common = [signal, "--otlp-http", "--otlp-insecure", "--otlp-endpoint", `127.0.0.1:${proxy.port}`];
  const header = ["--otlp-header", `Authorization="Bearer ${devKey}"`];
  const host = ["--otlp-attributes", 'host.name="web-ü"', "--telemetry-attributes", `big=${BIG}`];
  try {
    await runClient(pathOf(telemetrygen), [...common, ...header, ...host, "--rate", "0", ...args]);
    await untilConsumed(target);
    return proxy.exchanges;
  } finally {
    await proxy.close();
  }
}

/** The fault met once, and then taken; nothing was left out and nothing sent besides. */
function expectRetried(exchanges: readonly Exchange[], fault: Fault): void {
  expect(exchanges.map(({ status }) => status)).toEqual([fault === "lost" ? 503 : fault, 200]);
  expect(exchanges[0]?.headers["content-type"]).toBe("application/x-protobuf");
}

export function telemetrygenSuite(url: () => string): void {
  describe.skipIf(!telemetrygen.available)("sends", () => {
    const ways: [string, Fault][] = [
      ["through 429", 429],
      ["through 503", 503],
      ["whose first answer is lost", "lost"],
    ];
    for (const [way, fault] of ways) {
      test(`logs ${way}, each there once`, async () => {
        const service = randomUUID();
        const body = ["--body", "größe 日本語", "--severity-text", "Error", "--severity-number", "17"];
        const exchanges = await generate(
          url(),
          "logs",
          [fault],
          ["--logs", "30", "--service", service, ...body],
        );
        expectRetried(exchanges, fault);
        const rows = await logsOf(url(), service);
        expect(rows).toHaveLength(30);
        for (const row of rows) {
          expect(row).toMatchObject({ message: "größe 日本語", level: "ERROR", host: "web-ü" });
          expect(row.attributes).toMatchObject({ app: "server", big: BIG });
          const logRecord = row.detail?.otlp?.logRecord;
          expect(logRecord).toMatchObject({ severityNumber: 17, severityText: "Error" });
          expect(attributesOf(logRecord?.attributes).big).toEqual({ intValue: BIG });
        }
      });
    }

    test("spans with a link and a status, through 503", async () => {
      const service = randomUUID();
      const shape = ["--traces", "1", "--child-spans", "3", "--span-links", "1", "--status-code", "Error"];
      const took = ["--span-duration", "1500us", "--service", service];
      const exchanges = await generate(url(), "traces", [503], [...shape, ...took]);
      expectRetried(exchanges, 503);
      const rows = await traceOf(url(), traceIdIn(exchanges[1]?.body));
      expect(rows).toHaveLength(4);
      // It lasts as long as its children, one after the other.
      const root = rows.find(({ name }) => name === "lets-go");
      expect(root).toMatchObject({ kind: "client", service, host: "web-ü", duration_ms: 4.5 });
      for (const row of rows) {
        expect(row.status).toBe("error");
        // The root is first, and a span links to those before it.
        expect(row.detail.otlp?.span?.links ?? []).toHaveLength(row === root ? 0 : 1);
        expect(attributesOf(row.detail.otlp?.span?.attributes).big).toEqual({ intValue: BIG });
        if (row === root) continue;
        expect(row).toMatchObject({ kind: "server", parent_span_id: root?.span_id, duration_ms: 1.5 });
      }
      expect(new Set(rows.map(({ span_id: id }) => id)).size).toBe(4);
    });

    test.each<[string, string, string, Fault]>([
      ["Gauge", "gauge", "gauge", 429],
      ["Sum", "sum", "counter", 503],
      ["Histogram", "histogram", "histogram", 503],
      ["ExponentialHistogram", "exponentialHistogram", "exponential_histogram", 429],
    ])("metrics of the type %s", async (type, kind, rowKind, fault) => {
      const name = `gen_${randomUUID().replaceAll("-", "")}`;
      const shape = [
        "--metric-type",
        type,
        "--otlp-metric-name",
        name,
        "--metrics",
        "10",
        "--timeout",
        "30s",
      ];
      const exemplar = ["--trace-id", TRACE_ID, "--span-id", SPAN_ID];
      expectRetried(await generate(url(), "metrics", [fault], [...shape, ...exemplar]), fault);
      const rows = await metricsOf(url(), name);
      expect(rows).toHaveLength(10);
      for (const row of rows) {
        expect(row).toMatchObject({
          kind: rowKind,
          labels: { big: BIG, service: "telemetrygen", host: "web-ü" },
        });
        expect(row.detail?.otlp?.metric).toMatchObject({ name, kind });
        const { dataPoint } = row.detail?.otlp ?? {};
        expect(dataPoint?.exemplars).toEqual([
          expect.objectContaining({ traceId: TRACE_ID, spanId: SPAN_ID }),
        ]);
        expect(row.value === null).toBe(type.endsWith("Histogram"));
        if (row.value === null) expect(dataPoint?.count).toMatch(/^[1-9]\d*$/);
      }
    });
  });
}

/** telemetrygen does not tell its ids: the first span's `trace_id` (field 1, 16 bytes) follows its scope. */
function traceIdIn(body: Buffer | undefined): string {
  const at = body?.indexOf(Buffer.from([0x0a, 0x10]), body.indexOf("telemetrygen")) ?? -1;
  if (body === undefined || at < 0) throw new Error("no trace id in the request");
  return body.subarray(at + 2, at + 18).toString("hex");
}
