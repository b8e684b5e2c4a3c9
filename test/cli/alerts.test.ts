// `weir alerts` as a process, against the real worker with its real D1.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../cli/build.mjs";
import { alertRuleShape, madeNotifierShape, silenceShape } from "../../lib/http/alert-shape.ts";
import { root, startWorkerProcess, type WorkerProcess } from "../support/start.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-alerts-"));
/** Nothing here reaches Kafka, and nobody judges. */
const bindings = { ENVIRONMENT: "development", KAFKA_REST_URL: "http://127.0.0.1:9", ALERTING: "off" };
let worker: WorkerProcess;

beforeAll(async () => {
  [worker] = await Promise.all([startWorkerProcess({ port: 0, dataDir, bindings }), build(["cli"])]);
});
afterAll(async () => {
  await worker?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

async function weir(...args: string[]): Promise<Ran> {
  const { WEIR_URL: _, WEIR_KEY: __, NO_COLOR: ___, ...rest } = process.env;
  const env = { ...rest, WEIR_URL: worker.url };
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, "dist", "weir.mjs"), "alerts", ...args],
      { env },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

const jsonOf = ({ stdout }: Ran): unknown => JSON.parse(stdout);

describe("weir alerts", () => {
  it("makes, tries, lists and deletes rules", async () => {
    const expr = 'cpu{env!="dev"} > 80 for 5m';
    const made = await weir(
      "rule",
      "create",
      "Hot CPU",
      expr,
      "--severity",
      "critical",
      "--summary",
      "{{value}} %",
    );
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const [, id = ""] = /^(\w{16}) \(Hot CPU\): it is judged from now on\n$/.exec(made.stdout) ?? [];
    const [rule] = alertRuleShape.array().parse(jsonOf(await weir("rules", "--json")));
    expect(rule).toMatchObject({
      id,
      expr,
      severity: "critical",
      for: "5m",
      annotations: { summary: "{{value}} %" },
    });
    expect((await weir("rules")).stdout).toContain(`${id}  Hot CPU  critical  5m   4h      ${expr}`);
    expect(await weir("rule", "test", "cpu > 80")).toMatchObject({
      code: 0,
      stdout: "No series matches now: check the name (GET /api/v1/metrics/names) and the labels.\n",
    });
    expect((await weir("rule", "delete", id)).stdout).toBe(`${id} (Hot CPU): deleted\n`);
    expect(await weir("rule", "delete", id)).toMatchObject({ code: 1, stderr: /names no alert rule here/ });
    expect((await weir("list")).stdout).toBe("Nothing is pending or firing.\n");
  });

  it("changes a rule by what is named, and disables and enables it", async () => {
    const made = await weir("rule", "create", "Hot", "cpu > 80 for 5m", "--summary", "{{value}} %", "--json");
    const { id } = alertRuleShape.parse(jsonOf(made));
    const edited = await weir(
      "rule",
      "edit",
      id,
      "--expr",
      "cpu > 90",
      "--severity",
      "critical",
      "--repeat",
      "1h",
    );
    expect(edited).toMatchObject({ code: 0, stdout: `${id} (Hot): revision 2\n`, stderr: "" });
    const rule = async () => {
      const rules = alertRuleShape.array().parse(jsonOf(await weir("rules", "--json")));
      return rules.find((one) => one.id === id);
    };
    expect(await rule()).toMatchObject({
      expr: "cpu > 90",
      for: "5m",
      severity: "critical",
      repeat_interval: "1h",
      annotations: { summary: "{{value}} %" },
    });
    const added = await weir("notifier", "add", "chat", "https://hooks.example.com/x", "--slack", "--json");
    const { id: notifier } = madeNotifierShape.parse(jsonOf(added));
    const editedAgain = ["rule", "edit", id, "--summary", "hot", "--for", "1m"];
    expect(await weir(...editedAgain, "--notifier", "chat")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`there are ${notifier} (chat)`),
    });
    expect((await weir(...editedAgain, "--notifier", notifier)).code).toBe(0);
    expect(await rule()).toMatchObject({ for: "1m", annotations: { summary: "hot" }, notifiers: [notifier] });
    expect((await weir("rule", "edit", id, "--all-notifiers", "--revision", "3")).code).toBe(0);
    expect(await rule()).toMatchObject({ notifiers: null, revision: 4 });
    expect((await weir("notifier", "delete", notifier)).code).toBe(0);
    expect(await weir("rule", "edit", id, "--name", "x", "--revision", "3")).toMatchObject({
      code: 1,
      stderr: /`revision` is 4 by now/,
    });
    expect((await weir("rule", "disable", id)).stdout).toBe(`${id} (Hot): disabled\n`);
    expect((await weir("rules")).stdout).toMatch(new RegExp(`NOT JUDGED\n(.*\n)*${id}.* disabled\n`));
    expect((await weir("rule", "enable", id)).stdout).toBe(`${id} (Hot): enabled\n`);
    expect((await weir("rules")).stdout).not.toContain("NOT JUDGED");
    for (const args of [
      [],
      ["--notifier", "n1", "--all-notifiers"],
      ["--revision", "2"],
      ["--revision", "x", "--name", "y"],
    ])
      expect((await weir("rule", "edit", id, ...args)).code, args.join(" ")).toBe(2);
    await weir("rule", "delete", id);
  });

  it("tells where an expression is wrong", async () => {
    const ran = await weir("rule", "create", "x", "p75(latency, 5m) > 1");
    expect(ran).toMatchObject({ code: 1, stdout: "" });
    expect(ran.stderr).toMatch(/column 1: there is no function p75/);
  });

  it("shows the deployment's rules", async () => {
    const { stdout } = await weir("rules", "--deployment");
    expect(stdout).toMatch(/default-lag +Consumer lag +warning +1m +4h +lag\(\) > 10000 for 1m/);
    expect(await weir("rules", "--deployment", "-t", "acme")).toMatchObject({
      code: 2,
      stderr: /exclude each other/,
    });
  });

  it("changes the deployment's defaults", async () => {
    const edit = ["rule", "edit", "default-lag", "--deployment", "--expr", "lag() > 500", "--for", "2m"];
    expect((await weir(...edit)).stdout).toBe("default-lag (Consumer lag): revision 2\n");
    const { stdout } = await weir("rules", "--deployment");
    expect(stdout).toMatch(/default-lag +Consumer lag +warning +2m +4h +lag\(\) > 500\n/);
  });

  it("silences for a span, and ends it", async () => {
    const made = await weir("silence", "2h", "-m", "host=web-1", "-m", "env!=dev", "-c", "moving", "--json");
    const silence = silenceShape.parse(jsonOf(made));
    expect(silence.matchers).toEqual([
      { name: "host", op: "=", value: "web-1" },
      { name: "env", op: "!=", value: "dev" },
    ]);
    expect(Date.parse(silence.ends_at) - Date.now()).toBeGreaterThan(7_000_000);
    expect((await weir("silences")).stdout).toMatch(/host=web-1, env!=dev/);
    expect((await weir("unsilence", silence.id)).stdout).toBe(`${silence.id}: ended\n`);
    expect((await weir("silences", "--json")).stdout).toBe("[]\n");
    for (const others of [["env!=dev"], ["env="], ["env!=dev", "zone!="]])
      expect(await weir("silence", "2h", "-c", "why", ...others.flatMap((one) => ["-m", one]))).toMatchObject(
        { code: 1, stderr: /`matchers` must have one with `=` and a value/ },
      );
    for (const args of [
      ["2h", "-m", "host=a"],
      ["2h", "-c", "why"],
      ["soon", "-c", "why"],
      ["2h", "-c", "w", "-m", "x"],
    ])
      expect((await weir("silence", ...args)).code, args.join(" ")).toBe(2);
  });

  it("adds notifiers, prints a webhook's secret alone, and never the URL", async () => {
    const url = "https://hooks.example.com/T0/very-secret";
    const made = await weir("notifier", "add", "ops", url);
    expect(made.stdout).toMatch(/^whsec_[A-Za-z0-9+/]{43}=\n$/);
    expect(made.stderr).toMatch(/at hooks\.example\.com is told of alerts/);
    const slack = madeNotifierShape.parse(
      jsonOf(await weir("notifier", "add", "chat", url, "--slack", "--json")),
    );
    expect(slack).toMatchObject({ kind: "slack", secret: null });
    const listed = await weir("notifiers");
    expect(listed.stdout).toMatch(/ops +webhook +hooks\.example\.com +0 +0/);
    expect(made.stderr + listed.stdout).not.toContain("very-secret");
    expect((await weir("notifier", "delete", slack.id)).code).toBe(0);
    expect(await weir("notifier", "add", "x", "https://10.0.0.1/")).toMatchObject({
      code: 1,
      stderr: /public address/,
    });
  });
});
