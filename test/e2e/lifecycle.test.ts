// `npm start` as a person lives with it: it gets ready, survives the death of any of its processes, and leaves nothing
// behind whichever way it ends. Real npm, real processes, real signals; found again in /proc by an environment mark.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { devKey, startWeir, StartFailed, until, type Role, type StartedWeir } from "../support/start.ts";

const onLinux = process.platform === "linux";
const dataDir = mkdtempSync(join(tmpdir(), "weir-lifecycle-"));
const recoveryMs = 12_000;
const goneMs = 8_000;

let running: StartedWeir | undefined;

afterEach(async () => {
  await running?.stop();
  running = undefined;
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

async function start(env: Record<string, string> = {}): Promise<StartedWeir> {
  running = await startWeir({ dataDir, npm: true, env });
  return running;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function pidOf(weir: StartedWeir, role: Role): number {
  const pid = weir.pids()[role];
  if (pid === undefined) throw new Error(`no ${role} on record`);
  return pid;
}

/** Who is left once all had time to end, and Node has heard of it. */
async function survivorsOf(weir: StartedWeir): Promise<string[]> {
  const { process: started } = weir;
  await until(() => started.exitCode !== null || started.signalCode !== null, goneMs).catch(() => {});
  await until(() => weir.survivors().length === 0, goneMs).catch(() => {});
  return weir.survivors().map(({ command }) => command);
}

async function postLog(url: string, message: string): Promise<number> {
  const response = await fetch(`${url}/api/v1/logs`, {
    method: "POST",
    headers: { authorization: `Bearer ${devKey}`, "content-type": "application/json" },
    body: JSON.stringify({ level: "INFO", service: "lifecycle", message }),
    signal: AbortSignal.timeout(5_000),
  });
  await response.arrayBuffer();
  return response.status;
}

async function hasLog(url: string, message: string): Promise<boolean> {
  const response = await fetch(`${url}/api/v1/logs?service=lifecycle`, {
    headers: { authorization: `Bearer ${devKey}` },
    signal: AbortSignal.timeout(5_000),
  });
  return (await response.text()).includes(message);
}

async function startFails(options: { dataDir: string; env?: Record<string, string> }): Promise<StartFailed> {
  const outcome = await startWeir(options).catch((error: unknown) => error);
  if (outcome instanceof StartFailed) return outcome;
  await (outcome as StartedWeir).stop();
  throw new Error("it started, and should not have");
}

it("is checked on Linux only: finding orphans needs /proc", (context) => {
  context.skip(!onLinux, "needs /proc");
  expect(onLinux).toBe(true);
});

describe.runIf(onLinux).sequential("npm start", () => {
  it("gets ready, heals whichever process dies, refuses a second start, and Ctrl-C leaves nothing", async () => {
    const weir = await start();
    expect(weir.output()).toContain(devKey);
    expect(await answers(`${weir.url}/healthz`)).toBe(true);
    expect(await answers(`${weir.url}/`)).toBe(true);
    expect(Object.keys(weir.pids()).toSorted()).toEqual([
      "agent",
      "kafka",
      "supervisor",
      "worker",
      "workerd",
    ]);
    expect(await postLog(weir.url, "before the deaths")).toBe(202);

    for (const victim of ["workerd", "worker", "kafka"] as const) {
      const before = pidOf(weir, victim);
      process.kill(before, "SIGKILL");
      await until(() => (weir.pids()[victim] ?? before) !== before, recoveryMs);
      await until(() => answers(`${weir.url}/healthz`), recoveryMs);
      await until(() => answers(`${weir.kafkaUrl}/topics`), recoveryMs);
    }
    await until(async () => (await postLog(weir.url, "after the deaths")) === 202, recoveryMs);
    await until(() => hasLog(weir.url, "after the deaths"), recoveryMs);

    const second = await startFails({ dataDir });
    expect(second.status).toBe(1);
    expect(second.output.trim()).toMatch(/^Weir already runs on .*process \d+.*WEIR_DATA\.$/);

    process.kill(-(weir.process.pid ?? 0), "SIGINT");
    expect(await survivorsOf(weir)).toEqual([]);
    // Status 0 is the supervisor's; npm passes the signal on as its own end.
    expect(weir.process.exitCode ?? weir.process.signalCode).toBeOneOf([0, "SIGINT"]);
    expect(weir.pids()).toEqual({});
  }, 60_000);

  it("a SIGTERM to npm alone leaves nothing", async () => {
    const weir = await start();
    weir.process.kill("SIGTERM");
    expect(await survivorsOf(weir)).toEqual([]);
  }, 30_000);

  it("a kill -9 of npm alone leaves nothing", async () => {
    const weir = await start();
    weir.process.kill("SIGKILL");
    expect(await survivorsOf(weir)).toEqual([]);
  }, 30_000);

  it("a kill -9 of the supervisor leaves nothing", async () => {
    const weir = await start();
    process.kill(pidOf(weir, "supervisor"), "SIGKILL");
    expect(await survivorsOf(weir)).toEqual([]);
  }, 30_000);

  it("what a kill -9 of supervisor and worker host leaves behind is ended by the next start, which keeps ports and data", async () => {
    const weir = await start();
    expect(await postLog(weir.url, "kept")).toBe(202);
    const { port } = new URL(weir.url);
    const kafkaPort = new URL(weir.kafkaUrl ?? "").port;
    for (const role of ["supervisor", "worker"] as const) process.kill(pidOf(weir, role), "SIGKILL");
    await until(() => weir.survivors().length === 1, goneMs);
    expect(weir.survivors()[0]?.command).toContain("workerd");

    const next = await start({ WEIR_PORT: port, WEIR_KAFKA_PORT: kafkaPort });
    expect(next.output()).toMatch(/left behind: .*workerd/);
    expect(weir.survivors()).toEqual([]);
    await until(() => hasLog(next.url, "kept"), recoveryMs);
  }, 45_000);

  it.each(["WEIR_PORT", "WEIR_KAFKA_PORT"])(
    "a taken %s is one line that names it, and status 1",
    async (setting) => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", () => resolve()));
      const { port } = other.address() as AddressInfo;
      try {
        const failed = await startFails({
          dataDir: join(dataDir, "other"),
          env: { [setting]: String(port) },
        });
        expect(failed.status).toBe(1);
        expect(failed.output.trim().split("\n")).toHaveLength(1);
        expect(failed.output).toContain(`Port ${port} is taken`);
        expect(failed.output).toContain(`${setting}=`);
      } finally {
        await new Promise((resolve) => other.close(resolve));
      }
    },
  );

  it("a wrong setting stops the start and is named, without its value", async () => {
    const failed = await startFails({
      dataDir: join(dataDir, "other"),
      env: { WEIR_PORT: "eighty", KEY_STRATEGY: "sekrit" },
    });
    expect(failed.status).toBe(1);
    expect(failed.output).toMatch(/^WEIR_PORT: /m);
    expect(failed.output).toMatch(/^KEY_STRATEGY: /m);
    expect(failed.output).not.toMatch(/eighty|sekrit/);
  });
});
