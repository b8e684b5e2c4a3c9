// The one way to make a route: what it takes, answers and asks of a key is said once, guards it, and stands in
// /openapi.json. A route made otherwise is in no document, and the test of the walls between tenants fails for it.
import type { Context, Handler, Hono, MiddlewareHandler } from "hono";
import type { z } from "zod";
import type { Scope } from "../lib/auth/api-key.ts";
import type { ProblemStatus } from "../lib/http/problem-shape.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { requireIngest, requireScope, type AppEnv } from "./request-context.ts";

/** A JSON form, or bytes or text that are not JSON. */
export type Content = Readonly<Record<string, z.ZodType | "binary" | "text">>;

export type AnswerHeader = "Link" | "Retry-After" | "RateLimit" | "RateLimit-Policy" | "Allow";

export interface Answer {
  description: string;
  /** By content type; a shape alone is application/json; absent: no body. */
  content?: z.ZodType | Content;
  headers?: readonly AnswerHeader[];
}

export interface Body {
  /** By content type; a shape alone is application/json. */
  content: z.ZodType | Content;
  description?: string;
  /** True unless said otherwise. */
  required?: boolean;
}

export interface RouteDefinition<Path extends string = string> {
  /** Unique: the name that generated clients give the call. */
  name: string;
  method: "get" | "post" | "put" | "patch" | "delete";
  /** As Hono takes it, parameters as `:topic`. */
  path: Path;
  /** What the key must have; of several one is enough. `none`: public, for everybody. */
  scope: Scope | readonly [Scope, ...Scope[]] | "none";
  /** With the scope `ingest`: the signal that the key must be good for, too. */
  signal?: Signal;
  tag: RouteTag;
  summary: string;
  description?: string;
  /** One shape for each parameter of the path. */
  parameters?: Readonly<Record<string, z.ZodType>>;
  /** An object of records stands for parameters of any name, as `label.host`. */
  query?: z.ZodObject;
  headers?: z.ZodObject;
  body?: Body;
  answers: Readonly<Record<number, Answer>>;
  /** Refusals beyond those that follow from scope, parameters and body (openapi.ts). */
  problems?: readonly ProblemStatus[];
  /** The form of refusals, where a protocol has one of its own; problem details else. */
  refusals?: Content;
}

/** In the order of the documentation. */
export const ROUTE_TAGS = {
  Intake: "Sending telemetry: Weir's own JSON forms, OTLP, Prometheus remote write.",
  Queries: "What was stored. A key sees its own tenant.",
  Alerts: "Rules over what comes in, what fires, silences, and who is told.",
  Topics: "The topics behind it all and their messages; for operators.",
  Keys: "API keys of a tenant; for its administrators.",
  Operations: "Health, lag, counters, this document.",
} as const;
export type RouteTag = keyof typeof ROUTE_TAGS;

type AnyHandler = (c: Context<AppEnv>, next: () => Promise<void>) => unknown;

const definitions = new WeakMap<object, RouteDefinition>();

/** Guards the route as its scope says, and writes it down. */
export function defineRoute<const Path extends string>(
  app: Hono<AppEnv>,
  definition: RouteDefinition<Path>,
  handler: Handler<AppEnv, Path>,
): void {
  // Functions of this route alone: what a handler belongs to is known by the function.
  const run = ((c, next) => (handler as unknown as AnyHandler)(c, next)) as MiddlewareHandler<AppEnv>;
  definitions.set(run, definition);
  const method = definition.method.toUpperCase();
  const guard = guardOf(definition);
  if (!guard) {
    app.on(method, definition.path, run);
    return;
  }
  definitions.set(guard, definition);
  app.on(method, definition.path, guard, run);
}

/** The definition behind an entry of Hono's `app.routes`; undefined for what was not made by {@link defineRoute}. */
export function definitionOf(handler: object): RouteDefinition | undefined {
  return definitions.get(handler);
}

/** The scopes of which a key must have one; none for a public route. */
export function scopesOf({ scope }: RouteDefinition): readonly Scope[] {
  if (scope === "none") return [];
  return typeof scope === "string" ? [scope] : scope;
}

function guardOf(definition: RouteDefinition): MiddlewareHandler<AppEnv> | undefined {
  if (definition.scope === "none") return undefined;
  if (definition.scope === "ingest") return requireIngest(definition.signal);
  return requireScope(...scopesOf(definition));
}
