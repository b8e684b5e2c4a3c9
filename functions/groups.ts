// Consumer groups, for operators: GET /api/v1/admin/groups, …/{group}, and POST …/{group}/pause, resume, reset, replay,
// cancel.
import { Hono } from "hono";
import {
  groupNameShape,
  groupShape,
  replayShape,
  resetDoneShape,
  resetShape,
  resumedShape,
  resumeShape,
} from "../lib/http/group-shape.ts";
import { problem } from "../lib/http/problem.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { logger } from "../lib/observability/logger.ts";
import { readerOf } from "../lib/storage/groups.ts";
import type { GroupDefinition } from "../lib/stream/groups-setting.ts";
import type { ResetTo } from "../lib/stream/groups-reset.ts";
import { haltOwners, ownedPartitions, ownerOf, wakeGroup, type OwnedPartition } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import { describeGroups, topicTexts } from "./group-describe.ts";
import { resetGroup, type ResetOutcome } from "./group-reset.ts";
import { groupStoreOf } from "./storage.ts";
import { kafkaProblem } from "./kafka-problem.ts";
import type { AppContext, AppEnv } from "./request-context.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { storedGroups, subscriptionsOf } from "./subscriptions.ts";

export const groups = new Hono<AppEnv>();

const PATH = "/api/v1/admin/groups";
const MAX_BODY_BYTES = 65_536;
const common = {
  scope: "operator",
  tag: "Operations",
  parameters: { group: groupNameShape },
} as const;

defineRoute(
  groups,
  {
    name: "listGroups",
    method: "get",
    path: PATH,
    scope: "operator",
    tag: "Operations",
    summary: "Who reads what, and how far",
    answers: { 200: { description: "All groups of the deployment", content: groupShape.array() } },
  },
  async (c) => c.json(await describeGroups(c.env, c.get("deployment"), () => true)),
);

defineRoute(
  groups,
  {
    ...common,
    name: "getGroup",
    method: "get",
    path: `${PATH}/:group`,
    summary: "One group: its partitions, and what is being built",
    answers: { 200: { description: "The group", content: groupShape } },
    problems: [404],
  },
  async (c) => await answerGroup(c, c.req.param("group")),
);

defineRoute(
  groups,
  {
    ...common,
    name: "pauseGroup",
    method: "post",
    path: `${PATH}/:group/pause`,
    summary: "Stops a group's reading until it is resumed",
    description:
      "What was begun is finished. The log keeps what comes, for as long as it keeps anything; the claims of all groups wait for this one.",
    answers: { 200: { description: "The group", content: groupShape } },
    problems: [404],
  },
  async (c) => {
    const group = groupOf(c, c.req.param("group"));
    if (!group) return unknownGroup(c);
    await groupStoreOf(c.env).setPaused(group, true);
    await subscriptionsOf(c.env, 0);
    await haltOwners(c.env, await partitionsOf(c, group.name));
    return await answerGroup(c, group.name);
  },
);

defineRoute(
  groups,
  {
    ...common,
    name: "resumeGroup",
    method: "post",
    path: `${PATH}/:group/resume`,
    summary: "Lets a paused group go on, or a stopped partition",
    description:
      "A partition that stopped since its topic was made anew is read from its start: its records are stored beside " +
      "those of the one before. What was read before and is in the log again will be stored again where it has no " +
      "identity of its own. An epoch that is being built is given up; one that is handed over takes its place, without " +
      "what it had not read yet of the log before.",
    body: { content: resumeShape, required: false },
    answers: {
      200: {
        description: "The group; or the partition, which goes on",
        content: groupShape.or(resumedShape),
      },
    },
    problems: [404],
  },
  async (c) => {
    const body = await readShape(c, resumeShape, MAX_BODY_BYTES, {});
    if (!body.ok) return refuseAll(c, body.error);
    const group = groupOf(c, c.req.param("group"));
    if (!group) return unknownGroup(c);
    const { topic, partition } = body.value;
    if (topic !== undefined && partition !== undefined)
      return await resumePartition(c, group, topic, partition);
    await groupStoreOf(c.env).setPaused(group, false);
    await subscriptionsOf(c.env, 0);
    await haltOwners(c.env, await partitionsOf(c, group.name));
    await wakeGroup(c.env, group.name);
    return await answerGroup(c, group.name);
  },
);

defineRoute(
  groups,
  {
    ...common,
    name: "resetGroup",
    method: "post",
    path: `${PATH}/:group/reset`,
    summary: "Has a group read anew from a place, or from the end",
    description:
      "`latest` passes over what was not read yet; the ledger tells so. Everything else opens a new epoch. That of the storage group " +
      "is built beside the present one, which goes on, and takes its place once it has caught up: no record is lost or " +
      "stored twice meanwhile. It is built from a midnight (UTC) on, the first from which the log holds everything.",
    body: { content: resetShape },
    answers: { 200: { description: "What was begun", content: resetDoneShape } },
    problems: [404, 409, 503],
  },
  async (c) => {
    const body = await readShape(c, resetShape, MAX_BODY_BYTES);
    return body.ok ? await reset(c, c.req.param("group"), body.value.to) : refuseAll(c, body.error);
  },
);

