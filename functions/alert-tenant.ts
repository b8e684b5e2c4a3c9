// Whose alerts a request is about: one's own, or with the scope `operator` another's or the deployment's.
import { DEPLOYMENT } from "../lib/alerts/rule.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import type { AppContext } from "./request-context.ts";

/** Under which heading the routes of alerts stand in the documentation. */
export const ALERTS_TAG = "Alerts" as const;

/** What reads, and what writes. */
export const READ = ["query", "operator"] as const;
export const WRITE = ["admin", "operator"] as const;

/** No rule, silence or notifier needs more. */
export const MAX_BODY_BYTES = 64 * 1024;

/** @param named in the query or the body; undefined: one's own */
export function alertTenant(c: AppContext, named: string | undefined): Result<string> {
  const { tenant, scopes } = c.get("principal");
  if (named === undefined || named === tenant) return ok(tenant);
  if (!scopes.has("operator"))
    return reject("forbidden", "tenant", "may be another than your own with the scope `operator` only");
  if (named === DEPLOYMENT || /^[a-zA-Z0-9_-]{1,64}$/.test(named)) return ok(named);
  return reject("invalid_query", "tenant", `must be a tenant's name, or ${DEPLOYMENT}`);
}

/** 16 hexadecimal digits. */
export function newAlertId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16);
}
