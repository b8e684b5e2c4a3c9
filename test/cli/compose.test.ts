// `npm run kafka:up` and its sisters where Docker is not what they need. The stand-in for `docker` answers by its exit
// status alone: 1 for an unknown subcommand and for a daemon that does not answer (docs.docker.com/reference/cli/docker).
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { root } from "../support/start.ts";

const dir = mkdtempSync(join(tmpdir(), "weir-compose-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** @param failsAt what a call holds that fails; undefined: there is no docker */
function run(
  action: string,
  failsAt: string | undefined,
): { status: number | null; stderr: string; calls: string[] } {
  const log = join(dir, "calls");
  writeFileSync(log, "");
  const docker = join(dir, "docker");
  rmSync(docker, { force: true });
  if (failsAt !== undefined) {
    writeFileSync(docker, `#!/bin/sh\necho "$*" >> ${log}\ncase "$*" in *"${failsAt}"*) exit 1 ;; esac\n`);
    chmodSync(docker, 0o755);
  }
  const { status, stderr } = spawnSync(process.execPath, [join(root, "cli", "compose.mjs"), action], {
    env: { PATH: dir },
    encoding: "utf8",
  });
  const calls = readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((call) => call.replace(/--file \S+ /, ""));
  return { status, stderr, calls };
}

describe("npm run kafka:…", () => {
  it.each([
    ["there is no docker", undefined, /^Docker is not installed/],
    ["it has no compose", "compose version", /^Docker has no `compose`/],
    ["it does not run", "info", /^Docker is installed but not running/],
  ])("is one line and status 1 where %s", (_, failsAt, message) => {
    for (const action of ["up", "down", "logs"]) {
      const { status, stderr } = run(action, failsAt);
      expect(status).toBe(1);
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    }
  });

  it("waits for health and then for the topics", () => {
    const { status, calls } = run("up", "no such call");
    expect(status).toBe(0);
    expect(calls.slice(2)).toEqual([
      "compose up --detach --wait redpanda console",
      "compose run --rm -T topics",
    ]);
    expect(run("up", "--wait")).toMatchObject({ status: 1, stderr: "Redpanda did not become healthy.\n" });
    expect(run("up", "topics").status).toBe(1);
  });

  it("stops it and shows its log", () => {
    expect(run("down", "no such call").calls.at(-1)).toBe("compose down --remove-orphans");
    expect(run("logs", "no such call").calls.at(-1)).toBe("compose logs --follow --tail 100");
    expect(run("destroy", "no such call").status).toBe(1);
  });
});
