// What `npm start` is made of, one piece at a time: its settings, the local schedule, and the worker in a process of its
// own (bindings from wrangler.toml, migrations, Durable Objects that survive a kill -9, assets).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCron } from "../../cli/dev/schedule.ts";
import { readStartSettings } from "../../cli/dev/start-settings.ts";
import { startWorkerProcess } from "../support/start.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-parts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function settingsOf(environment: Record<string, string>) {
  const read = readStartSettings(folder, environment);
  if ("faults" in read) throw new Error(JSON.stringify(read.faults));
  return read.settings;
}

async function ask(url: string): Promise<unknown> {
  return (await fetch(`${url}/api`)).json();
}

describe("settings of npm start", () => {
  it("runs everything on the contract's ports, in development, when nothing is set", () => {
    expect(settingsOf({})).toEqual({
      port: 8787,
      dataDir: join(folder, ".weir"),
      localKafka: { port: 18082 },
      kafkaElsewhere: "127.0.0.1:18082 (rest-v2)",
      devKey: "weir_dev_local00000000000000000000",
      agentKey: "weir_dev_local00000000000000000000",
      bindings: { ENVIRONMENT: "development", LOG_REQUESTS: "errors" },
    });
  });

  it("hands on Weir's settings and nothing else, the environment before .dev.vars, empty as unset", () => {
    writeFileSync(
      join(folder, ".dev.vars"),
      'KEY_STRATEGY="tenant"\nDEFAULT_TENANT=acme\nOTHER=1\nWEIR_PORT=9000\n',
    );
    try {
      const { bindings, port } = settingsOf({ KEY_STRATEGY: "random", DEFAULT_TENANT: "", PATH: "/bin" });
      expect(bindings).toEqual({
        ENVIRONMENT: "development",
        LOG_REQUESTS: "errors",
        KEY_STRATEGY: "random",
        DEFAULT_TENANT: "acme",
      });
      expect(port).toBe(9000);
    } finally {
      rmSync(join(folder, ".dev.vars"));
    }
  });

  it.each([{ KAFKA_REST_URL: "http://kafka.example:8082" }, { KAFKA_ENABLED: "false" }])(
    "starts no local-kafka with %j",
    (environment: Record<string, string>) => {
      expect(settingsOf(environment).localKafka).toBeUndefined();
    },
  );

  it("leaves the agent out when asked to, and where the development key is refused", () => {
    expect(settingsOf({ WEIR_DEMO: "off" }).agentKey).toBeUndefined();
    expect(settingsOf({ ENVIRONMENT: "production" }).agentKey).toBeUndefined();
  });

  it("names every fault at once", () => {
    const read = readStartSettings(folder, {
      WEIR_PORT: "70000",
      WEIR_KAFKA_PORT: "x",
      KAFKA_REST_URL: "nowhere",
    });
    expect("faults" in read && read.faults.map((fault) => fault.setting).toSorted()).toEqual([
      "KAFKA_REST_URL",
      "WEIR_KAFKA_PORT",
      "WEIR_PORT",
    ]);
  });
});

describe("the local schedule", () => {
  // A Saturday, which Cloudflare counts as 7.
  const at = new Date("2026-11-21T10:30:00Z");

  it.each([
    ["* * * * *", true],
    ["30 10 * * *", true],
    ["*/15 * * * *", true],
    ["*/20 * * * *", false],
    ["0-29 * * * *", false],
    ["0,30 8-12/2 * * *", true],
    ["10/20 * * * *", true],
    ["* * 21 11 7", true],
    ["* * * * 6", false],
  ])("%s → %s", (expression, due) => {
    expect(parseCron(expression)(at)).toBe(due);
  });

  it.each(["* * * *", "* * * * MON", "60 * * * *", "*/0 * * * *", "5-1 * * * *"])(
    "refuses %s",
    (expression) => {
      expect(() => parseCron(expression)).toThrow(expression);
    },
  );
});

describe("the worker in a process of its own", () => {
  const wranglerToml = `
name = "parts"
main = "unused.ts"
compatibility_date = "2026-04-21"
compatibility_flags = ["nodejs_compat"]
triggers = { crons = ["* * * * *"] }
vars = { FROM_FILE = "file", ENVIRONMENT = "production" }
assets = { directory = "dist/dashboard" }
[[d1_databases]]
binding = "DB"
database_name = "parts"
[[durable_objects.bindings]]
name = "COUNTER"
class_name = "Counter"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Counter"]
`;
  const script = `
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async next() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/healthz") return Response.json({ status: "healthy" });
    const count = await env.COUNTER.get(env.COUNTER.idFromName("one")).next();
    const { results } = await env.DB.prepare("SELECT text FROM notes ORDER BY text").all();
    return Response.json({ count, notes: results.map((row) => row.text), vars: [env.FROM_FILE, env.ENVIRONMENT] });
  },
  async scheduled(event, env) {
    await env.DB.prepare("INSERT INTO notes VALUES (?)").bind(event.cron).run();
  },
};
`;
  // A trigger's inner semicolons, and a comment at the end, are what naive splitters break on.
  const migration = `
-- notes; of no importance
CREATE TABLE notes (text TEXT NOT NULL);
CREATE TABLE seen (text TEXT NOT NULL);
CREATE TRIGGER note_seen AFTER INSERT ON notes BEGIN
  INSERT INTO seen VALUES (new.text);
  DELETE FROM seen WHERE text = 'forget';
END;
INSERT INTO notes VALUES ('first; migration');
-- the end
`;

  it("takes bindings from wrangler.toml, migrates once, keeps state through a kill -9, ticks, serves assets", async () => {
    const root = join(folder, "project");
    for (const dir of ["migrations", "dist/dashboard"]) mkdirSync(join(root, dir), { recursive: true });
    writeFileSync(join(root, "wrangler.toml"), wranglerToml);
    writeFileSync(join(root, "worker.mjs"), script);
    writeFileSync(join(root, "migrations", "0001_notes.sql"), migration);
    writeFileSync(join(root, "dist", "dashboard", "index.html"), "<title>dashboard</title>");
    const options = {
      root,
      port: 0,
      dataDir: join(folder, "data"),
      bindings: { ENVIRONMENT: "development" },
      scriptPath: join(root, "worker.mjs"),
    };

    const first = await startWorkerProcess(options);
    expect(await ask(first.url)).toEqual({
      count: 1,
      notes: ["first; migration"],
      vars: ["file", "development"],
    });
    expect(await (await fetch(first.url)).text()).toContain("dashboard");
    expect(await first.tick()).toBe("ok");
    await first.kill();

    writeFileSync(
      join(root, "migrations", "0002_more.sql"),
      "INSERT INTO notes VALUES ('second migration');",
    );
    const second = await startWorkerProcess(options);
    const notes = ["* * * * *", "first; migration", "second migration"];
    expect(await ask(second.url)).toMatchObject({ count: 2, notes });
    await second.stop();

    writeFileSync(
      join(root, "migrations", "0003_bad.sql"),
      "INSERT INTO notes VALUES ('half');\nINSERT INTO nowhere VALUES (1);",
    );
    await expect(startWorkerProcess(options)).rejects.toThrow(/0003_bad\.sql.*nowhere/);
    rmSync(join(root, "migrations", "0003_bad.sql"));
    const third = await startWorkerProcess(options);
    // The second was stopped, and told to rest before; the first was killed.
    expect(await ask(third.url)).toMatchObject({ count: 3, notes: [...notes, "rest"].toSorted() });
    await third.stop();
  }, 60_000);
});
