// Reading a topic: GET /api/v1/topics/{t}/messages, for operators. A page is bounded in messages and bytes; a partition
// that cannot be read is told as `{partition, error}` among the others' messages.
import { Hono } from "hono";
import { messagesQueryShape, messagesShape, topicNameShape } from "../lib/http/topic-shape.ts";
import { formatMessageCursor, parseMessageCursor } from "../lib/kafka/message-cursor.ts";
import { renderMessage } from "../lib/kafka/message-json.ts";
import { readMessagePage, type PageOptions } from "../lib/kafka/message-page.ts";
import { checkParameters, parsePage } from "../lib/query/page.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import { defineRoute } from "./define-route.ts";
import { endHints } from "./end-hints.ts";
import { refuse, type AppEnv } from "./request-context.ts";
import { unknownPartition } from "./topic-produce.ts";
import { openTransport } from "./transport.ts";

export const topicMessages = new Hono<AppEnv>();

/** Rows of one answer, together; a single message may be longer. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** Partitions read for one answer, each with requests of its own; more must be named one by one. */
const MAX_PARTITIONS = 64;

defineRoute(
  topicMessages,
  {
    name: "listMessages",
    method: "get",
    path: "/api/v1/topics/:topic/messages",
    scope: "operator",
    tag: "Topics",
    summary: "Messages of a topic",
    description: `Newest first, or with \`from\` oldest first. At most 4 MiB at once; a topic of more than ${MAX_PARTITIONS} partitions takes \`partition\`.`,
    parameters: { topic: topicNameShape },
    query: messagesQueryShape,
    answers: { 200: { description: "One page", content: messagesShape, headers: ["Link"] } },
    problems: [404],
  },
  async (c) => {
    const url = new URL(c.req.url);
    const query = parseQuery(url.searchParams);
    if (!query.ok) return refuse(c, query.error);
    const { partition, begin, limit } = query.value;
    const topic = c.req.param("topic");
    const deployment = c.get("deployment");
    const transport = openTransport(c.env, deployment);
    try {
      const count = await deployment.partitionCounts.of(transport, topic, Date.now());
      if (partition !== undefined && partition >= count) throw unknownPartition(topic, partition, count);
      if ("from" in begin && typeof begin.from === "number" && partition === undefined && count > 1) {
        const { error } = reject("invalid_query", "partition", "must be given: an offset is one partition's");
        return refuse(c, error);
      }
      if (partition === undefined && count > MAX_PARTITIONS) {
        const { error } = reject("invalid_query", "partition", `must be given: the topic has ${count}`);
        return refuse(c, error);
      }
      const page = await readMessagePage(transport, {
        topic,
        partitions: partition === undefined ? Array.from({ length: count }, (_, i) => i) : [partition],
        begin,
        limit,
        maxBytes: MAX_ANSWER_BYTES,
        render: renderMessage,
        hints: await endHints(c.env, deployment, transport, topic),
      });
      const faults = page.faults.map(({ partition: place, error }) =>
        JSON.stringify({ partition: place, error: `${error.code}: ${error.message}` }),
      );
      const headers: Record<string, string> = { "Content-Type": "application/json" };
      if (page.next) {
        url.searchParams.delete("from");
        url.searchParams.set("cursor", formatMessageCursor(page.next));
        headers["Link"] = `<${url.pathname}${url.search}>; rel="next"`;
      }
      // The rows were rendered to be counted; they are not parsed and written a second time.
      return c.body(`[${[...page.rows, ...faults].join(",\n")}]`, 200, headers);
    } finally {
      await transport.close();
    }
  },
);

interface MessagesQuery {
  partition: number | undefined;
  begin: PageOptions["begin"];
  limit: number;
}

function parseQuery(query: URLSearchParams): Result<MessagesQuery> {
  const known = checkParameters(query, Object.keys(messagesQueryShape.shape));
  if (!known.ok) return known;
  const limit = query.get("limit");
  const page = parsePage(new URLSearchParams(limit === null ? {} : { limit }), 0);
  if (!page.ok) return page;
  const partition = query.get("partition");
  if (partition !== null && !/^\d{1,6}$/.test(partition))
    return reject("invalid_query", "partition", "must be a whole number");
  const begin = parseBegin(query.get("cursor"), query.get("from"));
  if (!begin.ok) return begin;
  return ok({
    partition: partition === null ? undefined : Number(partition),
    begin: begin.value,
    limit: page.value.limit,
  });
}

function parseBegin(cursor: string | null, from: string | null): Result<PageOptions["begin"]> {
  if (cursor !== null) {
    const parsed = parseMessageCursor(cursor);
    if (parsed) return ok(parsed);
    return reject(
      "invalid_query",
      "cursor",
      "is not a cursor of ours; take it from the Link header as it is",
    );
  }
  if (from === null) return ok({ direction: "older" });
  if (from === "earliest" || from === "latest") return ok({ direction: "newer", from });
  if (/^\d{1,15}$/.test(from)) return ok({ direction: "newer", from: Number(from) });
  return reject("invalid_query", "from", "must be `earliest`, `latest` or an offset");
}
