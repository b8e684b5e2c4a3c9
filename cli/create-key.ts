// Makes an API key: prints it once, and the command that stores its hash. Nothing is sent anywhere by itself, so the
// same command serves a local database and a deployed one.
import { randomBytes } from "node:crypto";
import { defineCommand, runMain } from "citty";
import { hashSecret, SCOPES, type Scope } from "../lib/auth/api-key.ts";

const TENANT = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;
const OPTIONS = new Set(["_", "tenant", "scopes", "name"]);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Letters and digits, each of them equally likely: bytes beyond a multiple of 62 are thrown away. */
function randomText(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
    }
  }
  return text;
}

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
    if (!TENANT.test(args.tenant))
      fail("--tenant: letters, digits, `_`, `-`, at most 64, a letter or digit first");
    if (!/^[\w .:@/-]{0,100}$/.test(args.name))
      fail("--name: letters, digits, spaces and . : @ / - _, at most 100");
    const scopes = parseScopes(args.scopes);
    const id = randomText(12);
    const secret = randomText(40);
    const sql = `INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, created_at) VALUES ('${id}', '${args.tenant}', '${args.name}', '${hashSecret(secret)}', '${JSON.stringify(scopes)}', '${new Date().toISOString()}')`;
    process.stdout.write(
      [
        `Key (shown this once):  weir_${id}_${secret}`,
        "",
        "It works once its hash is stored (for `npm start`, while it is stopped: --local --persist-to .weir instead of --remote):",
        `  npx wrangler d1 execute weir --remote --command ${JSON.stringify(sql).replaceAll("$", String.raw`\$`)}`,
        "",
      ].join("\n"),
    );
  },
});

await runMain(command);
