// `weir keys list`, `create`, `rotate`, `revoke`. A key is printed once, where it is made, and alone on stdout, so that it
// can be piped on; the server has its hash only.
import {
  issuedKeyShape,
  keyShape,
  MAX_OVERLAP_SECONDS,
  type IssuedKey,
  type Key,
} from "../../lib/auth/key-shapes.ts";
import { UsageError, type Arguments, type Command, type Option } from "./command.ts";
import { count, printable, type Cell, type Output } from "./output.ts";

const PATH = "/api/v1/admin/keys";
/** What is more than any quota: the server has the bounds. */
const MAX_NUMBER = 999_999_999_999;

const tenantOption: Option = {
  type: "string",
  short: "t",
  hint: "TENANT",
  summary: "whose; another than the key's own takes the scope operator",
};

export const keysList: Command = {
  name: "keys list",
  summary: "the tenant's keys, without their secrets",
  positionals: [],
  options: { tenant: { ...tenantOption, summary: `${tenantOption.summary}; * is all` } },
  async run({ api, args, output, isJson }) {
    const query = new URLSearchParams({ limit: "1000" });
    const tenant = args.text("tenant");
    if (tenant !== undefined) query.set("tenant", tenant);
    const rows = await api.list(`${PATH}?${query.toString()}`, keyShape);
    if (isJson) {
      await output.json(rows);
      return 0;
    }
    const isOne = new Set(rows.map((key) => key.tenant)).size <= 1;
    const nowMs = Date.now();
    await output.table(
      [
        { title: "ID" },
        { title: "NAME" },
        { title: "TENANT", isOptional: true },
        { title: "SCOPES" },
        { title: "STATE" },
        { title: "CREATED" },
        { title: "ROTATED", isOptional: true },
        { title: "EXPIRES", isOptional: true },
        { title: "ONLY FOR", isOptional: true },
        { title: "QUOTA", isOptional: true },
      ],
      rows.map((key) => [
        key.id,
        printable(key.name),
        isOne ? "" : key.tenant,
        key.scopes.join(","),
        stateOf(key, nowMs),
        dayOf(key.created_at),
        dayOf(key.rotated_at),
        dayOf(key.expires_at),
        printable([...(key.signals ?? []), ...(key.origins ?? [])].join(", ")),
        key.limits ? `${key.limits.requests_per_second}/s, burst ${key.limits.burst}` : "",
      ]),
    );
    return 0;
  },
};

export const keysCreate: Command = {
  name: "keys create",
  summary: "makes a key and prints it, once",
  positionals: [{ name: "NAME", required: true }],
  options: {
    scopes: {
      type: "string",
      short: "s",
      hint: "LIST",
      summary: "of ingest, query, admin, operator; as far as your own key has them (ingest)",
    },
    signals: { type: "string", hint: "LIST", summary: "ingest only these: logs, metrics, events, traces" },
    origin: {
      type: "string",
      multiple: true,
      hint: "ORIGIN",
      summary: "a key for browsers, from https://app.example.com or https://*.example.com; repeatable",
    },
    "requests-per-second": { type: "string", hint: "N", summary: "a quota of its own; needs --burst" },
    burst: { type: "string", hint: "N", summary: "requests at once; needs --requests-per-second" },
    "records-per-second": { type: "string", hint: "N", summary: "beside these" },
    "bytes-per-second": { type: "string", hint: "N", summary: "beside these" },
    expires: { type: "string", hint: "TIME", summary: "ends it then, 2027-01-01T00:00:00Z" },
    tenant: tenantOption,
  },
  notes: [
    "  weir keys create shop --scopes ingest,query",
    "  weir keys create web --origin https://app.example.com",
  ],
  async run({ api, positionals: [name = ""], args, output, isJson }) {
    const origins = args.list("origin");
    const signals = args.text("signals");
    const body = {
      name,
      scopes: listOf(args.text("scopes") ?? "ingest"),
      ...(signals !== undefined && { signals: listOf(signals) }),
      ...(origins.length > 0 && { origins }),
      ...limitsOf(args),
      ...(args.text("expires") !== undefined && { expires_at: args.text("expires") }),
      ...(args.text("tenant") !== undefined && { tenant: args.text("tenant") }),
    };
    await tell(output, isJson, await api.post(PATH, body, issuedKeyShape), "made");
    return 0;
  },
};

export const keysRotate: Command = {
  name: "keys rotate",
  summary: "gives a key a new secret and prints it, once",
  positionals: [{ name: "ID", required: true }],
  options: {
    overlap: { type: "string", hint: "SECONDS", summary: "for so long the old secret is good, too (0)" },
  },
  notes: ["Every part of the deployment has taken it in within a minute."],
  async run({ api, positionals: [id = ""], args, output, isJson }) {
    const body = { overlap_seconds: args.wholeNumber("overlap", 0, MAX_OVERLAP_SECONDS) ?? 0 };
    const issued = await api.post(`${PATH}/${encodeURIComponent(id)}/rotate`, body, issuedKeyShape);
    await tell(output, isJson, issued, "rotated");
    if (!isJson && issued.previous_until !== null)
      output.note(`The secret before it is good until ${issued.previous_until}.`);
    return 0;
  },
};

export const keysRevoke: Command = {
  name: "keys revoke",
  summary: "ends a key, for good; in force everywhere within a minute",
  positionals: [{ name: "ID", required: true }],
  options: {},
  notes: ["Revoking it again does no harm."],
  async run({ api, positionals: [id = ""], output, isJson }) {
    const key = await api.delete(`${PATH}/${encodeURIComponent(id)}`, keyShape);
    if (isJson) await output.json(key);
    else await output.line(`${key.id} (${printable(key.name)}): revoked at ${key.revoked_at}`);
    return 0;
  },
};

async function tell(output: Output, isJson: boolean, issued: IssuedKey, what: string): Promise<void> {
  if (isJson) {
    await output.json(issued);
    return;
  }
  output.note(
    `Key ${issued.id} (${printable(issued.name)}) ${what}: tenant ${issued.tenant}, ${count(issued.scopes.length, "scope")}: ${issued.scopes.join(", ")}. It is shown this once:`,
  );
  await output.line(issued.key);
}

function listOf(text: string): string[] {
  return text.split(",").map((one) => one.trim());
}

/** @throws UsageError */
function limitsOf(args: Arguments): object {
  const [requests, burst, records, bytes] = (
    ["requests-per-second", "burst", "records-per-second", "bytes-per-second"] as const
  ).map((name) => args.wholeNumber(name, 1, MAX_NUMBER));
  if ([requests, burst, records, bytes].every((one) => one === undefined)) return {};
  if (requests === undefined || burst === undefined)
    throw new UsageError("a quota takes --requests-per-second and --burst");
  return {
    limits: {
      requests_per_second: requests,
      burst,
      ...(records !== undefined && { records_per_second: records }),
      ...(bytes !== undefined && { bytes_per_second: bytes }),
    },
  };
}

function stateOf(key: Key, nowMs: number): Cell {
  if (key.revoked_at !== null) return { text: "revoked", tint: "dim" };
  if (key.expires_at !== null && !(Date.parse(key.expires_at) > nowMs))
    return { text: "expired", tint: "dim" };
  return { text: "valid", tint: "good" };
}

function dayOf(time: string | null): string {
  return time?.slice(0, 10) ?? "";
}
