// `weir groups` against the real worker with its log in Durable Objects.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { build } from "../../cli/build.mjs";
import { Api, readApiSettings } from "../../cli/weir/api.ts";
import { parseCommand, type Command } from "../../cli/weir/command.ts";
import {
  groupsCancel,
  groupsDescribe,
  groupsList,
  groupsPause,
  groupsReplay,
  groupsReset,
  groupsResume,
} from "../../cli/weir/groups.ts";
import { Output } from "../../cli/weir/output.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { root, startWorkerProcess, type WorkerProcess } from "../support/start.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-groups-"));
const bindings = { ENVIRONMENT: "development", KAFKA_TRANSPORT: "embedded", EDGE_FLUSH_MS: "0" };
let worker: WorkerProcess;
let api: Api;
const accepted = z.looseObject({ accepted: z.int() });

beforeAll(async () => {
  [worker] = await Promise.all([startWorkerProcess({ port: 0, dataDir, bindings }), build(["cli"])]);
  api = new Api(readApiSettings({ url: worker.url, key: DEV_KEY }, {}));
});
afterAll(async () => {
  await worker?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function run(command: Command, ...rawArgs: string[]): Promise<{ code: number; stdout: string }> {
  const stdout = new PassThrough();
  const output = new Output(stdout, new PassThrough(), {});
  const { positionals, args } = parseCommand(command, rawArgs);
  const code = await command.run({ positionals, args, api, output, isJson: args.isSet("json") });
  stdout.end();
  return { code, stdout: Buffer.concat(await stdout.toArray()).toString("utf8") };
}

const epochOf = async () => {
  const { stdout } = await run(groupsDescribe, "weir-storage", "--json");
  return (JSON.parse(stdout) as { epoch: number }).epoch;
};

describe("weir groups", () => {
  it("lists, and describes one", async () => {
    const { code, stdout } = await run(groupsList);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^GROUP +DOES +STATE +EPOCH +PARTITIONS +LAG\n/);
    expect(stdout).toMatch(/\nweir-storage +storage +running +0 +12 +0\n/);
    expect(stdout).toMatch(/\nweir-alerting +alerting +running +0 +3 +0\n/);
    const described = await run(groupsDescribe, "weir-alerting");
    expect(described.stdout).toMatch(/^weir-alerting {2}alerting of metrics, running, epoch 0\n/);
    expect(described.stdout).toMatch(/\nmetrics\.raw +2 /);
  });

  it("pauses and resumes", async () => {
    expect((await run(groupsPause, "weir-alerting")).stdout).toBe(
      "weir-alerting is paused, 0 messages behind.\n",
    );
    expect((await run(groupsList)).stdout).toMatch(/weir-alerting +alerting +paused/);
    expect((await run(groupsResume, "weir-alerting")).stdout).toBe(
      "weir-alerting goes on, 0 messages behind.\n",
    );
  });

  it("resets, and waits until it is done", async () => {
    await api.post("/api/v1/logs", [{ message: "a" }, { message: "b" }], accepted);
    const reset = await run(groupsReset, "weir-storage", "--to", "earliest", "--wait");
    expect(reset).toEqual({ code: 0, stdout: expect.stringMatching(/^weir-storage is in epoch 1, /) });
    const replay = await run(groupsReplay, "weir-storage", "--offset", "logs.raw/0=0", "--wait", "--json");
    expect(JSON.parse(replay.stdout)).toMatchObject({ epoch: 2, building: null });
    expect((await run(groupsReset, "weir-storage", "--to", "latest")).stdout).toBe(
      "weir-storage skips 0 messages.\n",
    );
  });

  it("gives up what is built", async () => {
    await run(groupsPause, "weir-storage");
    expect((await run(groupsReset, "weir-storage", "--to", "2026-01-01T00:00:00Z")).stdout).toMatch(
      /builds epoch 3 beside the present one/,
    );
    expect((await run(groupsDescribe, "weir-storage")).stdout).toMatch(/\nepoch 3 is built: .*left/);
    expect((await run(groupsCancel, "weir-storage")).stdout).toBe("weir-storage stays in epoch 2.\n");
    await run(groupsResume, "weir-storage");
    expect(await epochOf()).toBe(2);
  });

  it("says at Ctrl-C what goes on without it", async () => {
    await run(groupsPause, "weir-storage");
    let look = () => {};
    const looked = new Promise<void>((resolve) => (look = resolve));
    // On its way to the worker, so that it is known when it waits.
    const between = createServer((request, response) => {
      void (async () => {
        const { method = "", url = "", headers } = request;
        const passed = await fetch(`${worker.url}${url}`, {
          method,
          headers: { Authorization: headers.authorization ?? "", "Content-Type": "application/json" },
          ...(method === "POST" && { body: await text(request) }),
        });
        if (method === "GET") look();
        response.writeHead(passed.status, { "Content-Type": "application/json" }).end(await passed.text());
      })();
    }).listen(0, "127.0.0.1");
    await once(between, "listening");
    const address = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
    const program = join(root, "dist", "weir.mjs");
    const args = ["groups", "reset", "weir-storage", "--to", "earliest", "--wait", "--url", address];
    const child = spawn(process.execPath, [program, ...args, "--api-key", DEV_KEY], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    try {
      const [closed, stderr] = [once(child, "close"), text(child.stderr)];
      await Promise.race([looked, closed]);
      child.kill("SIGINT");
      expect((await closed)[0]).toBe(130);
      expect(await stderr).toMatch(
        /^epoch \d+ goes on being built; .*`weir groups cancel weir-storage` gives it up\n$/,
      );
    } finally {
      child.kill("SIGKILL");
      between.close();
      await run(groupsCancel, "weir-storage");
      await run(groupsResume, "weir-storage");
    }
  });

  it("is called wrongly", async () => {
    for (const flags of [["--to", "-1h"], ["--to"]])
      await expect(run(groupsReset, "weir-storage", ...flags)).rejects.toThrow(
        "--to needs a value; one that begins with - is written --to=…",
      );
    await expect(run(groupsReset, "weir-storage")).rejects.toThrow("give --to");
    await expect(run(groupsReset, "weir-storage", "--offset", "x")).rejects.toThrow("--offset must be like");
    await expect(run(groupsResume, "weir-storage", "--topic", "x")).rejects.toThrow("given together");
    await expect(run(groupsReplay, "weir-storage", "--to", "latest")).rejects.toThrow("must be `earliest`");
    await expect(run(groupsPause, "weir-none")).rejects.toThrow("There is no such group");
  });
});
