// Makes an API key without the API, as the first operator's must be: prints it once, and the command that stores its
// hash. Nothing is sent anywhere by itself, so the same command serves a local database and a deployed one.
import { defineCommand, runMain } from "citty";
import { hashSecret, SCOPES, type Scope } from "../lib/auth/api-key.ts";
import { tenantShape } from "../lib/auth/key-shapes.ts";
import { createKey } from "../lib/auth/new-key.ts";

const OPTIONS = new Set(["_", "tenant", "scopes", "name"]);

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function parseScopes(text: string): Scope[] {
  const scopes = text.split(",").map((scope) => scope.trim());
  const unknown = scopes.filter((scope) => !SCOPES.some((known) => known === scope));
  if (unknown.length > 0)
    fail(`--scopes: there is no scope ${unknown.join(", ")}; there are ${SCOPES.join(", ")}`);
  return scopes as Scope[];
}

const command = defineCommand({
  meta: { name: "key:create", description: "Makes an API key" },
  args: {
    tenant: { type: "string", description: "whose data it reads and writes", required: true },
    scopes: { type: "string", description: `comma-separated: ${SCOPES.join(", ")}`, default: "ingest,query" },
    name: { type: "string", description: "what it is for", default: "" },
  },
  run({ args }) {
    const unknown = Object.keys(args).filter((option) => !OPTIONS.has(option));
    if (unknown.length > 0) fail(`there is no option --${unknown.join(", --")}; see --help`);
    if (args._.length > 0) fail(`what is ${args._.join(" ")}? see --help`);
    const tenant = tenantShape.safeParse(args.tenant);
    if (!tenant.success) fail(`--tenant: ${tenant.error.issues[0]?.message}`);
    if (!/^[\w .:@/-]{0,100}$/.test(args.name))
      fail("--name: letters, digits, spaces and . : @ / - _, at most 100");
    const scopes = parseScopes(args.scopes);
    const { id, secret, key } = createKey((bytes) => crypto.getRandomValues(bytes));
    const columns = {
      id,
      tenant: tenant.data,
      name: args.name,
      secret_sha256: hashSecret(secret),
      scopes: JSON.stringify(scopes),
      created_at: new Date().toISOString(),
      created_by: "key:create",
    };
    const names = Object.keys(columns).join(", ");
    // None of them can hold a quote: each is checked above, or made here.
    const values = Object.values(columns).map((value) => `'${value}'`);
    const sql = `INSERT INTO api_keys (${names}) VALUES (${values.join(", ")})`;
    process.stdout.write(
      [
        `Key (shown this once):  ${key}`,
        "",
        "It works once its hash is stored (for `npm start`, while it is stopped: --local --persist-to .weir instead of --remote):",
        `  npx wrangler d1 execute weir --remote --command ${JSON.stringify(sql).replaceAll("$", String.raw`\$`)}`,
        "",
      ].join("\n"),
    );
  },
});

await runMain(command);
