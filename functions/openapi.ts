// GET /openapi.json: OpenAPI 3.1, made of the route table, so that it tells of each route that answers and of no other.
// Made when first asked for, kept as text for the isolate's life. The page that shows it is dashboard/docs.
import { Hono } from "hono";
import { z } from "zod";
import { PROBLEM_STATUSES, problemShape, type ProblemStatus } from "../lib/http/problem-shape.ts";
import {
  definitionOf,
  defineRoute,
  ROUTE_TAGS,
  scopesOf,
  type Answer,
  type AnswerHeader,
  type Content,
  type RouteDefinition,
} from "./define-route.ts";
import type { AppEnv } from "./request-context.ts";

type Json = Record<string, unknown>;
type Routes = readonly { handler: object }[];

/** @param routes Hono's `app.routes`, asked for at the first request: then all are there */
export function createOpenApi(routes: () => Routes): Hono<AppEnv> {
  const openApi = new Hono<AppEnv>();
  let text: string | undefined;
  defineRoute(
    openApi,
    {
      name: "getOpenApi",
      method: "get",
      path: "/openapi.json",
      scope: "none",
      tag: "Operations",
      summary: "This document",
      answers: { 200: { description: "OpenAPI 3.1", content: z.looseObject({ openapi: z.string() }) } },
    },
    (c) => {
      text ??= JSON.stringify(describeRoutes(routes()));
      return c.body(text, 200, { "Content-Type": "application/json" });
    },
  );
  return openApi;
}

const DESCRIPTION = `Telemetry in, over HTTP, onto Kafka; and what became of it.

Errors are problem details (RFC 9457) with a \`code\`, a \`request_id\` and, where records are concerned, \`errors\` by
place. A path that is there under another method answers 405 with \`Allow\`. Lists are plain arrays; the next page
stands in \`Link: <…>; rel="next"\`, and a parameter that a list does not know is refused. Every answer carries
\`X-Request-Id\`. A key sees and spends its own tenant's only.`;

const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "`Authorization: Bearer weir_<id>_<secret>`" },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
  basic: { type: "http", scheme: "basic", description: "The key as the password; any user name." },
};

const HEADERS: Record<AnswerHeader | "X-Request-Id", Json> = {
  "X-Request-Id": { description: "Names the request in the log.", schema: { type: "string" } },
  Link: { description: 'The next page, as `</api/…>; rel="next"`.', schema: { type: "string" } },
  "Retry-After": {
    description: "Seconds after which to send it again.",
    schema: { type: "integer", minimum: 0 },
  },
  RateLimit: { description: "What is left of the quota.", schema: { type: "string" } },
  "RateLimit-Policy": { description: "The quota.", schema: { type: "string" } },
  Allow: { description: "The methods that are allowed here.", schema: { type: "string" } },
};

const PROBLEM_HEADERS: Partial<Record<ProblemStatus, readonly AnswerHeader[]>> = {
  405: ["Allow"],
  429: ["Retry-After", "RateLimit", "RateLimit-Policy"],
  503: ["Retry-After"],
};

function describeRoutes(routes: Routes): Json {
  const schemas = new Schemas();
  const problems = new Set<ProblemStatus>();
  const paths: Record<string, Json> = {};
  // A guarded route stands in Hono's table twice, with its guard and with its handler.
  for (const definition of new Set(routes.map(({ handler }) => definitionOf(handler)))) {
    if (!definition) continue;
    const path = definition.path.replaceAll(/:([A-Za-z_]+)/g, "{$1}");
    for (const status of problemsOf(definition)) problems.add(status);
    paths[path] = { ...paths[path], [definition.method]: operationOf(definition, schemas) };
  }
  const problem = schemas.of(problemShape);
  return {
    openapi: "3.1.0",
    info: { title: "Weir", version: "1", description: DESCRIPTION },
    tags: Object.entries(ROUTE_TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: SECURITY_SCHEMES,
      headers: HEADERS,
      responses: Object.fromEntries(
        [...problems].map((status) => [
          `Problem${status}`,
          {
            description: PROBLEM_STATUSES[status],
            headers: headerRefs(PROBLEM_HEADERS[status] ?? []),
            content: { "application/problem+json": { schema: problem } },
          },
        ]),
      ),
      schemas: schemas.all,
    },
  };
}

