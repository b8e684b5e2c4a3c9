// Whose data a request is for, where a key with the scope `operator` may see that of all: `?tenant=` names one.
import { problem } from "../lib/http/problem.ts";
import { ok, type Result } from "../lib/telemetry/result.ts";
import type { AppContext } from "./request-context.ts";

/** @returns undefined: of all tenants; or the refusal */
export function askedTenant(c: AppContext): Result<string | undefined, Response> {
  const { tenant: own, scopes } = c.get("principal");
  const asked = c.req.query("tenant");
  if (scopes.has("operator")) return ok(asked);
  if (asked === undefined || asked === own) return ok(own);
  const detail = "What is another tenant's needs a key with the scope `operator`.";
  return { ok: false, error: problem("forbidden", { detail, requestId: c.get("requestId") }) };
}
