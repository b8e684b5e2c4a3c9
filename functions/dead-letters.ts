// GET /api/v1/dlq (what could not be stored, newest first) and /api/v1/dlq/{id} (one in full, with the bytes that came).
// A key sees its own tenant's, `operator` all. An id holds slashes, and is the end of its path as it is.
import { Buffer } from "node:buffer";
import { Hono } from "hono";
import {
  deadLetterIdShapes,
  deadLetterShape,
  deadLettersQueryShape,
  deadLettersShape,
} from "../lib/http/dead-letter-shape.ts";
import { problem } from "../lib/http/problem.ts";
import { checkParameters, nextNames, parseNamePage, parseTime } from "../lib/query/page.ts";
import type { StoredDeadLetter } from "../lib/storage/storage.ts";
import { nanosToMoment } from "../lib/telemetry/time.ts";
import { askedTenant } from "./asked-tenant.ts";
import { defineRoute } from "./define-route.ts";
import { refuse, type AppEnv } from "./request-context.ts";
import { queryStoreOf } from "./storage.ts";

export const deadLetters = new Hono<AppEnv>();

const PATH = "/api/v1/dlq";
const scope = ["query", "operator"] as const;

defineRoute(
  deadLetters,
  {
    name: "listDeadLetters",
    method: "get",
    path: PATH,
    scope,
    tag: "Queries",
    summary: "What could not be stored by a fault of its own, newest first",
    query: deadLettersQueryShape,
    answers: {
      200: { description: "One page, without the values", content: deadLettersShape, headers: ["Link"] },
    },
  },
  async (c) => {
    const url = new URL(c.req.url);
    const known = checkParameters(url.searchParams, Object.keys(deadLettersQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const page = parseNamePage(url.searchParams);
    if (!page.ok) return refuse(c, page.error);
    const tenant = askedTenant(c);
    if (!tenant.ok) return tenant.error;
    const { limit, after } = page.value;
    const from = parseTime(url.searchParams.get("from"), "from", Date.now());
    if (!from.ok) return refuse(c, from.error);
    const to = parseTime(url.searchParams.get("to"), "to", Date.now());
    if (!to.ok) return refuse(c, to.error);
    const found = await queryStoreOf(c.env).deadLetters({
      tenant: tenant.value,
      topic: c.req.query("topic"),
      errorType: c.req.query("error_type"),
      from: isoOf(from.value),
      to: isoOf(to.value),
      limit,
      after: after === "" ? undefined : after,
    });
    const ids = found.map(({ id }) => ({ name: id }));
    return c.json(found.map(summaryOf), 200, nextNames(url, page.value, ids));
  },
);

defineRoute(
  deadLetters,
  {
    name: "getDeadLetter",
    method: "get",
    path: `${PATH}/:group/:topic/:incarnation/:partition/:offset/:index`,
    scope,
    tag: "Queries",
    summary: "One dead letter, with the bytes that came",
    description: "What follows `/api/v1/dlq/` is its id.",
    parameters: deadLetterIdShapes,
    answers: { 200: { description: "The dead letter", content: deadLetterShape } },
    problems: [404],
  },
  async (c) => {
    const { group, topic, incarnation, partition, offset, index } = c.req.param();
    const { tenant, scopes } = c.get("principal");
    const id = [group, topic, incarnation, partition, offset, index].join("/");
    const found = isId(id)
      ? await queryStoreOf(c.env).deadLetter(id, scopes.has("operator") ? undefined : tenant)
      : undefined;
    if (!found) {
      const detail = "There is no dead letter of this id; GET /api/v1/dlq lists those that there are.";
      return problem("not_found", { detail, requestId: c.get("requestId") });
    }
    const { originalValue = null } = found;
    const readable = readableOf(originalValue);
    return c.json({
      ...summaryOf(found),
      original_value: originalValue,
      original_encoding: "base64",
      ...(readable === undefined ? {} : { original_message: readable }),
    });
  },
);

/** Numbers as they are written, so that one letter has one id. */
function isId(id: string): boolean {
  return /^[^/]+\/[^/]+(\/(0|[1-9]\d{0,14})){3}\/(-1|0|[1-9]\d{0,14})$/.test(id);
}

function summaryOf(letter: StoredDeadLetter) {
  const { id, group, tenant, topic, partition, offset, index } = letter;
  return {
    id,
    tenant,
    original_topic: topic,
    original_partition: partition,
    original_offset: offset,
    original_key: letter.originalKey,
    error: letter.error,
    error_type: letter.errorType,
    attempt: letter.attempts,
    dlq_timestamp: letter.deadAt,
    partition,
    offset,
    index,
    group,
    replays: letter.replays,
  };
}

/** As the stores compare them. @param nanos since the epoch */
const isoOf = (nanos: string | undefined) =>
  nanos === undefined ? undefined : new Date(nanosToMoment(nanos).ms).toISOString();

/** JSON as that, other UTF-8 as text. */
function readableOf(value: string | null): unknown {
  if (value === null) return undefined;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, "base64"));
  } catch {
    return undefined;
  }
  if (!/^\s*[{[]/.test(text)) return text;
  try {
    const json: unknown = JSON.parse(text);
    // What is nested too deep to be written again is left as text.
    JSON.stringify(json);
    return json;
  } catch {
    return text;
  }
}
