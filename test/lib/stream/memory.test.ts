// Windows in the memory that there is: an isolate has 128 MB for all it does, and running out of it is no exception that
// anything could be done about. Each case runs in a process of its own with a little more than half of that.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import esbuild from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FetchedRecord } from "../../../lib/kafka/transport.ts";
import { nextSlice } from "../../../lib/stream/slices.ts";
import { wideHistograms, type CASES } from "./memory-cases.ts";
import { START_MS } from "./window-reading.ts";

const HEAP_MB = 72;

const folder = mkdtempSync(join(tmpdir(), "weir-memory-"));
const script = join(folder, "case.mjs");

beforeAll(async () => {
  const contents = `import { CASES } from "./memory-cases.ts";
    console.log(JSON.stringify(await CASES[process.argv[2]]()));`;
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
  });
  writeFileSync(script, outputFiles[0]?.text ?? "");
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(name: keyof typeof CASES): unknown {
  const child = spawnSync(process.execPath, [`--max-old-space-size=${HEAP_MB}`, script, name], {
    encoding: "utf8",
  });
  if (child.status !== 0) throw new Error(child.stderr.split("\n").find((line) => /rror/.test(line)));
  return JSON.parse(child.stdout);
}

describe("there is enough memory for", { timeout: 120_000 }, () => {
  it.each([
    ["a histogram of 2,000 wide buckets at 330 points", { state: "caught-up", records: 330, windows: 990 }],
    [
      "histograms of 320 wide buckets at 1,500 points",
      { state: "caught-up", records: 1_500, windows: 4_500 },
    ],
    [
      "2,000 hours of cumulative histograms that are due",
      { state: "caught-up", windows: 2_000, sent: 2_000 },
    ],
    ["a page of 1,000 hours of cumulative histograms", { windows: 1_000 }],
    ["3,000 cumulative histograms that go on", { state: "caught-up", records: 6_000, windows: 6_000 }],
  ] as const)("%s", (name, wanted) => {
    expect(run(name)).toMatchObject(wanted);
  });
});

describe("a slice", () => {
  it("ends sooner where histograms come to many times their bytes", () => {
    const value = wideHistograms(50, 1_000);
    const messages = Array.from({ length: 12 }, (_, offset): FetchedRecord => ({
      offset,
      key: null,
      value,
      timestampMs: 0,
    }));
    const context = { signal: "metrics", defaultTenant: "acme", nowMs: START_MS } as const;
    expect(nextSlice(messages, 0, context, Infinity).length).toBeLessThanOrEqual(5);
  });
});
