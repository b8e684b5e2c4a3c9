// `weir ledger` and `weir dlq` as processes, against the real worker with its log in Durable Objects.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../cli/build.mjs";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { root, startWorkerProcess, type WorkerProcess } from "../support/start.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-ledger-"));
const bindings = { ENVIRONMENT: "development", KAFKA_TRANSPORT: "embedded", EDGE_FLUSH_MS: "0" };
let worker: WorkerProcess;

beforeAll(async () => {
  [worker] = await Promise.all([startWorkerProcess({ port: 0, dataDir, bindings }), build(["cli"])]);
});
afterAll(async () => {
  await worker?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function weir(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { WEIR_URL: _, WEIR_KEY: __, ...rest } = process.env;
  const env = { ...rest, WEIR_URL: worker.url, NO_COLOR: "1" };
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, "dist", "weir.mjs"), ...args],
      { env },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr });
      },
    );
  });
}

async function post(path: string, body: unknown): Promise<number> {
  const headers = { Authorization: `Bearer ${DEV_KEY}`, "Content-Type": "application/json" };
  const response = await fetch(`${worker.url}${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return response.status;
}

const write = async (value: string) =>
  await post("/api/v1/topics/logs.raw/messages", { messages: [{ value }] });

/** As soon as nothing is on its way. */
async function settled(...args: string[]): ReturnType<typeof weir> {
  let ran = await weir("ledger", ...args);
  await expect
    .poll(async () => (ran = await weir("ledger", ...args)).stdout, { timeout: 60_000, interval: 200 })
    .not.toContain("Not settled");
  return ran;
}

describe("weir ledger", () => {
  it("says what to do where nothing was accepted", async () => {
    const { code, stdout } = await settled();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Nothing was accepted yet\. `weir produce` sends something.*\n$/);
    expect(await weir("ledger", "--tenant", "nobody")).toMatchObject({
      code: 0,
      stdout: "Nothing of the tenant nobody was accepted yet.\n",
    });
  });

  it("shows each term, and is content", async () => {
    expect(await post("/api/v1/logs", [{ message: "a" }, { message: "b" }])).toBe(202);
    const { code, stdout, stderr } = await settled();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^SIGNAL +ACCEPTED +STORED +DIFFERENCE +STATE\nlogs +2 +2 +0 +balanced\n/);
    expect(stdout).toContain("Balanced: every accepted record is accounted for.");
    const json = await weir("ledger", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ settled: true, balanced: true });
  });

  it("fails where more is stored than was accepted", async () => {
    const envelope = { v: 1, tenant: "forged", signal: "logs", batch: "b", indices: [0] };
    const entries = [{ timestamp: new Date().toISOString(), level: "INFO", message: "x" }];
    expect(await write(JSON.stringify({ ...envelope, received: new Date().toISOString(), entries }))).toBe(
      200,
    );
    await expect.poll(async () => (await weir("ledger")).code, { timeout: 60_000, interval: 200 }).toBe(1);
    const { code, stdout } = await weir("ledger");
    expect(code).toBe(1);
    expect(stdout).toContain(
      "Out of balance:\n  forged logs: 1 record more than were accepted, of which 0 at most can be explained\n",
    );
    expect((await weir("ledger", "--json")).code).toBe(1);
    expect((await weir("ledger", "--tenant", "dev")).code).toBe(0);
  });
});

describe("weir dlq", () => {
  it("has nothing, then lists what died, and shows it", async () => {
    expect(await weir("dlq", "list", "--topic", "logs.raw")).toMatchObject({
      code: 0,
      stdout: "No dead letters. What the intake refuses never gets here: its answers tell of that.\n",
    });
    expect(await write("{ no JSON")).toBe(200);
    await expect
      .poll(async () => (await weir("dlq", "list")).stdout, { timeout: 60_000, interval: 200 })
      .toContain("malformed_json");
    const { code, stdout } = await weir("dlq", "list", "--reason", "malformed_json");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^DIED +ID +REASON +ERROR\n/);
    const id = /weir-storage\/\S+/.exec(stdout)?.[0] ?? "";
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    expect((await weir("dlq", "list", "--from", hourAgo)).stdout).toContain(id);
    expect((await weir("dlq", "list", "--to", hourAgo)).stdout).toMatch(/^No dead letters/);
    const shown = await weir("dlq", "show", id);
    expect(shown).toMatchObject({ code: 0, stdout: "{ no JSON\n" });
    expect(shown.stderr).toMatch(/^logs\.raw\/\d at \d+, the whole message, of tenant default; died 2/);
    expect(shown.stderr).toContain("\nmalformed_json: ");
    const json = await weir("dlq", "show", id, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ id, original_value: btoa("{ no JSON") });
    for (const none of ["a/b/0/0/0/0", "nope"])
      expect(await weir("dlq", "show", none)).toMatchObject({
        code: 1,
        stderr: `weir: There is no dead letter ${none}; \`weir dlq list\` tells their ids.\n`,
      });
    expect(await weir("dlq", "replay", "logs.raw", "--from", "yesterday")).toMatchObject({
      code: 1,
      stderr: "weir: `from` must be a time such as 2026-11-21T10:00:00Z.\n",
    });
  });
});
