// `weir keys` and `npm run key:create` as processes, against the real worker with its real D1.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build } from "../../cli/build.mjs";
import { issuedKeyShape, keyShape } from "../../lib/auth/key-shapes.ts";
import { root, startWorkerProcess, type WorkerProcess } from "../support/start.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-keys-"));
/** Nothing here reaches Kafka. */
const bindings = { ENVIRONMENT: "development", KAFKA_REST_URL: "http://127.0.0.1:9" };
let worker: WorkerProcess;

beforeAll(async () => {
  [worker] = await Promise.all([startWorkerProcess({ port: 0, dataDir, bindings }), build(["cli", "key"])]);
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

async function run(program: string, args: string[], environment: Record<string, string> = {}): Promise<Ran> {
  const { WEIR_URL: _, WEIR_KEY: __, NO_COLOR: ___, ...rest } = process.env;
  const env = { ...rest, WEIR_URL: worker.url, ...environment };
  return await new Promise((resolve) => {
    execFile(process.execPath, [join(root, "dist", program), ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

const weir = async (args: string[], key?: string) =>
  await run("weir.mjs", args, key === undefined ? {} : { WEIR_KEY: key });
const keyOf = ({ stdout }: Ran) => /^weir_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}\n$/.exec(stdout)?.[0].trim() ?? "";
const opens = async (key: string) =>
  (await fetch(`${worker.url}/api/v1/logs`, { headers: { "X-API-Key": key } })).status;

describe("weir keys", () => {
  it("makes a key, alone on stdout, lists it, rotates it and ends it", async () => {
    const made = await weir(["keys", "create", "shop", "--scopes", "ingest,query", "--tenant", "acme"]);
    const key = keyOf(made);
    expect(made).toMatchObject({ code: 0, stdout: `${key}\n` });
    expect(made.stderr).toMatch(
      /^Key \w{12} \(shop\) made: tenant acme, 2 scopes: ingest, query\. It is shown/,
    );
    expect(await opens(key)).toBe(200);
    const [, id = ""] = key.split("_");

    const listed = await weir(["keys", "list", "-t", "acme"]);
    expect(listed).toMatchObject({ code: 0, stderr: "" });
    expect(listed.stdout).toMatch(
      new RegExp(
        `^ID +NAME +SCOPES +STATE +CREATED\n${id}  shop  ingest,query  valid  20\\d\\d-\\d\\d-\\d\\d\n$`,
      ),
    );

    const rotated = await weir(["keys", "rotate", id, "--overlap", "600"]);
    expect(rotated.code).toBe(0);
    expect(rotated.stderr).toContain("The secret before it is good until 20");
    expect([await opens(keyOf(rotated)), await opens(key)]).toEqual([200, 200]);
    expect(await opens(keyOf(await weir(["keys", "rotate", id])))).toBe(200);
    expect([await opens(keyOf(rotated)), await opens(key)]).toEqual([401, 401]);

    const revoked = await weir(["keys", "revoke", id]);
    expect(revoked).toMatchObject({ code: 0, stderr: "" });
    expect(revoked.stdout).toMatch(new RegExp(`^${id} \\(shop\\): revoked at 20`));
    expect((await weir(["keys", "revoke", id])).stdout).toBe(revoked.stdout);
    expect((await weir(["keys", "list", "-t", "acme"])).stdout).toMatch(/ revoked /);
    expect(await weir(["keys", "rotate", id])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "weir: `id` names a key that is revoked or expired; make a new one.\n",
    });
  });

  it("has every field of the API, and JSON for programs", async () => {
    const bonds = "--signals logs,events --origin https://shop.example --origin https://*.shop.example";
    const quota =
      "--requests-per-second 5 --burst 50 --bytes-per-second 1000000 --expires 2999-01-01T00:00:00Z";
    const made = await weir(`keys create web --json --tenant shop ${bonds} ${quota}`.split(" "));
    const issued = issuedKeyShape.strict().parse(JSON.parse(made.stdout));
    expect(issued).toMatchObject({
      tenant: "shop",
      scopes: ["ingest"],
      signals: ["logs", "events"],
      origins: ["https://shop.example", "https://*.shop.example"],
      limits: { requests_per_second: 5, burst: 50, bytes_per_second: 1_000_000 },
      expires_at: "2999-01-01T00:00:00.000Z",
    });
    const { key: _, ...listed } = issued;
    const json = await weir(["keys", "list", "--json", "--tenant", "shop"]);
    expect(keyShape.strict().array().parse(JSON.parse(json.stdout))).toEqual([listed]);
    expect((await weir(["keys", "list", "--tenant", "*"])).stdout).toMatch(
      new RegExp(
        `\n${issued.id} +web +shop +ingest +valid .* 2999-01-01 .*logs, events, https://shop.example`,
      ),
    );
    const revoked = await weir(["keys", "revoke", issued.id, "--json"]);
    expect(keyShape.strict().parse(JSON.parse(revoked.stdout)).revoked_by).toBe("dev");
  });

  it("tells what is wrong, and never a key", async () => {
    const admin = keyOf(await weir(["keys", "create", "a", "-s", "query,admin", "-t", "wall"]));
    const cases: [string[], string | undefined, number, RegExp][] = [
      [
        ["create", "x", "--scopes", "root"],
        undefined,
        1,
        /`scopes\[0\]` must be one of ingest, query, admin, op/,
      ],
      [["create", "x", "--burst", "5"], undefined, 2, /a quota takes --requests-per-second and --burst/],
      [["create"], undefined, 2, /NAME is missing/],
      [
        ["rotate", "x", "--overlap", "604801"],
        undefined,
        2,
        /--overlap must be a whole number from 0 to 604800/,
      ],
      [
        ["create", "x"],
        admin,
        1,
        /the key in WEIR_KEY may not do this\. `scopes` may hold only what your own key/,
      ],
      [
        ["list", "--tenant", "dev"],
        admin,
        1,
        /`tenant` may be another than your own with the scope `operator` only/,
      ],
      [["rotate", "nobody"], admin, 1, /`id` names no key here/],
      [["revoke", "nobody"], admin, 1, /`id` names no key here/],
      [["revoke", "x"], "weir_nobody_aaaaaaaaaaaaaaaaaaaa", 1, /not valid/],
    ];
    for (const [args, key, code, told] of cases) {
      const ran = await weir(["keys", ...args], key);
      expect({ args, code: ran.code, stdout: ran.stdout }).toEqual({ args, code, stdout: "" });
      expect(ran.stderr).toMatch(told);
      if (key !== undefined) expect(ran.stderr).not.toContain(key);
    }
  });
});

describe("key:create", () => {
  it("makes the first key by one SQL statement that the tables take", async () => {
    const ran = await run("create-key.mjs", [
      "--tenant",
      "first",
      "--scopes",
      "ingest,query,admin,operator",
      "--name",
      "me",
    ]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const key = /weir_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}/.exec(ran.stdout)?.[0] ?? "";
    const command = /--command ("(?:[^"\\]|\\.)*")/.exec(ran.stdout)?.[1] ?? "";
    expect(command).not.toContain(key.split("_")[2]);
    const sql = JSON.parse(command) as string;
    const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
    const args = ["d1", "execute", "weir", "--local", "--persist-to", dataDir, "--command", sql];
    // As the command says: while Weir is stopped.
    await worker.stop();
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, [wrangler, ...args], { cwd: root }, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    worker = await startWorkerProcess({ port: 0, dataDir, bindings });
    const made = await weir(["keys", "create", "second", "--tenant", "acme"], key);
    expect(made.code, made.stderr).toBe(0);
    const listed = await weir(["keys", "list", "--json"], key);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { tenant: "first", name: "me", created_by: "key:create" },
    ]);
  });
});
