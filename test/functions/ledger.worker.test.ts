// GET /api/v1/ledger against real traffic: it balances where nothing was lost, says so where something was, and claims
// nothing while records are on their way.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Acceptance } from "../../functions/acceptance.ts";
import { ledger } from "../../functions/ledger.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import { DEV_KEY, type Scope } from "../../lib/auth/api-key.ts";
import { ledgerShape } from "../../lib/http/ledger-shape.ts";
import type { LedgerLine } from "../../lib/query/ledger.ts";
import { SIGNALS, type Signal } from "../../lib/telemetry/signal.ts";
import { GROUP, post, problemOf, send, wakeAndDrain } from "../support/worker/client.ts";
import { storeKey } from "../support/worker/stored-tenant.ts";

const app = new Hono<AppEnv>();
app.use(prepare);
app.route("/", ledger);

interface Ledger {
  settled: boolean;
  balanced: boolean | null;
  lines: LedgerLine[];
  deployment?: {
    waiting_messages: number | null;
    open_intervals: number;
    errors: string[];
    partitions: object[];
  };
}

async function ask(path: string, key: string, bindings: Env = env): Promise<Response> {
  const context = createExecutionContext();
  const request = new Request(`http://weir.test${path}`, { headers: { Authorization: `Bearer ${key}` } });
  const response = await app.fetch(request, bindings, context);
  await waitOnExecutionContext(context);
  return response;
}

async function read(query = `?tenant=${tenant}`, key = DEV_KEY): Promise<Ledger> {
  const response = await ask(`/api/v1/ledger${query}`, key);
  expect(response.status).toBe(200);
  const body = await response.json<Ledger>();
  // What a shape does not know it leaves out: so nothing is told that is not in the document.
  expect(ledgerShape.parse(body)).toEqual(body);
  return body;
}

let tenant: string;
let key: string;

beforeAll(async () => {
  for (const signal of SIGNALS) {
    const topic = JSON.stringify({ name: `${signal}.raw`, partitions: 3 });
    await fetch("http://control.test/topics", { method: "POST", body: topic });
  }
});

let isDrained = false;

beforeEach(async () => {
  // What other files wrote to the Kafka that they share may be more than is read to count what waits.
  for (const signal of isDrained ? [] : SIGNALS) await wakeAndDrain(`${signal}.raw`, signal);
  isDrained = true;
  tenant = `t${crypto.randomUUID()}`;
  const scopes: Scope[] = ["ingest", "query"];
  key = await storeKey(tenant, scopes);
});

async function ingest(path: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const response = await post(path, JSON.stringify(body), {
    "Content-Type": "application/json",
    Authorization: `Bearer ${key}`,
    ...headers,
  });
  expect(response.status).toBe(202);
}

const messages = (count: number) => Array.from({ length: count }, (_, i) => ({ message: `m${i}` }));

/** As if a request of this isolate had accepted them. */
async function note(signal: Signal, accepted: number, unconfirmed = 0): Promise<void> {
  const context = createExecutionContext();
  const acceptance = new Acceptance(env, (promise) => context.waitUntil(promise));
  await acceptance.begin({ tenant, signal, records: accepted + unconfirmed });
  acceptance.note({ tenant, signal, accepted, unconfirmed });
  await acceptance.settle();
  await waitOnExecutionContext(context);
}

async function produce(topic: string, value: unknown): Promise<void> {
  const response = await fetch(`http://kafka.test/topics/${topic}`, {
    method: "POST",
    headers: { "Content-Type": "application/vnd.kafka.json.v2+json" },
    body: JSON.stringify({ records: [{ value, partition: 0 }] }),
  });
  expect(response.status).toBe(200);
}

