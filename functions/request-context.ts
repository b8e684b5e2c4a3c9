// What every route shares: request id, the settings, who is asking, and how a refusal is answered.
import type { Context, MiddlewareHandler } from "hono";
import { authenticate, credentialOf, mayComeFrom, type Principal, type Scope } from "../lib/auth/api-key.ts";
import { createD1KeyStore } from "../lib/auth/d1-key-store.ts";
import { KeyStoreError } from "../lib/auth/key-database.ts";
import { ConfigError } from "../lib/config/config.ts";
import { problem, rejectionProblem } from "../lib/http/problem.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { logger } from "../lib/observability/logger.ts";
import { StorageError } from "../lib/storage/storage.ts";
import { reasons } from "../lib/telemetry/reasons.ts";
import { reject, type Rejection } from "../lib/telemetry/result.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import { kafkaProblem, reasonOf } from "./kafka-problem.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: { requestId: string; deployment: Deployment; principal: Principal };
}

export type AppContext = Context<AppEnv>;

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** A client's own request id is kept where it is harmless in a header and a log. */
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** First of all: a request id, a path without control characters, settings that can be used. */
export const prepare: MiddlewareHandler<AppEnv> = async (c, next) => {
  const given = c.req.header("x-request-id");
  c.set("requestId", given !== undefined && REQUEST_ID.test(given) ? given : crypto.randomUUID());
  if (CONTROL.test(decodedPath(c.req.url))) {
    const { error } = reject("malformed_path", "", "must not hold control characters");
    return refuse(c, error, {}, "The path");
  }
  try {
    c.set("deployment", deploymentOf(c.env));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    logger.error("misconfigured", { message: error.message });
    return problem("misconfigured", {
      detail: "A setting of this deployment is wrong; the log names it.",
      requestId: c.get("requestId"),
      headers: { "Retry-After": "60" },
    });
  }
  await next();
  c.res.headers.set("X-Request-Id", c.get("requestId"));
  c.res.headers.set("Cache-Control", "no-store");
  return undefined;
};

/** Lets through who has one of the scopes; the principal is then in the context. */
export function requireScope(...anyOf: Scope[]): MiddlewareHandler<AppEnv> {
  const named = anyOf.map((scope) => `\`${scope}\``).join(" or ");
  return guard(({ scopes }) =>
    anyOf.some((scope) => scopes.has(scope)) ? undefined : `This needs a key with the scope ${named}.`,
  );
}

/** Lets through who may ingest the signal; without one, who may ingest anything. */
export function requireIngest(signal?: Signal): MiddlewareHandler<AppEnv> {
  return guard(({ scopes, signals }) => {
    if (!scopes.has("ingest")) return "This needs a key with the scope `ingest`.";
    const isRight = signal === undefined || signals === undefined || signals.has(signal);
    return isRight ? undefined : `This needs a key that may ingest ${signal}; this one may not.`;
  });
}

/** @param fault why the principal may not, undefined when he may */
function guard(fault: (principal: Principal) => string | undefined): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const requestId = c.get("requestId");
    const { config, keys } = c.get("deployment");
    const credential = credentialOf(c.req.raw.headers);
    const principal =
      credential === undefined
        ? undefined
        : await authenticate(credential, keys.over(createD1KeyStore(c.env.DB), Date.now), {
            nowMs: Date.now(),
            isDevelopment: config.ENVIRONMENT === "development",
          });
    if (!principal || isForeignPage(c)) {
      const detail =
        credential === undefined
          ? "Send a key as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the password of Basic."
          : "The key is not valid: it is unknown, expired or revoked.";
      // Basic is named too: some senders give their password only when asked for it.
      const headers = { "WWW-Authenticate": 'Bearer realm="weir", Basic realm="weir", charset="UTF-8"' };
      return problem("unauthorized", { detail, requestId, headers });
    }
    // Before the verdict: what answers the browser (cors.ts) goes by the key, also where it is refused.
    c.set("principal", principal);
    const detail = mayComeFrom(principal, c.req.header("origin"))
      ? fault(principal)
      : "This key is good from the web origins that it names only, and the request's `Origin` is none of them.";
    if (detail !== undefined) return problem("forbidden", { detail, requestId });
    await next();
    return undefined;
  };
}

/** A browser adds what was typed into its Basic dialogue to requests that any other page makes; keys in headers it does not. */
function isForeignPage(c: AppContext): boolean {
  const site = c.req.header("sec-fetch-site");
  return (
    (site === "cross-site" || site === "same-site") && /^basic\s/i.test(c.req.header("authorization") ?? "")
  );
}

/** A refusal of the request as a whole; `subject` is what the rejection's message speaks of where it has no path. */
export function refuse(
  c: AppContext,
  rejection: Rejection,
  headers: Record<string, string> = {},
  subject?: string,
): Response {
  return rejectionProblem(rejection, c.get("requestId"), headers, subject);
}

/** What was thrown: Kafka's by its code, a store that does not answer is 503, anything else is a fault of ours. */
export function answerError(error: Error, c: AppContext): Response {
  const requestId = c.get("requestId");
  if (error instanceof KafkaError) {
    // Asking for a topic that is not there is no fault of the deployment's.
    if (reasons[reasonOf(error)].status >= 500)
      logger.error("kafka_failed", { request_id: requestId, code: error.code, message: error.message });
    const principal: Principal | undefined = c.get("principal");
    return kafkaProblem(error, requestId, { isOperator: principal?.scopes.has("operator") ?? false });
  }
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  logger.error("request_failed", { request_id: requestId, name: error.name, message: error.message, cause });
  if (error instanceof StorageError || error instanceof KeyStoreError) {
    const headers = { "Retry-After": "2" };
    return problem("storage_unavailable", {
      detail: "The storage did not answer. Try again.",
      requestId,
      headers,
    });
  }
  return problem("internal", {
    detail: "This is a fault of ours; the log holds it by the request id.",
    requestId,
  });
}

function decodedPath(url: string): string {
  const { pathname } = new URL(url);
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