function operationOf(definition: RouteDefinition, schemas: Schemas): Json {
  const { name, tag, summary, description, body, answers, refusals } = definition;
  const scopes = scopesOf(definition);
  const needs = scopes.map((scope) => `\`${scope}\``).join(" or ");
  const asks = needs === "" ? "Public." : `Needs a key with the scope ${needs}.`;
  const parameters = [
    ...Object.entries(definition.parameters ?? {}).map(([name, shape]) =>
      parameterOf(name, "path", shape, schemas),
    ),
    ...parametersOf(definition.query, "query", schemas),
    ...parametersOf(definition.headers, "header", schemas),
  ];
  return {
    operationId: name,
    tags: [tag],
    summary,
    description: description === undefined ? asks : `${description}\n\n${asks}`,
    // Roles of a scheme that is not OAuth's may be named since 3.1 ("Security Requirement Object").
    security: scopes.flatMap((scope) =>
      Object.keys(SECURITY_SCHEMES).map((scheme) => ({ [scheme]: [scope] })),
    ),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: body.required ?? true,
            ...(body.description === undefined ? {} : { description: body.description }),
            content: contentOf(body.content, schemas),
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, responseOf(answer, schemas)]),
      ),
      ...Object.fromEntries(
        problemsOf(definition)
          .filter((status) => !(status in answers))
          .map((status) => [
            status,
            refusals
              ? responseOf(
                  {
                    description: PROBLEM_STATUSES[status],
                    content: refusals,
                    headers: PROBLEM_HEADERS[status] ?? [],
                  },
                  schemas,
                )
              : { $ref: `#/components/responses/Problem${status}` },
          ]),
      ),
    },
  };
}

/** Those that follow from what the route takes and asks, and its own. */
function problemsOf({ scope, parameters, query, headers, body, problems = [] }: RouteDefinition) {
  const all = new Set<ProblemStatus>([503, ...problems]);
  if (parameters ?? query ?? headers ?? body) all.add(400);
  if (scope !== "none") all.add(401).add(403);
  if (body) all.add(413).add(415);
  if (scope === "ingest") all.add(429);
  return [...all].toSorted((a, b) => a - b);
}

function responseOf({ description, content, headers = [] }: Answer, schemas: Schemas): Json {
  return {
    description,
    headers: headerRefs(headers),
    ...(content ? { content: contentOf(content, schemas) } : {}),
  };
}

function headerRefs(names: readonly AnswerHeader[]): Json {
  const all = ["X-Request-Id", ...names];
  return Object.fromEntries(all.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function contentOf(content: z.ZodType | Content, schemas: Schemas): Json {
  const byType: Content = isShape(content) ? { "application/json": content } : content;
  return Object.fromEntries(
    Object.entries(byType).map(([type, shape]) => {
      // In 3.1 a body of bytes has no schema ("Considerations for File Uploads").
      if (shape === "binary") return [type, {}];
      return [type, { schema: shape === "text" ? { type: "string" } : schemas.of(shape) }];
    }),
  );
}

function isShape(content: z.ZodType | Content): content is z.ZodType {
  return "_zod" in content;
}

function parametersOf(shape: z.ZodObject | undefined, where: "query" | "header", schemas: Schemas): Json[] {
  return Object.entries(shape?.shape ?? {}).map(([name, one]) =>
    parameterOf(name, where, one as z.ZodType, schemas),
  );
}

function parameterOf(
  name: string,
  where: "path" | "query" | "header",
  shape: z.ZodType,
  schemas: Schemas,
): Json {
  const { description, ...schema } = schemas.of(shape);
  return {
    name,
    in: where,
    required: where === "path" || !shape.safeParse(undefined).success,
    ...(description === undefined ? {} : { description }),
    schema,
    // Its members are parameters of their own: `label.host=web-1`.
    ...(schema["type"] === "object" ? { style: "form", explode: true } : {}),
  };
}

/** JSON Schema 2020-12 of zod shapes; one with an `id` in its `.meta()` stands once, under components. */
class Schemas {
  readonly all: Record<string, Json> = {};
  readonly #known = new Map<z.ZodType, Json>();

  of(shape: z.ZodType): Json {
    const known = this.#known.get(shape);
    if (known) return known;
    // `input`: what may be left out is optional; answers are open, since fields may be added to them.
    const {
      $schema: _,
      $defs = {},
      ...schema
    } = z.toJSONSchema(shape, { io: "input", unrepresentable: "any" });
    for (const [id, one] of Object.entries($defs)) this.all[id] ??= mended(one) as Json;
    const made = mended(schema) as Json;
    this.#known.set(shape, made);
    return made;
  }
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** Points at components, and leaves out what is JavaScript's bound and not the field's, or says a format once more. */
function mended(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(mended);
  if (typeof node !== "object" || node === null) return node;
  const isTime = "format" in node && node.format === "date-time";
  return Object.fromEntries(
    Object.entries(node)
      .filter(
        ([key, value]) =>
          !(key === "maximum" && value === MAX_SAFE) &&
          !(key === "minimum" && value === -MAX_SAFE) &&
          !(key === "pattern" && isTime),
      )
      .map(([key, value]) => [
        key,
        key === "$ref" && typeof value === "string"
          ? value.replace("#/$defs/", "#/components/schemas/")
          : mended(value),
      ]),
  );
}
