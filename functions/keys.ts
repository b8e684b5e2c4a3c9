// Keys, for administrators of their tenant (`admin`) and of the deployment (`operator`): POST and GET
// /api/v1/admin/keys, POST …/{id}/rotate, DELETE …/{id}. A key is told once, where it is made or rotated.
import { Hono } from "hono";
import { z } from "zod";
import { KeyAdmin } from "../lib/auth/key-admin.ts";
import { formatKeyCursor, parseKeyCursor } from "../lib/auth/key-cursor.ts";
import { issuedKeyShape, keyShape, newKeyShape, rotationShape } from "../lib/auth/key-shapes.ts";
import { pageShape } from "../lib/http/page-shape.ts";
import { checkParameters, parsePage } from "../lib/query/page.ts";
import { defineRoute } from "./define-route.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { refuse, type AppContext, type AppEnv } from "./request-context.ts";

export const keys = new Hono<AppEnv>();

const PATH = "/api/v1/admin/keys";
const scope = ["admin", "operator"] as const;
const parameters = { id: z.string().describe("The key's id: what stands between the underscores of it.") };
const listQuery = pageShape.extend({
  tenant: z
    .string()
    .describe("Whose keys; one's own unless given. Another's, or `*` for all, takes the scope `operator`.")
    .optional(),
});

/** Parsed JSON takes a multiple of its text; no key needs more. */
const MAX_BODY_BYTES = 64 * 1024;

defineRoute(
  keys,
  {
    name: "createKey",
    method: "post",
    path: PATH,
    scope,
    tag: "Keys",
    summary: "Makes a key",
    description:
      "The answer is the only place where the key is told. It can do no more than the key that makes it.",
    body: { content: newKeyShape },
    answers: { 201: { description: "The key", content: issuedKeyShape } },
  },
  async (c) => {
    const input = await readShape(c, newKeyShape, MAX_BODY_BYTES);
    if (!input.ok) return refuseAll(c, input.error);
    const made = await adminOf(c).create(input.value, c.get("principal"));
    if (!made.ok) return refuse(c, made.error);
    c.get("deployment").keys.forget(made.value.id);
    return c.json(made.value, 201);
  },
);

defineRoute(
  keys,
  {
    name: "listKeys",
    method: "get",
    path: PATH,
    scope,
    tag: "Keys",
    summary: "The tenant's keys, newest first",
    description: "Without their secrets, which nobody has but whoever was told them.",
    query: listQuery,
    answers: { 200: { description: "One page", content: keyShape.array(), headers: ["Link"] } },
  },
  async (c) => {
    const url = new URL(c.req.url);
    const query = url.searchParams;
    const known = checkParameters(query, Object.keys(listQuery.shape));
    if (!known.ok) return refuse(c, known.error);
    const limitText = query.get("limit");
    const page = parsePage(new URLSearchParams(limitText === null ? {} : { limit: limitText }), 0);
    if (!page.ok) return refuse(c, page.error);
    const after = parseKeyCursor(query.get("cursor"));
    if (!after.ok) return refuse(c, after.error);
    const { limit } = page.value;
    const found = await adminOf(c).list(
      query.get("tenant") ?? undefined,
      { limit, after: after.value },
      c.get("principal"),
    );
    if (!found.ok) return refuse(c, found.error);
    const rows = found.value.slice(0, limit);
    const last = rows.at(-1);
    if (!last || found.value.length <= limit) return c.json(rows);
    url.searchParams.set("cursor", formatKeyCursor({ createdAt: last.created_at, id: last.id }));
    return c.json(rows, 200, { Link: `<${url.pathname}${url.search}>; rel="next"` });
  },
);

defineRoute(
  keys,
  {
    name: "rotateKey",
    method: "post",
    path: `${PATH}/:id/rotate`,
    scope,
    tag: "Keys",
    summary: "Gives a key a new secret",
    description:
      "The answer is the only place where it is told. The old one ends at once (everywhere within 60 s), or after the overlap.",
    parameters,
    body: { content: rotationShape, required: false },
    answers: { 200: { description: "The key, with its new secret", content: issuedKeyShape } },
    problems: [404, 409],
  },
  async (c) => {
    const input = await readShape(c, rotationShape, MAX_BODY_BYTES, {});
    if (!input.ok) return refuseAll(c, input.error);
    const id = c.req.param("id");
    const rotated = await adminOf(c).rotate(id, input.value.overlap_seconds, c.get("principal"));
    c.get("deployment").keys.forget(id);
    return rotated.ok ? c.json(rotated.value) : refuse(c, rotated.error);
  },
);

defineRoute(
  keys,
  {
    name: "revokeKey",
    method: "delete",
    path: `${PATH}/:id`,
    scope,
    tag: "Keys",
    summary: "Ends a key, for good",
    description: "In force everywhere within 60 s. Doing it again changes nothing.",
    parameters,
    answers: { 200: { description: "The key as it was ended", content: keyShape } },
    problems: [404],
  },
  async (c) => {
    const id = c.req.param("id");
    const revoked = await adminOf(c).revoke(id, c.get("principal"));
    c.get("deployment").keys.forget(id);
    return revoked.ok ? c.json(revoked.value) : refuse(c, revoked.error);
  },
);

function adminOf(c: AppContext): KeyAdmin {
  return new KeyAdmin(c.env.DB, {
    now: Date.now,
    random: (bytes) => crypto.getRandomValues(bytes),
  });
}