describe("what was accepted", () => {
  it("is stored: settled, balanced, without a difference", async () => {
    await ingest("/api/v1/logs", messages(3));
    await ingest("/api/v1/metrics", [{ name: "cpu", value: 1 }]);
    await wakeAndDrain("logs.raw", "logs");
    await wakeAndDrain("metrics.raw", "metrics");
    const line = { late: 0, dead: 0, deduplicated: 0, spilled: 0, waiting: 0, difference: 0, balanced: true };
    expect(await read()).toMatchObject({
      settled: true,
      balanced: true,
      lines: [
        { ...line, signal: "logs", accepted: 3, stored: 3 },
        { ...line, signal: "metrics", accepted: 1, stored: 1 },
      ],
    });
  });

  it("waits in the log, and is counted there", async () => {
    // Every namespace has this prototype; only the consumers' is out of reach, so that nobody reads.
    const away = vi
      .spyOn(Object.getPrototypeOf(env.PARTITION_CONSUMER), "getByName")
      .mockImplementation(function (this: DurableObjectNamespace, ...[name]: unknown[]) {
        if (String(name).startsWith(`${GROUP}/`)) throw new Error("lost");
        return this.get(this.idFromName(String(name)));
      });
    await ingest("/api/v1/logs", messages(3));
    const { settled, balanced, lines, deployment } = await read();
    away.mockRestore();
    expect({ settled, balanced }).toEqual({ settled: false, balanced: null });
    expect(lines).toMatchObject([{ accepted: 3, stored: 0, waiting: 3, difference: 0, balanced: null }]);
    expect(deployment?.waiting_messages).toBeGreaterThan(0);
  });

  it("twice is stored once, and counted apart", async () => {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    await ingest("/api/v1/logs", messages(2), headers);
    await ingest("/api/v1/logs", messages(2), headers);
    await wakeAndDrain("logs.raw", "logs");
    expect(await read()).toMatchObject({
      balanced: true,
      lines: [{ accepted: 4, stored: 2, deduplicated: 2, difference: 0 }],
    });
  });

  it("and is not in the log makes the ledger say no", async () => {
    await ingest("/api/v1/logs", messages(3));
    await note("logs", 1);
    await wakeAndDrain("logs.raw", "logs");
    expect(await read()).toMatchObject({
      settled: true,
      balanced: false,
      lines: [{ accepted: 4, stored: 3, difference: 1, balanced: false }],
    });
  });

  it("but was not counted does so, too, unless as many were unconfirmed", async () => {
    await ingest("/api/v1/logs", messages(3));
    const uncounted = {
      v: 1,
      tenant,
      signal: "logs",
      batch: crypto.randomUUID(),
      received: new Date().toISOString(),
      indices: [0, 1],
      entries: messages(2).map((one) => ({ ...one, timestamp: new Date().toISOString(), level: "INFO" })),
    };
    await produce("logs.raw", uncounted);
    await wakeAndDrain("logs.raw", "logs");
    expect(await read()).toMatchObject({
      settled: true,
      balanced: false,
      lines: [{ accepted: 3, stored: 5, difference: -2 }],
    });
    await note("logs", 0, 2);
    expect(await read()).toMatchObject({
      settled: true,
      balanced: true,
      lines: [{ difference: -2, uncertain: { unconfirmed: 2, lost_counts_at_most: 0 } }],
    });
  });

  it("claims nothing while an isolate has not told its counts", async () => {
    await ingest("/api/v1/logs", messages(1));
    await wakeAndDrain("logs.raw", "logs");
    const shard = env.ACCEPTANCE.getByName("shard-0");
    const isolate = crypto.randomUUID();
    await shard.open({ isolate, sequence: 1, atMost: 256 });
    expect(await read()).toMatchObject({
      settled: false,
      balanced: null,
      deployment: { open_intervals: 1 },
      lines: [{ difference: 0, settled: false }],
    });
    const nothing = { counts: [], unregistered: 0, ageMs: 0, nextAtMost: 0 };
    await shard.deliver({ isolate, sequence: 1, ...nothing });
    expect(await read()).toMatchObject({ settled: true, balanced: true });
  });
});

describe("what others wrote to a topic", () => {
  it("is stored and told apart, and no part of the balance", async () => {
    await produce("logs.raw", { message: tenant });
    await wakeAndDrain("logs.raw", "logs");
    const [line] = (await read("?tenant=default")).lines;
    expect(line).toMatchObject({ accepted: 0, difference: 0, balanced: true });
    expect(line?.foreign).toBeGreaterThanOrEqual(1);
    expect((line?.stored ?? 0) + (line?.dead ?? 0)).toBe(line?.foreign);
  });
});

describe("who sees what", () => {
  it("a key with query alone sees its own lines, and nothing of the deployment", async () => {
    await note("logs", 5);
    const other = await storeKey(`t${crypto.randomUUID()}`, ["query"]);
    expect(await read("", other)).toMatchObject({ lines: [] });
    const own = await read("", key);
    expect(own.lines).toMatchObject([{ tenant, signal: "logs", accepted: 5 }]);
    expect(own.deployment).toBeUndefined();
    expect(await read(`?tenant=${tenant}`, key)).toEqual(own);
    const refused = await ask(`/api/v1/ledger?tenant=${tenant}`, other);
    expect(await problemOf(refused)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it("an operator sees all tenants, and where each partition stands", async () => {
    await ingest("/api/v1/logs", messages(2));
    await wakeAndDrain("logs.raw", "logs");
    await note("metrics", 1);
    const { lines, deployment } = await read("");
    expect(lines.filter((line) => line.tenant === tenant)).toMatchObject([
      { signal: "logs", accepted: 2 },
      { signal: "metrics", accepted: 1 },
    ]);
    expect(new Set(lines.map((line) => line.tenant)).size).toBeGreaterThan(1);
    expect(deployment).toMatchObject({ errors: [], waiting_messages: expect.any(Number) });
    expect(deployment?.partitions).toContainEqual(
      expect.objectContaining({ topic: "logs.raw", tenant, signal: "logs", stored: 2, epoch: 0 }),
    );
  });

  it("an unknown parameter is refused", async () => {
    const refused = await ask("/api/v1/ledger?tennant=x", key);
    expect(await problemOf(refused)).toMatchObject({ status: 400, code: "invalid_query" });
  });
});

describe("a part that is away", () => {
  it("leaves its term open, and the difference with it", async () => {
    await note("logs", 1);
    const namespace: Pick<Env["ACCEPTANCE"], "getByName"> = {
      getByName: () => {
        throw new Error("away");
      },
    };
    const away = { ...env, ACCEPTANCE: namespace as Env["ACCEPTANCE"] };
    await send("/api/v1/client-reports", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
      body: JSON.stringify({ discarded: [{ reason: "other", signal: "logs", quantity: 9 }] }),
    });
    const response = await ask(`/api/v1/ledger?tenant=${tenant}`, DEV_KEY, away);
    expect(await response.json()).toMatchObject({
      settled: false,
      balanced: null,
      lines: [{ accepted: null, difference: null, balanced: null, client_discarded: 9 }],
      deployment: { errors: ["a keeper of the edge's counts does not answer"] },
    });
  });
});