defineRoute(
  groups,
  {
    ...common,
    name: "replayGroup",
    method: "post",
    path: `${PATH}/:group/replay`,
    summary: "Has a group read again what it has read, from a time or offsets",
    description: "As a reset, which it is; only that nothing can be skipped by it.",
    body: { content: replayShape },
    answers: { 200: { description: "What was begun", content: resetDoneShape } },
    problems: [404, 409, 503],
  },
  async (c) => {
    const body = await readShape(c, replayShape, MAX_BODY_BYTES);
    return body.ok ? await reset(c, c.req.param("group"), body.value.to) : refuseAll(c, body.error);
  },
);

defineRoute(
  groups,
  {
    ...common,
    name: "cancelGroupReset",
    method: "post",
    path: `${PATH}/:group/cancel`,
    summary: "Gives up an epoch that is being built",
    description:
      "Until it has taken its place. The present reader goes on; what was built is not seen, and goes with retention.",
    answers: { 200: { description: "The group", content: groupShape } },
    problems: [404, 409],
  },
  async (c) => {
    const group = groupOf(c, c.req.param("group"));
    if (!group) return unknownGroup(c);
    if (!(await abandon(c, group.name)))
      return refusal(c, `${group.name} builds nothing that could be given up.`, "group_busy");
    return await answerGroup(c, group.name);
  },
);

const groupOf = (c: AppContext, asked: string): GroupDefinition | undefined =>
  c.get("deployment").groups.find(({ name }) => name === asked);

const refusal = (c: AppContext, detail: string, code: "not_found" | "group_busy" = "not_found"): Response =>
  problem(code, { detail, requestId: c.get("requestId") });

const unknownGroup = (c: AppContext): Response => {
  const names = c.get("deployment").groups.map(({ name }) => name);
  return refusal(c, `There is no such group; there are ${names.join(", ")}.`);
};

async function partitionsOf(c: AppContext, name: string): Promise<OwnedPartition[]> {
  return (await ownedPartitions(c.env, c.get("deployment"))).filter((one) => one.name === name);
}

async function answerGroup(c: AppContext, asked: string): Promise<Response> {
  const [group] = await describeGroups(c.env, c.get("deployment"), (name) => name === asked);
  return group ? c.json(group) : unknownGroup(c);
}

/** @returns whether an epoch was being built, and is no more */
async function abandon(c: AppContext, name: string): Promise<boolean> {
  const rows = await storedGroups(c.env, c.get("deployment"));
  const building = rows.find((one) => one.name === name)?.building;
  if (!building || !(await groupStoreOf(c.env).abandon(name, building.epoch))) return false;
  logger.warn("group_build_abandoned", { group: name, epoch: building.epoch });
  // By what was known before: its owners find that nobody asks for them.
  await haltOwners(c.env, await partitionsOf(c, name));
  await wakeGroup(c.env, name);
  await subscriptionsOf(c.env, 0);
  // The old reader may have been stopped for it.
  await wakeGroup(c.env, name);
  return true;
}

async function reset(c: AppContext, asked: string, to: ResetBody): Promise<Response> {
  const group = groupOf(c, asked);
  if (!group) return unknownGroup(c);
  let done: ResetOutcome;
  try {
    done = await resetGroup(c.env, c.get("deployment"), group, placeOf(to));
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return kafkaProblem(error, c.get("requestId"), { isOperator: true });
  }
  if (done.outcome === "refused") return refusal(c, `${asked} was not reset: ${done.reason}.`, "group_busy");
  const { outcome, epoch } = done;
  logger.warn("group_reset", { group: asked, outcome, epoch });
  return c.json({
    group: asked,
    outcome,
    epoch,
    topics: done.outcome === "building" ? topicTexts(done.topics) : [],
    skipped_messages: done.outcome === "skipped" ? done.messages : 0,
  });
}

type ResetBody = string | { topic: string; partition: number; offset: number }[];

function placeOf(to: ResetBody): ResetTo | "latest" {
  if (typeof to !== "string") return { offsets: to };
  return to === "latest" || to === "earliest" ? to : { timeMs: Date.parse(to) };
}

async function resumePartition(
  c: AppContext,
  group: GroupDefinition,
  topic: string,
  partition: number,
): Promise<Response> {
  const place = `${group.name}/${topic}/${partition}`;
  const owned = (await partitionsOf(c, group.name)).find(
    (one) => one.topic === topic && one.partition === partition,
  );
  if (!owned) return refusal(c, `No group reads ${place}.`);
  const answer = await ownerOf(c.env, owned).resume(owned);
  switch (answer.outcome) {
    case "resumed": {
      // What a new epoch was built from is another log now. Where it was resumed itself, it is at its end with the other.
      const row = (await storedGroups(c.env, c.get("deployment"))).find(({ name }) => name === group.name);
      if (owned.group === readerOf(group.name, row?.epoch ?? 0)) await abandon(c, group.name);
      const { incarnation, nextOffset } = answer;
      return c.json({ group: group.name, topic, partition, incarnation, next_offset: nextOffset });
    }
    case "not_stopped":
    case "never_read":
      return refusal(c, `${place} has not stopped; there is nothing to resume.`);
    case "fenced":
      return refusal(c, `${place} goes on already: its position has moved.`);
    case "failed":
      return problem("storage_unavailable", {
        detail: `${place} could not be resumed: ${answer.message}`,
        requestId: c.get("requestId"),
        headers: { "Retry-After": "2" },
      });
  }
}
