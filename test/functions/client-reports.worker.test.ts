// Client reports through the real worker: summed by day, signal and reason; small; never held back by a quota.
import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { DEV_KEY } from "../../lib/auth/api-key.ts";

async function report(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return await SELF.fetch("http://weir.test/api/v1/client-reports", {
    method: "POST",
    headers: { Authorization: `Bearer ${DEV_KEY}`, "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function stored(): Promise<unknown[]> {
  const { results } = await env.DB.prepare(
    "SELECT tenant, signal, reason, quantity FROM client_reports ORDER BY signal, reason",
  ).all();
  return results;
}

describe("client reports", () => {
  it("are summed; a reason that is not known is other", async () => {
    const logs = { reason: "queue_overflow", signal: "logs", quantity: 5 };
    const first = await report({
      discarded: [logs, logs, { reason: "the dog", signal: "traces", quantity: 1 }],
    });
    expect([first.status, await first.json()]).toEqual([202, { status: "recorded", discarded: 11 }]);
    await report({ discarded: [{ ...logs, quantity: 90 }] });
    expect(await stored()).toEqual([
      { tenant: "dev", signal: "logs", reason: "queue_overflow", quantity: 100 },
      { tenant: "dev", signal: "traces", reason: "other", quantity: 1 },
    ]);
  });

  it.each([
    ["nothing", "", "malformed_json", 400],
    ["no list", {}, "missing_field", 400],
    ["an empty list", { discarded: [] }, "wrong_type", 400],
    ["half a record", { discarded: [{ reason: "x", signal: "logs", quantity: 0.5 }] }, "wrong_type", 400],
    [
      "a signal that is none",
      { discarded: [{ reason: "x", signal: "smoke", quantity: 1 }] },
      "wrong_type",
      400,
    ],
    ["a field too many", { discarded: [], why: 1 }, "wrong_type", 400],
    [
      "more than 4 KiB",
      { discarded: [{ reason: "x".repeat(5_000), signal: "logs", quantity: 1 }] },
      "body_too_large",
      413,
    ],
  ])("refuses %s", async (_, body, code, status) => {
    const response = await report(body);
    const told: { code: string } = await response.json();
    expect([response.status, told.code]).toEqual([status, code]);
  });

  it("carry no quota", async () => {
    const response = await report({ discarded: [{ reason: "sampled", signal: "logs", quantity: 1 }] });
    expect(response.headers.get("ratelimit-policy")).toBeNull();
  });
});
