// Browsers at the intake (Fetch Standard, "CORS protocol"). A preflight carries no key, so any origin is told yes; the
// key decides at the POST, and only an origin that it names may read the answer. Nothing else is opened to browsers.
import type { MiddlewareHandler } from "hono";
import { mayComeFrom, type Principal } from "../lib/auth/api-key.ts";
import type { AppEnv } from "./request-context.ts";

/** Where a key with the scope `ingest` writes, all by POST. */
const INTAKE_PATHS: ReadonlySet<string> = new Set([
  "/api/v1/logs",
  "/api/v1/metrics",
  "/metrics",
  "/api/v1/events",
  "/kafka/publish",
  "/v1/logs",
  "/v1/metrics",
  "/v1/traces",
  "/api/v1/write",
  "/api/v1/client-reports",
]);

const ALLOWED_HEADERS =
  "Content-Type, Content-Encoding, Authorization, X-API-Key, Idempotency-Key, X-Sent-At, traceparent, tracestate";
const EXPOSED_HEADERS = "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Weir-Reason, traceparent";
/** Two hours: Chromium keeps a preflight no longer. */
const MAX_AGE_S = 7_200;

/** Behind `prepare`, before every route. */
export const cors: MiddlewareHandler<AppEnv> = async (c, next) => {
  const origin = c.req.header("origin");
  if (origin === undefined || !INTAKE_PATHS.has(c.req.path)) return await next();
  if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") === "POST") {
    return c.body(null, 204, {
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Allow-Methods": "POST",
      "Access-Control-Allow-Headers": ALLOWED_HEADERS,
      "Access-Control-Max-Age": String(MAX_AGE_S),
      Vary: "Origin",
    });
  }
  await next();
  if (c.req.method !== "POST") return undefined;
  c.res.headers.append("Vary", "Origin");
  // Where no key was recognised (401, or the store of keys is away) the answer tells nothing of anybody, and a page
  // that cannot read it would take it for a broken network and try for ever.
  const principal: Principal | undefined = c.get("principal");
  if (principal && !(principal.origins && mayComeFrom(principal, origin))) return undefined;
  c.res.headers.set("Access-Control-Allow-Origin", origin);
  c.res.headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  return undefined;
};
