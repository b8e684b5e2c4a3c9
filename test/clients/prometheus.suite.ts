// Debian's Prometheus: scrapes a target of the test's own and writes it on by remote write 1.0. What its own store holds
// is what Weir must hold, sample for sample, stale markers besides; through 429 (with its flag) and 503, and where the
// first answers are lost.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { makeDataDir } from "../support/data-dir.ts";
import { type Fault, startFaultProxy } from "../support/fault-proxy.ts";
import { freePorts } from "../support/real-kafka/ports.ts";
import { devKey, until } from "../support/start.ts";
import { startDaemon } from "./client-process.ts";
import { metricsOf, type MetricRow, untilConsumed } from "./read-back.ts";
import { packaged, pathOf } from "./tools.ts";

const prometheus = packaged("prometheus", "prometheus");
const SCRAPES = 8;
/** Prometheus looks at its configured targets every 5 s only, and begins each at a time of its own. */
const WITHIN_MS = 45_000;
const CITY = 'ü "x" \\ 日本';
const TRACE_ID = "5b8efff798038103d269b633813fc60c";

/** What a scrape finds: every value a float can be, a histogram, a summary, an exemplar. */
function exposition(name: string, scrape: number): string {
  const city = CITY.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  const exemplar = `# {trace_id="${TRACE_ID}"} 0.5 ${(Date.now() / 1000).toFixed(3)}`;
  return `# HELP ${name}_orders ordered ☕
# TYPE ${name}_orders counter
${name}_orders_total{city="${city}"} ${9007199254740980 + scrape} ${exemplar}
# TYPE ${name}_gauge gauge
${name}_gauge{k="nan"} NaN
${name}_gauge{k="inf"} +Inf
${name}_gauge{k="-inf"} -Inf
${name}_gauge{k="tiny"} 5e-324
${name}_gauge{k="n"} ${-scrape - 0.25}
# TYPE ${name}_seconds histogram
${name}_seconds_bucket{le="0.5"} ${scrape}
${name}_seconds_bucket{le="+Inf"} ${2 * scrape}
${name}_seconds_sum ${scrape * 1.5}
${name}_seconds_count ${2 * scrape}
# TYPE ${name}_size summary
${name}_size{quantile="0.99"} 7.5
${name}_size_sum ${scrape}
${name}_size_count ${scrape}
# EOF
`;
}

const SERIES = [
  "orders_total",
  "gauge",
  "seconds_bucket",
  "seconds_sum",
  "seconds_count",
  "size",
  "size_sum",
  "size_count",
];

