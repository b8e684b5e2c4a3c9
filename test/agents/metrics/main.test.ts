// The command as people run it: bundled, its own process, real time.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { accepted, IntakeStandIn, problem } from "./intake-stand-in.ts";

const key = "weir_test_secret0000000000";
let folder: string;
let agentFile: string;
let server: IntakeStandIn;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "weir-agent-"));
  agentFile = join(folder, "agent.mjs");
  await build({
    entryPoints: ["agents/metrics/main.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: agentFile,
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  server = await new IntakeStandIn().listen();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await server.close();
});

function run(args: string[], options: { ipc?: boolean; env?: Record<string, string> } = {}) {
  const env = { PATH: process.env["PATH"], WEIR_URL: server.url.href, WEIR_KEY: key, ...options.env };
  const child = options.ipc
    ? fork(agentFile, args, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] })
    : spawn(process.execPath, [agentFile, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  return { child, ended, output: () => output };
}

describe("weir-metrics-agent", () => {
  it("sends this machine's figures with --once and ends with 0", async () => {
    const { ended, output } = run(["--once", "--service", "s", "--host", "h"]);
    expect(await ended).toBe(0);
    expect(server.batches).toHaveLength(1);
    expect(server.batches[0]!.authorization).toBe(`Bearer ${key}`);
    const { metrics } = JSON.parse(server.batches[0]!.body) as { metrics: Array<{ labels: object }> };
    for (const { labels } of metrics) expect(labels).toMatchObject({ service: "s", host: "h" });
    expect(output()).toBe("");
  });

  it("ends with 1 and the reason when --once is refused, and never prints the key", async () => {
    // A server that echoes the key is the worst case.
    server.script = () => problem(401, "unauthorized", `no such key: ${key}`);
    const { ended, output } = run(["--once"]);
    expect(await ended).toBe(1);
    expect(output()).toContain("Set WEIR_KEY");
    expect(output()).not.toContain("secret");
  });

  it("ends with 2 and every fault on wrong options", async () => {
    const { ended, output } = run(["--interval", "0", "--bogus"], { env: { WEIR_KEY: "" } });
    expect(await ended).toBe(2);
    expect(output().trim().split("\n")).toHaveLength(3);
  });

  it("flushes what waits on SIGTERM, though the server had asked for a minute", async () => {
    server.script = (_, index) =>
      index === 0 ? problem(503, "overloaded", "", { "retry-after": "60" }) : accepted;
    const { child, ended } = run(["--interval", "60"]);
    await server.untilReceived(1);
    await sleep(50);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(server.batches).toHaveLength(2);
    expect(server.batches[1]).toEqual(server.batches[0]);
  });

  it("ends on SIGTERM within the flush's bound though the server hangs", async () => {
    server.script = () => "hang";
    const { child, ended, output } = run(["--interval", "60"]);
    await server.untilReceived(1);
    const askedMs = Date.now();
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(Date.now() - askedMs).toBeLessThan(3_000);
    expect(output()).toContain("not delivered");
  });

  it("ends when the process that started it goes away", async () => {
    const { child, ended } = run(["--interval", "60"], { ipc: true });
    await server.untilReceived(1);
    child.disconnect();
    expect(await ended).toBe(0);
  });

  it("prints its options with --help", async () => {
    const { ended, output } = run(["--help"]);
    expect(await ended).toBe(0);
    for (const option of ["--url", "--key", "--interval", "--service", "--host", "--once"]) {
      expect(output()).toContain(option);
    }
  });
});
