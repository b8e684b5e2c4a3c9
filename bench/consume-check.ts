// The proof that every record is accounted for: the rows there are, the dead letters there are, and the counts of all
// windows as the API tells them.
import { BenchError } from "./bench-error.ts";
import { NAMES } from "./consume-options.ts";
import { metricName } from "./consume-records.ts";
import type { Child } from "./ipc.ts";

/** Public, in the documentation, and refused outside development. */
const DEV_KEY = "weir_dev_local00000000000000000000";
const ASK_MS = 120_000;

/** @throws BenchError `counts_differ` */
export async function checkRows(host: Child, records: number): Promise<void> {
  const ask = async (sql: string) => await host.call<Record<string, unknown>[]>("ask", sql, ASK_MS);
  const tables = await ask(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND (name = 'metrics' OR name GLOB 'metrics_[0-9]*')",
  );
  let rows = 0;
  for (const { name } of tables) {
    const [found] = await ask(`SELECT count(*) AS rows FROM "${String(name)}"`);
    rows += Number(found?.["rows"]);
  }
  expectCount("rows of metrics", rows, records);
  const [dead] = await ask("SELECT count(*) AS rows FROM dead_letters");
  expectCount("dead letters", Number(dead?.["rows"]), 0);
}

/** @returns how many results the API gives of each, for a metric and its labels */
export async function checkWindows(
  url: string,
  windows: readonly string[],
  { records, series }: { records: number; series: number },
): Promise<{ window: string; results: number }[]> {
  const checked = [];
  for (const window of windows) {
    let counted = 0;
    let results = 0;
    for (let metric = 0; metric < NAMES; metric++) {
      for await (const row of windowsOf(url, {
        name: metricName(metric),
        window,
        agg: "count",
        by: "",
        limit: "1000",
      })) {
        counted += row.count;
        results++;
      }
    }
    // Sliding windows hold each record as often as they overlap.
    expectCount(
      `records in the windows of ${window}, by series of ${series}`,
      counted,
      records * overlapOf(window),
    );
    checked.push({ window, results });
  }
  return checked;
}

/** `5m/1m` holds each record five times. */
function overlapOf(window: string): number {
  const [size, slide] = window.split("/").map(durationMs);
  return size !== undefined && slide !== undefined ? size / slide : 1;
}

function durationMs(text: string): number {
  const [, count = "", unit = ""] = /^(\d+)(s|m|h|d)$/.exec(text) ?? [];
  return Number(count) * ({ s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 }[unit] ?? Number.NaN);
}

async function* windowsOf(url: string, query: Record<string, string>): AsyncGenerator<{ count: number }> {
  let next: string | undefined = `/api/v1/metrics/windows?${new URLSearchParams(query).toString()}`;
  while (next !== undefined) {
    const response: Response = await fetch(new URL(next, url), {
      headers: { Authorization: `Bearer ${DEV_KEY}` },
      signal: AbortSignal.timeout(ASK_MS),
    });
    if (!response.ok)
      throw new BenchError(
        "counts_differ",
        `GET ${next} was answered ${response.status}: ${await response.text()}`,
      );
    yield* (await response.json()) as { count: number }[];
    next = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  }
}

function expectCount(what: string, is: number, wanted: number): void {
  if (is !== wanted) throw new BenchError("counts_differ", `${what}: there are ${is}, not ${wanted}`);
}
