import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { localHyperdrive, postgresUrlOf } from "../../cli/dev/local-hyperdrive.ts";
import { realPostgres, startPostgres, type RealPostgres } from "../support/postgres.ts";

function migrate(url: string): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, WEIR_POSTGRES_URL: url };
    execFile(process.execPath, ["cli/migrate-postgres.mjs"], { env }, (error, stdout, stderr) =>
      resolve({ status: Number(error?.code ?? 0), output: stdout + stderr }),
    );
  });
}

describe.skipIf(!realPostgres.available)(`migrations of PostgreSQL ${realPostgres.why}`, () => {
  let server: RealPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  it("are applied once, also by two at a time", async () => {
    const url = await server.createDatabase();
    const both = await Promise.all([migrate(url), migrate(url)]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(both.map(({ output }) => output).toSorted()).toEqual([
      `applied ${readdirSync("migrations/postgres").toSorted().join(", ")}\n`,
      "up to date\n",
    ]);
    expect(await migrate(url)).toEqual({ status: 0, output: "up to date\n" });
  });

  it.each([
    ["the URL is missing", () => "", /WEIR_POSTGRES_URL must be set/],
    [
      "the password is wrong",
      (url: string) => url.replace(/:[^:@]+@/, ":hunter2-S3CRET@"),
      /password authentication/,
    ],
    ["the URL is none", () => "postgres://u:hunter2-S3CRET@:x:/", /postgres:\/\/…/],
    ["nobody listens", (url: string) => url.replace(/:\d+\//, ":1/"), /ECONNREFUSED/],
  ])("say in one line that %s, and no secret", async (_, change, told) => {
    const { status, output } = await migrate(change(server.url));
    expect(status).toBe(1);
    expect(output).toMatch(told);
    expect(output.trimEnd()).not.toContain("\n");
    for (const secret of ["hunter2", server.password, encodeURIComponent(server.password)])
      expect(output).not.toContain(secret);
  });
});

describe("Hyperdrive on this machine", () => {
  it("is the way straight to the database, with the parts as they are meant", () => {
    expect(localHyperdrive("postgres://u%40x:p%2Fw@db.test/name%20x")).toEqual({
      options: {},
      bindings: {
        HYPERDRIVE: { host: "db.test", port: 5432, user: "u@x", password: "p/w", database: "name x" },
      },
    });
    expect(localHyperdrive(undefined)).toEqual({ options: {}, bindings: {} });
  });

  it("is Miniflare's own where the URL asks for TLS", () => {
    const url = "postgres://u:p@db.test/name?sslmode=require";
    expect(localHyperdrive(url)).toEqual({ options: { hyperdrives: { HYPERDRIVE: url } }, bindings: {} });
  });

  it("is named by Weir's name for it, else by wrangler's", () => {
    const names = { WEIR_POSTGRES_URL: "a", CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: "b" };
    expect(postgresUrlOf(names)).toBe("a");
    expect(postgresUrlOf({ ...names, WEIR_POSTGRES_URL: "" })).toBe("b");
    expect(postgresUrlOf({})).toBeUndefined();
  });

  it.each(["hunter2", "mysql://u:hunter2@h/d", "postgres://hunter2@h/d", "postgres://u:hunter2@h"])(
    "refuses %s without telling it",
    (url) => {
      const refusal = () => localHyperdrive(url);
      expect(refusal).toThrow(/WEIR_POSTGRES_URL must be/);
      expect(refusal).not.toThrow(/hunter2/);
    },
  );
});
