// Consumer groups: POST /api/v1/admin/groups/{group}/resume, by which a partition that stopped, since its topic is
// another one than it read, goes on from the start of it.
import { Hono } from "hono";
import { groupNameShape, resumedShape, resumeShape } from "../lib/http/group-shape.ts";
import { problem } from "../lib/http/problem.ts";
import { ownedPartitions, ownerOf } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import type { AppEnv } from "./request-context.ts";
import { readShape, refuseAll } from "./shape-body.ts";

export const groups = new Hono<AppEnv>();

const MAX_BODY_BYTES = 4_096;

defineRoute(
  groups,
  {
    name: "resumeGroup",
    method: "post",
    path: "/api/v1/admin/groups/:group/resume",
    scope: "operator",
    tag: "Operations",
    summary: "Goes on reading a stopped partition from its start",
    description:
      "For a topic that was made anew: its records are stored beside those of the one before. What was read before " +
      "and is in the log again will be stored again where it has no identity of its own.",
    parameters: { group: groupNameShape },
    body: { content: resumeShape },
    answers: { 200: { description: "It goes on", content: resumedShape } },
    problems: [404],
  },
  async (c) => {
    const group = c.req.param("group");
    const requestId = c.get("requestId");
    const body = await readShape(c, resumeShape, MAX_BODY_BYTES);
    if (!body.ok) return refuseAll(c, body.error);
    const { topic, partition } = body.value;
    const place = `${group}/${topic}/${partition}`;
    const owned = (await ownedPartitions(c.env, c.get("deployment"))).find(
      (one) => one.group === group && one.topic === topic && one.partition === partition,
    );
    if (!owned) return problem("not_found", { detail: `No group reads ${place}.`, requestId });
    const answer = await ownerOf(c.env, owned).resume(owned);
    switch (answer.outcome) {
      case "resumed": {
        const { incarnation, nextOffset } = answer;
        return c.json({ group, topic, partition, incarnation, next_offset: nextOffset });
      }
      case "not_stopped":
      case "never_read":
        return problem("not_found", {
          detail: `${place} has not stopped; there is nothing to resume.`,
          requestId,
        });
      case "fenced":
        return problem("not_found", {
          detail: `${place} goes on already: its position has moved.`,
          requestId,
        });
      case "failed":
        return problem("storage_unavailable", {
          detail: `${place} could not be resumed: ${answer.message}`,
          requestId,
          headers: { "Retry-After": "2" },
        });
    }
  },
);
