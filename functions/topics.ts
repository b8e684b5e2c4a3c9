// Topics, for operators: GET /api/v1/topics (all that Kafka shows), /api/v1/admin/topics (ours, compared with the
// settings), …/{t} (one in full), POST …/init (makes the missing ones, changes none). Their messages:
// topic-messages.ts, topic-produce.ts.
import { Hono } from "hono";
import { problem } from "../lib/http/problem.ts";
import { pageShape } from "../lib/http/page-shape.ts";
import {
  surveyShape,
  topicInitShape,
  topicNameShape,
  topicShape,
  topicsShape,
} from "../lib/http/topic-shape.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { initTopics, surveyTopics } from "../lib/kafka/topic-admin.ts";
import { creationCommands, desiredTopics, planTopic } from "../lib/kafka/topic-plan.ts";
import type { KafkaTransport, TopicSpec, TransportCapabilities } from "../lib/kafka/transport.ts";
import { checkParameters, parsePage } from "../lib/query/page.ts";
import { reject } from "../lib/telemetry/result.ts";
import { defineRoute } from "./define-route.ts";
import type { Deployment } from "./deployment.ts";
import { endHints } from "./end-hints.ts";
import { refuse, type AppContext, type AppEnv } from "./request-context.ts";
import { topicMessages } from "./topic-messages.ts";
import { topicProduce } from "./topic-produce.ts";
import { openTransport } from "./transport.ts";

export const topics = new Hono<AppEnv>();
topics.route("/", topicMessages);
topics.route("/", topicProduce);

