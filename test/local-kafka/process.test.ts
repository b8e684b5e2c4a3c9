/** local-kafka as a process: how it starts and ends, and that `kill -9` loses nothing that was acknowledged. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { BINARY_V2, type WireRecord, base64 } from "./fixture.ts";

let dir: string;
let program: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "local-kafka-process-"));
  program = join(dir, "local-kafka.mjs");
  const entry = fileURLToPath(new URL("../../local-kafka/main.ts", import.meta.url));
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: program,
    logLevel: "error",
  });
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Started {
  child: ChildProcess;
  url: string;
}

/** Starts on a free port and waits until it is ready. */
async function start(data: string, options: { ipc?: boolean; args?: string[] } = {}): Promise<Started> {
  const args = [program, "--port", "0", "--data", join(dir, data), ...(options.args ?? ["--topic", "t:3"])];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe", ...(options.ipc ? ["ipc" as const] : [])],
  });
  children.push(child);
  for await (const chunk of child.stdout ?? []) {
    const [, url] = /^local-kafka ready on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(String(chunk)) ?? [];
    if (url !== undefined) return { child, url };
  }
  throw new Error("local-kafka ended before it was ready");
}

async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode !== null || child.signalCode !== null) return [child.exitCode, child.signalCode];
  return (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
}

async function run(args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

async function produce(url: string, partition: number, values: string[]): Promise<number> {
  const body = JSON.stringify({ records: values.map((value) => ({ value: base64(value), partition })) });
  const response = await fetch(`${url}/topics/t`, {
    method: "POST",
    headers: { "content-type": BINARY_V2 },
    body,
  });
  const { offsets } = (await response.json()) as { offsets: [{ offset: number }] };
  return offsets[0].offset;
}

async function readAll(url: string, partition: number): Promise<WireRecord[]> {
  const all: WireRecord[] = [];
  for (;;) {
    const path = `/topics/t/partitions/${partition}/records?offset=${all.length}&timeout=0&max_bytes=1000000`;
    const response = await fetch(url + path, { headers: { accept: BINARY_V2 } });
    const records = ((await response.json()) as WireRecord[]).filter(({ offset }) => offset >= all.length);
    if (records.length === 0) return all;
    all.push(...records);
  }
}

describe("kill -9", () => {
  it("under concurrent writers, twice: every acknowledged record is there once, at its offset, and offsets have no gap", async () => {
    const acknowledged = new Map<string, string>();
    let attempt = 0;
    for (const round of [1, 2]) {
      const { child, url } = await start("killed");
      const writer = async (partition: number): Promise<void> => {
        for (;;) {
          attempt += 1;
          const values = Array.from({ length: (attempt % 3) + 1 }, (_, i) => `${round}/${attempt}/${i}`);
          try {
            const offset = await produce(url, partition, values);
            for (const [i, value] of values.entries()) acknowledged.set(`${partition}/${offset + i}`, value);
          } catch {
            return;
          }
        }
      };
      const writers = Array.from({ length: 24 }, (_, i) => writer(i % 3));
      const enough = acknowledged.size + 1500;
      while (acknowledged.size < enough) await new Promise(setImmediate);
      child.kill("SIGKILL");
      expect(await ended(child)).toEqual([null, "SIGKILL"]);
      await Promise.all(writers);
    }
    const { child, url } = await start("killed");
    const stored = (await Promise.all([0, 1, 2].map((partition) => readAll(url, partition)))).flat();
    const byPlace = new Map(
      stored.map(({ partition, offset, value }) => [
        `${partition}/${offset}`,
        Buffer.from(value as string, "base64").toString(),
      ]),
    );
    expect(acknowledged.size).toBeGreaterThanOrEqual(3000);
    for (const [place, value] of acknowledged) expect(byPlace.get(place)).toBe(value);
    // Once: no value twice, acknowledged or not.
    expect(new Set(byPlace.values()).size).toBe(stored.length);
    for (const partition of [0, 1, 2]) {
      const offsets = stored.filter((record) => record.partition === partition).map(({ offset }) => offset);
      expect(offsets).toEqual(offsets.map((_, i) => i));
    }
    child.kill("SIGTERM");
    await ended(child);
  }, 30_000);
});

describe("start and end", () => {
  it("tells its parent, and ends with it", async () => {
    const ready = new Promise<unknown>((resolve) => {
      void start("ipc", { ipc: true }).then(({ child, url }) => resolve({ child, url }));
    });
    const { child } = (await ready) as Started;
    child.disconnect();
    expect(await ended(child)).toEqual([0, null]);
  });

  it("sends {type: ready, url} over IPC", async () => {
    const child = spawn(
      process.execPath,
      [program, "--port", "0", "--data", join(dir, "ipc2"), "--topic", "t:1"],
      {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      },
    );
    children.push(child);
    const [message] = (await once(child, "message")) as [unknown];
    expect(message).toEqual({ type: "ready", url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
    child.kill("SIGTERM");
    expect(await ended(child)).toEqual([0, null]);
  });

  it.each(["SIGTERM", "SIGINT"] as const)(
    "%s: answers a waiting poll, keeps the records, exits 0 at once",
    async (signal) => {
      const { child, url } = await start(signal);
      await produce(url, 0, ["kept"]);
      const poll = fetch(`${url}/topics/t/partitions/0/records?offset=1&timeout=60000&max_bytes=1`, {
        headers: { accept: BINARY_V2 },
      });
      // An idle keep-alive connection must not hold the process up.
      const agent = new http.Agent({ keepAlive: true });
      await new Promise((resolve) =>
        http.get(`${url}/status/ready`, { agent }, (response) => response.resume().on("end", resolve)),
      );
      const began = performance.now();
      child.kill(signal);
      expect((await poll).status).toBe(503);
      expect(await ended(child)).toEqual([0, null]);
      expect(performance.now() - began).toBeLessThan(2000);
      agent.destroy();
      const again = await start(signal);
      expect(await readAll(again.url, 0)).toMatchObject([{ value: base64("kept") }]);
    },
  );

  it("makes the development topics when none are named", async () => {
    const { url } = await start("default", { args: [] });
    const topics = (await (await fetch(`${url}/topics`)).json()) as string[];
    expect(topics).toHaveLength(17);
    expect(topics).toContain("logs.raw");
  });

  it("a taken port or data directory, or a bad flag, is one line on stderr and exit code 1", async () => {
    const { url, child } = await start("taken");
    const { port } = new URL(url);
    expect(await run(["--port", port, "--data", join(dir, "other"), "--topic", "t:1"])).toEqual({
      code: 1,
      stdout: "",
      stderr: `local-kafka: port ${port} of 127.0.0.1 is taken by another program\n`,
    });
    expect(await run(["--port", "0", "--data", join(dir, "taken")])).toEqual({
      code: 1,
      stdout: "",
      stderr: `local-kafka: ${join(dir, "taken")} is in use by process ${child.pid}\n`,
    });
    for (const args of [
      ["--port", "x"],
      ["--topic", "t"],
      ["--bogus"],
      ["--dialect", "x"],
      ["--username", "u"],
    ]) {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stdout, lines: stderr.split("\n").length }).toEqual({ code: 1, stdout: "", lines: 2 });
    }
  });

  it("--help explains the flags", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const flag of ["--host", "--port", "--data", "--topic", "--dialect"]) expect(stdout).toContain(flag);
  });
});
