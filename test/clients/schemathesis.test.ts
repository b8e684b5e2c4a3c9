// Schemathesis against the API's own description: whatever it makes of the shapes in /openapi.json, good or bad, the
// answer is no server error. Bounded, and from one seed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeDataDir } from "../support/data-dir.ts";
import { devKey, root, type StartedWeir, startWeir } from "../support/start.ts";
import { runClient } from "./client-process.ts";
import { fetched, pathOf } from "./tools.ts";

const python = fetched("python");
const hooks = join(root, "test", "clients", "python", "schemathesis_hooks.py");
const SEED = 20_261_121;
const MAX_EXAMPLES = 5;
/** It makes some hundred cases an operation. */
const TIMEOUT_MS = 180_000;

/**
 * 501 and 503 tell of what a transport cannot do and of what is not there just now: they are no fault of the server.
 * Methods that a path does not have are left out: they are answered in one place, for all paths alike.
 */
const CONFIGURATION = `
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 503]

[phases.coverage]
unexpected-methods = []
`;

describe.skipIf(!python.available)("schemathesis", () => {
  const data = makeDataDir("schemathesis");
  let weir: StartedWeir;

  beforeAll(async () => {
    weir = await startWeir({ dataDir: data.path, env: { WEIR_DEMO: "off" } });
  });
  afterAll(async () => {
    await weir?.stop();
    data.remove();
  });

  test("finds no server error", async () => {
    const config = join(data.path, "schemathesis.toml");
    writeFileSync(config, CONFIGURATION);
    const output = await runClient(
      pathOf(python),
      [
        "-m",
        "schemathesis.cli",
        `--config-file=${config}`,
        "run",
        `${weir.url}/openapi.json`,
        `--url=${weir.url}`,
        `--header=Authorization: Bearer ${devKey}`,
        "--checks=not_a_server_error",
        "--phases=examples,coverage,fuzzing",
        "--mode=all",
        `--seed=${SEED}`,
        `--max-examples=${MAX_EXAMPLES}`,
        "--generation-database=none",
        "--workers=2",
        "--request-timeout=20",
        "--continue-on-failure",
        // A stream of events has no end that it could wait for.
        "--exclude-path-regex=/tail$",
        "--suppress-health-check=all",
        "--warnings=off",
        "--no-color",
      ],
      {
        timeoutMs: TIMEOUT_MS,
        // It leaves what it has learnt there.
        cwd: data.path,
        env: { SCHEMATHESIS_HOOKS: hooks, PYTHONDONTWRITEBYTECODE: "1" },
      },
    );
    // A description without operations would pass.
    expect(output).toMatch(/Operations:\s+[1-9]/);
  }, 200_000);
});