/** A target that is there for a number of scrapes and then is not, for which Prometheus writes stale markers. */
async function startTarget(name: string) {
  let scrapes = 0;
  const server = createServer((_, response) => {
    scrapes++;
    if (scrapes > SCRAPES) return void response.writeHead(404).end();
    response.setHeader("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.end(exposition(name, scrapes));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    isGone: () => scrapes > SCRAPES,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const configuration = (target: number, proxy: string): string => `
global:
  scrape_interval: 250ms
  external_labels: { replica: "ü" }
scrape_configs:
  - job_name: clients
    static_configs: [{ targets: ["127.0.0.1:${target}"], labels: { instance: web-1 } }]
remote_write:
  - url: ${proxy}/api/v1/write
    authorization: { credentials: "${devKey}" }
    send_exemplars: true
    metadata_config: { send: true, send_interval: 1s }
    queue_config:
      retry_on_http_429: true
      batch_send_deadline: 300ms
      min_shards: 1
      max_shards: 1
`;

const matrixShape = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
});

/** One sample as a line of text, so that what differs is seen at once. */
const lineOf = (labels: Record<string, string>, ms: number, value: string): string =>
  `${JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))} ${ms} ${value}`;

/** Everything that Prometheus itself keeps of a metric; it does not show stale markers. */
async function samplesIn(api: string, name: string): Promise<string[]> {
  const query = new URLSearchParams({ query: `${name}[10m]` });
  const response = await fetch(`${api}/api/v1/query?${query.toString()}`);
  const { result } = matrixShape.parse(await response.json()).data;
  return result.flatMap(({ metric, values }) => {
    const labels = Object.entries({ ...metric, replica: "ü" }).filter(([label]) => label !== "__name__");
    return values.map(([seconds, value]) => {
      // Prometheus writes 1e+06 where others write 1000000.
      const number = Number(value);
      const text = Number.isFinite(number) ? String(number) : value;
      return lineOf(Object.fromEntries(labels), Math.round(seconds * 1000), text);
    });
  });
}

export function prometheusSuite(url: () => string): void {
  describe.skipIf(!prometheus.available)("sample for sample", () => {
    const ways: [string, Fault[]][] = [
      ["through 429 and 503", [429, 503, 503, 429]],
      ["where the first answers are lost", ["lost", "lost", "lost", "lost"]],
    ];
    for (const [way, faults] of ways) {
      test(`is there once, ${way}`, async () => {
        const name = `prom_${randomUUID().replaceAll("-", "")}`;
        const data = makeDataDir("prometheus");
        const target = await startTarget(name);
        const proxy = await startFaultProxy({ target: url(), faults });
        const [port = 0] = await freePorts(1);
        const config = join(data.path, "prometheus.yml");
        writeFileSync(config, configuration(target.port, proxy.url));
        const daemon = startDaemon(pathOf(prometheus), [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(data.path, "data")}`,
          `--web.listen-address=127.0.0.1:${port}`,
          "--enable-feature=exemplar-storage",
        ]);
        const api = `http://127.0.0.1:${port}`;
        try {
          await until(target.isGone, WITHIN_MS);
          const kept = await Promise.all(SERIES.map((series) => samplesIn(api, `${name}_${series}`)));
          // As many series as the exposition has, each scraped as often as the target was there.
          expect(kept.flat()).toHaveLength(13 * SCRAPES);

          const rowsOf = async (): Promise<MetricRow[][]> =>
            await Promise.all(SERIES.map((series) => metricsOf(url(), `${name}_${series}`)));
          const isStale = ({ value }: MetricRow): boolean => value === "stale";
          await until(async () => (await rowsOf()).flat().filter(isStale).length >= 13, WITHIN_MS);
          await daemon.stop();
          await untilConsumed(url());

          const rows = await rowsOf();
          for (const [i, series] of SERIES.entries()) {
            // A row without a value is an exemplar that came in a request of its own.
            const samples = (rows[i] ?? []).filter((row) => !isStale(row) && row.value !== null);
            const lines = samples.map(({ labels, timestamp, value }) =>
              lineOf(labels, Date.parse(timestamp), String(value)),
            );
            expect(lines.toSorted(), series).toEqual(kept[i]?.toSorted());
          }
          expect(rows.flat().filter(isStale)).toHaveLength(13);
          expect(rows[0]?.[0]?.labels).toEqual({
            city: CITY,
            instance: "web-1",
            job: "clients",
            replica: "ü",
          });
          expect(JSON.stringify(rows[0]?.map(({ detail }) => detail))).toContain(TRACE_ID);

          const { headers } = proxy.exchanges[0] ?? {};
          expect(headers).toMatchObject({
            "content-encoding": "snappy",
            "content-type": "application/x-protobuf",
            "x-prometheus-remote-write-version": "0.1.0",
          });
          expect(proxy.exchanges.filter(({ fault }) => fault !== undefined)).toHaveLength(faults.length);
          for (const { answer } of proxy.exchanges) expect([undefined, 204]).toContain(answer?.status);
        } catch (error) {
          throw new Error(`Prometheus said:\n${daemon.output().slice(-3_000)}`, { cause: error });
        } finally {
          await daemon.stop();
          await proxy.close();
          await target.close();
          data.remove();
        }
      });
    }
  });
}
