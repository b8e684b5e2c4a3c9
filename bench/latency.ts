// `npm run bench:latency`: from a record's 202 to the moment at which a query finds it, in Weir as `npm start` runs it. One
// lane sends record after record, the other lets all partitions lie idle before each. A record that is not found is a
// failure, and then there are no figures.
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { killGroup } from "../cli/dev/process-identity.ts";
import { BenchError } from "./bench-error.ts";
import { quantile } from "./statistics.ts";

/** dist/bench-latency.mjs, so its folder's folder. */
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Public, in the documentation, and refused outside development. */
const HEADERS = {
  Authorization: "Bearer weir_dev_local00000000000000000000",
  "Content-Type": "application/json",
};
const START_MS = 90_000;
const FOUND_WITHIN_MS = 60_000;
const POLL_MS = 10;
const READY = "Ctrl-C stops it";

type Options = { probes: number; idleProbes: number; idleMs: number };

const USAGE = `From a record's 202 to the moment at which a query finds it.

  --probes N          one after the other (default 200)
  --idle-probes N     each after a pause (default 10)
  --idle-seconds S    the pause (default 15)
  --help
`;

function parseOptions(): Options | undefined {
  const text = { type: "string" } as const;
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        probes: { ...text, default: "200" },
        "idle-probes": { ...text, default: "10" },
        "idle-seconds": { ...text, default: "15" },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new BenchError("usage", (error as Error).message);
  }
  if (values.help) return undefined;
  const whole = (name: "probes" | "idle-probes" | "idle-seconds") => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 0 && value <= 100_000) return value;
    throw new BenchError("usage", `--${name} ${values[name]}: must be a whole number`);
  };
  return { probes: whole("probes"), idleProbes: whole("idle-probes"), idleMs: whole("idle-seconds") * 1_000 };
}

async function main(): Promise<void> {
  try {
    const options = parseOptions();
    if (!options) return void process.stdout.write(USAGE);
    const url = await start();
    // The first requests find cold code, and a group that has never read.
    for (let i = 0; i < 12; i++) await probe(url);
    const busy = await lane(url, options.probes, 0);
    const idle = await lane(url, options.idleProbes, options.idleMs);
    process.stdout.write(
      [
        "Accepted to queryable, ms:",
        line(`${options.probes} records, one after the other`, busy),
        line(`${options.idleProbes} records, each after ${options.idleMs / 1_000} s without any`, idle),
        "Every record was found.",
        "",
      ].join("\n"),
    );
    process.exit(0);
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exit(1);
  }
}

/** @returns where the worker answers */
async function start(): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const child: ChildProcess = spawn(process.execPath, [join(root, "cli", "start.mjs")], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      WEIR_PORT: "0",
      WEIR_KAFKA_PORT: "0",
      WEIR_DATA: dataDir,
      WEIR_DEMO: "off",
      LOG_REQUESTS: "off",
    },
  });
  process.on("exit", () => {
    // What it started follows it, in groups of their own.
    if (child.pid !== undefined) killGroup(child.pid);
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Uint8Array) => (output += Buffer.from(chunk).toString()));
  const deadlineMs = performance.now() + START_MS;
  while (!output.includes(READY)) {
    if (child.exitCode !== null || performance.now() > deadlineMs)
      throw new BenchError("child_failed", `Weir did not start:\n${output}`);
    await sleep(POLL_MS);
  }
  const [, url] = /dashboard\s+(http:\/\/[^/\s]+)/.exec(output) ?? [];
  if (url === undefined) throw new BenchError("child_failed", `Weir does not say where it is:\n${output}`);
  return url;
}

/** @returns the latencies, ascending */
async function lane(url: string, probes: number, pauseMs: number): Promise<Float64Array> {
  const latencies: number[] = [];
  for (let i = 0; i < probes; i++) {
    if (pauseMs > 0) await sleep(pauseMs);
    latencies.push(await probe(url));
  }
  return Float64Array.from(latencies).toSorted();
}

/** Of a name and a host of its own, so that all partitions get some. */
async function probe(url: string): Promise<number> {
  const name = `probe_${randomUUID().replaceAll("-", "")}`;
  const posted = await fetch(`${url}/api/v1/metrics`, {
    method: "POST",
    headers: HEADERS,
    body: JSON.stringify({ name, value: 1, labels: { service: "probe", host: name } }),
  });
  const answer = await posted.text();
  if (posted.status !== 202)
    throw new BenchError("load_failed", `it was answered ${posted.status}: ${answer}`);
  const acceptedMs = performance.now();
  for (;;) {
    const response = await fetch(`${url}/api/v1/metrics?name=${name}&limit=1`, { headers: HEADERS });
    const found = (await response.json()) as unknown[];
    const waitedMs = performance.now() - acceptedMs;
    if (found.length > 0) return waitedMs;
    if (waitedMs > FOUND_WITHIN_MS)
      throw new BenchError("counts_differ", `a record was not found within ${FOUND_WITHIN_MS / 1_000} s`);
    await sleep(POLL_MS);
  }
}

function line(what: string, sorted: Float64Array): string {
  if (sorted.length === 0) return `  ${what}: none`;
  const at = (q: number) => Math.round(quantile(sorted, q)).toString();
  return `  ${what}: p50 ${at(0.5)}, p99 ${at(0.99)}, highest ${at(1)}`;
}

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.on(signal, () => process.exit(status));
await main();