defineRoute(
  topics,
  {
    name: "listTopics",
    method: "get",
    path: "/api/v1/topics",
    scope: "operator",
    tag: "Topics",
    summary: "All topics that Kafka shows, the deployment's first",
    query: pageShape,
    answers: { 200: { description: "One page", content: topicsShape, headers: ["Link"] } },
  },
  async (c) => {
    const url = new URL(c.req.url);
    const known = checkParameters(url.searchParams, Object.keys(pageShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const limitText = url.searchParams.get("limit");
    const page = parsePage(new URLSearchParams(limitText === null ? {} : { limit: limitText }), 0);
    if (!page.ok) return refuse(c, page.error);
    const cursor = url.searchParams.get("cursor");
    const after = cursor === null ? undefined : nameOf(cursor);
    if (cursor !== null && after === undefined) {
      const message = "is not a cursor of ours; take it from the Link header as it is";
      return refuse(c, reject("invalid_query", "cursor", message).error);
    }
    return await withTransport(c, async (transport, deployment, specs) => {
      const [seen, capabilities] = await Promise.all([transport.topics(), transport.capabilities()]);
      const present = new Set(seen);
      const ours = specs.map(({ name }) => name);
      const others = seen.filter((name) => !ours.includes(name)).toSorted();
      const left = after === undefined ? [...ours, ...others] : namesAfter(after, ours, others);
      const names = left.slice(0, page.value.limit);
      const rows = await Promise.all(
        names.map(async (name) => {
          const row = { name, managed: ours.includes(name), present: present.has(name) };
          if (!row.present) return { ...row, partitions: null, offsets: null, messages: null };
          return { ...row, ...(await sizeOf(transport, deployment, capabilities, row)) };
        }),
      );
      const last = names.at(-1);
      if (last === undefined || left.length === names.length) return c.json(rows);
      url.searchParams.set("cursor", cursorOf(last));
      return c.json(rows, 200, { Link: `<${url.pathname}${url.search}>; rel="next"` });
    });
  },
);

defineRoute(
  topics,
  {
    name: "surveyTopics",
    method: "get",
    path: "/api/v1/admin/topics",
    scope: "operator",
    tag: "Topics",
    summary: "The deployment's topics, compared with the settings",
    answers: { 200: { description: "Each with what differs", content: surveyShape } },
  },
  async (c) => {
    return await withTransport(c, async (transport, _, specs) =>
      c.json(await surveyTopics(transport, specs)),
    );
  },
);

defineRoute(
  topics,
  {
    name: "getTopic",
    method: "get",
    path: "/api/v1/admin/topics/:topic",
    scope: "operator",
    tag: "Topics",
    summary: "One topic in full",
    parameters: { topic: topicNameShape },
    answers: { 200: { description: "Partitions, offsets, settings", content: topicShape } },
    problems: [404],
  },
  async (c) => {
    const name = c.req.param("topic");
    return await withTransport(c, async (transport, deployment, specs) => {
      // Where the count is configured, describing a topic does not prove that it is there.
      const [capabilities, seen] = await Promise.all([transport.capabilities(), transport.topics()]);
      if (!seen.includes(name)) {
        const mend = specs.some((spec) => spec.name === name)
          ? "make it by `weir topics init`, or POST /api/v1/admin/topics/init"
          : "GET /api/v1/topics lists those that there are";
        throw new KafkaError("unknown_topic", `the topic ${name} does not exist; ${mend}`);
      }
      const [found, hints] = await Promise.all([
        transport.describeTopic(name),
        endHints(c.env, deployment, transport, name),
      ]);
      const spec = specs.find((one) => one.name === name);
      const isCounted = capabilities.partitionCounts !== "configured";
      const partitions = await Promise.all(
        found.partitions.map(async ({ partition, replicas = null, inSyncReplicas = null }) => ({
          partition,
          replicas,
          in_sync_replicas: inSyncReplicas,
          ...(await offsetsOf(transport, name, partition, hints.get(partition))),
        })),
      );
      const plan = planTopic(
        spec ?? { name, partitions: found.partitions.length, config: {} },
        found,
        isCounted,
      );
      return c.json({
        ...plan,
        state: spec ? plan.state : "unmanaged",
        partitions,
        config: found.config ?? null,
        wanted: spec ? describeSpec(spec) : null,
      });
    });
  },
);

defineRoute(
  topics,
  {
    name: "initTopics",
    method: "post",
    path: "/api/v1/admin/topics/init",
    scope: "operator",
    tag: "Topics",
    summary: "Makes the deployment's topics that are missing",
    description: "What exists is left as it is. 501 holds the `commands` that make them where this cannot.",
    answers: {
      200: { description: "All are there", content: topicInitShape },
      207: { description: "Some could not be made", content: topicInitShape },
    },
    problems: [501],
  },
  async (c) => {
    return await withTransport(c, async (transport, _, specs) => {
      const outcome = await initTopics(transport, specs);
      if (outcome.done) {
        const isWhole = outcome.topics.every(({ result }) => result !== "failed");
        return c.json(outcome.topics, isWhole ? 200 : 207);
      }
      const { missing } = outcome;
      return problem("unsupported", {
        detail: `KAFKA_TRANSPORT=${transport.name} cannot make topics, and ${missing.length} of ${specs.length} are missing. Make them with the cluster's own tool; \`commands\` has how.`,
        requestId: c.get("requestId"),
        extra: { missing: missing.map(describeSpec), commands: creationCommands(missing) },
      });
    });
  },
);

async function withTransport(
  c: AppContext,
  use: (transport: KafkaTransport, deployment: Deployment, specs: TopicSpec[]) => Promise<Response>,
): Promise<Response> {
  const deployment = c.get("deployment");
  const transport = openTransport(c.env, deployment);
  try {
    return await use(transport, deployment, desiredTopics(deployment.naming, deployment.config));
  } finally {
    await transport.close();
  }
}

function describeSpec({ name, partitions, replicationFactor, config }: TopicSpec): object {
  return { name, partitions, replication_factor: replicationFactor ?? null, config };
}

/** Partitions, and offsets where Kafka tells them: finding them by reads would cost too much for a whole list. */
async function sizeOf(
  transport: KafkaTransport,
  deployment: Deployment,
  capabilities: TransportCapabilities,
  { name, managed }: { name: string; managed: boolean },
): Promise<object> {
  const unknown = { partitions: null, offsets: null, messages: null };
  if (!managed && capabilities.partitionCounts !== "cluster") return unknown;
  try {
    const count = await deployment.partitionCounts.of(transport, name, Date.now());
    if (capabilities.endOffsets !== "exact") return { ...unknown, partitions: count };
    const offsets = await Promise.all(
      Array.from({ length: count }, async (_, partition) => ({
        partition,
        ...(await offsetsOf(transport, name, partition)),
      })),
    );
    const counts = offsets.map(({ messages }) => messages);
    const isWhole = counts.every((messages) => messages !== null);
    const messages = isWhole ? counts.reduce((sum, one) => sum + one, 0) : null;
    return { partitions: count, offsets, messages };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { ...unknown, error: `${error.code}: ${error.message}` };
  }
}

interface Offsets {
  start: number | null;
  end: number | null;
  /** Between them: at most so many, since a compacted log has gaps. */
  messages: number | null;
  error?: string;
}

async function offsetsOf(
  transport: KafkaTransport,
  topic: string,
  partition: number,
  hint?: number,
): Promise<Offsets> {
  try {
    const end = await transport.latestOffset(topic, partition, hint);
    // A message near the end is there for sure, where there is one at all.
    const start = await transport.earliestOffset(topic, partition, Math.max(0, end - 1));
    return { start, end, messages: Math.max(0, end - start) };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { start: null, end: null, messages: null, error: `${error.code}: ${error.message}` };
  }
}

/** Topics come and go between two pages: the cursor is the last name, and the next page what comes after it. */
function namesAfter(last: string, ours: string[], others: string[]): string[] {
  const place = ours.indexOf(last);
  return place === -1 ? others.filter((name) => name > last) : [...ours.slice(place + 1), ...others];
}

/** A topic's name is ASCII (Kafka's `Topic.validate`). */
function cursorOf(name: string): string {
  return btoa(name).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function nameOf(cursor: string): string | undefined {
  try {
    return atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
}
