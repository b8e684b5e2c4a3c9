// Writing to a topic by hand: POST /api/v1/topics/{t}/messages, for operators. In order; a fault of one message is its
// own, and once Kafka is away the rest is not tried.
import { Hono } from "hono";
import { z } from "zod";
import { ACCEPTED_ENCODINGS, parseJsonBody, readBody } from "../lib/http/body.ts";
import { problem, type ProblemError } from "../lib/http/problem.ts";
import { producedShape, topicNameShape } from "../lib/http/topic-shape.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { messageShape, parseMessage, type MessageInput } from "../lib/kafka/message-json.ts";
import { partitionOf } from "../lib/kafka/partitioner.ts";
import { produceRequests } from "../lib/kafka/request-size.ts";
import { produceWithRetry } from "../lib/kafka/retry.ts";
import type { KafkaTransport, ProduceRecord } from "../lib/kafka/transport.ts";
import { ok, reject, type Rejection, type Result } from "../lib/telemetry/result.ts";
import { pokeOwners } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import { kafkaProblem, reasonOf } from "./kafka-problem.ts";
import { refuse, type AppContext, type AppEnv } from "./request-context.ts";
import { openTransport } from "./transport.ts";

export const topicProduce = new Hono<AppEnv>();

/** Messages taken by one request. */
const MAX_MESSAGES = 1_000;

const produceShape = z.union([
  messageShape,
  z.strictObject({ messages: z.array(messageShape).min(1).max(MAX_MESSAGES) }),
]);

type Verdict =
  | { index: number; status: "ok"; partition: number; offset: number }
  | { index: number; status: "rejected"; rejection: Rejection }
  | { index: number; status: "retry" | "refused"; error: KafkaError };

defineRoute(
  topicProduce,
  {
    name: "writeMessages",
    method: "post",
    path: "/api/v1/topics/:topic/messages",
    scope: "operator",
    tag: "Topics",
    summary: "Writes messages to a topic by hand",
    description: "In order. A fault of one message is its own.",
    parameters: { topic: topicNameShape },
    body: { content: produceShape, description: "One message, or several" },
    answers: {
      200: { description: "All are written", content: producedShape },
      207: {
        description: "Some are written; `results` tells which are not, and why",
        content: producedShape,
      },
    },
    problems: [404, 409],
  },
  async (c) => {
    const inputs = await readMessages(c);
    if (!inputs.ok) return refuse(c, inputs.error, { "Accept-Encoding": ACCEPTED_ENCODINGS });
    const topic = c.req.param("topic");
    const deployment = c.get("deployment");
    const transport = openTransport(c.env, deployment);
    try {
      const count = await deployment.partitionCounts.of(transport, topic, Date.now());
      const verdicts = await write(transport, topic, count, inputs.value);
      const grown = verdicts.flatMap((one) =>
        one.status === "ok" ? [{ topic, partition: one.partition, offset: one.offset }] : [],
      );
      c.executionCtx.waitUntil(pokeOwners(c.env, grown));
      return answer(c, topic, verdicts);
    } finally {
      await transport.close();
    }
  },
);

/** One message, or `{"messages":[…]}`. A fault of one message is its own. */
async function readMessages(c: AppContext): Promise<Result<Result<MessageInput>[]>> {
  const bytes = await readBody(c.req.raw);
  if (!bytes.ok) return bytes;
  const json = parseJsonBody(bytes.value);
  if (!json.ok) return json;
  const body = json.value;
  if (typeof body !== "object" || body === null || !("messages" in body))
    return ok([parseMessage(body, "message")]);
  const { messages, ...rest } = body;
  const [surplus] = Object.keys(rest);
  if (surplus !== undefined)
    return reject("unknown_field", surplus.toWellFormed(), "is not known beside `messages`");
  if (!Array.isArray(messages) || messages.length === 0)
    return reject("wrong_type", "messages", "must be an array with one message or more");
  if (messages.length > MAX_MESSAGES)
    return reject("too_many_records", "messages", `may hold at most ${MAX_MESSAGES}`);
  return ok(messages.map((one: unknown, i) => parseMessage(one, `messages[${i}]`)));
}

async function write(
  transport: KafkaTransport,
  topic: string,
  count: number,
  inputs: readonly Result<MessageInput>[],
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const records: { index: number; record: ProduceRecord }[] = [];
  // Messages without a key go round, from anywhere, so that single ones do not all meet in partition 0.
  let turn = Math.floor(Math.random() * count);
  inputs.forEach((input, index) => {
    if (!input.ok) {
      verdicts[index] = { index, status: "rejected", rejection: input.error };
      return;
    }
    const { partition = input.value.key ? partitionOf(input.value.key, count) : turn++ % count } =
      input.value;
    if (partition >= count)
      verdicts[index] = { index, status: "refused", error: unknownPartition(topic, partition, count) };
    else records.push({ index, record: { ...input.value, partition } });
  });
  let failure: KafkaError | undefined;
  for (const chunk of produceRequests(records)) {
    const outcomes = failure
      ? []
      : await produceWithRetry(
          transport,
          topic,
          chunk.map(({ record }) => record),
        );
    chunk.forEach(({ index }, i) => {
      const outcome = outcomes[i];
      if (outcome?.ok) {
        verdicts[index] = { index, status: "ok", partition: outcome.partition, offset: outcome.offset };
        return;
      }
      const error =
        outcome?.error ?? failure ?? new KafkaError("bad_answer", "nothing is known of this message");
      // Once Kafka is away the rest is not tried, or a later message could come before an earlier one.
      if (error.retryable) failure ??= error;
      verdicts[index] = { index, status: error.retryable ? "retry" : "refused", error };
    });
  }
  return verdicts;
}

/** 200 all written, 207 some, else the problem of the first that was not. */
function answer(c: AppContext, topic: string, verdicts: readonly Verdict[]): Response {
  const requestId = c.get("requestId");
  const written = verdicts.filter(({ status }) => status === "ok").length;
  const results = verdicts.map(describe);
  if (written > 0) {
    const status = written === verdicts.length ? 200 : 207;
    return c.json({ topic, written, failed: verdicts.length - written, results }, status);
  }
  // What may pass comes first: then the whole request is to be sent again.
  const away = verdicts.find((one) => one.status === "retry") ?? verdicts.find((one) => "error" in one);
  if (away && "error" in away)
    return kafkaProblem(away.error, requestId, { isOperator: true, extra: { results } });
  const errors = verdicts.flatMap((one): ProblemError[] =>
    one.status === "rejected" ? [{ index: one.index, ...one.rejection }] : [],
  );
  const [first] = errors;
  return problem("invalid_records", {
    detail: `No message was written.${first ? ` The first: \`${first.path}\` ${first.message}.` : ""}`,
    requestId,
    errors,
  });
}

function describe(verdict: Verdict): object {
  if (verdict.status === "ok") return verdict;
  const { index } = verdict;
  if (verdict.status === "rejected") return { index, status: "rejected", ...verdict.rejection };
  const status = verdict.status === "retry" ? "retry" : "rejected";
  return { index, status, reason: reasonOf(verdict.error), path: "", message: verdict.error.message };
}

export function unknownPartition(topic: string, partition: number, count: number): KafkaError {
  return new KafkaError(
    "unknown_topic",
    `the topic ${topic} has no partition ${partition}; it has ${count}, from 0 to ${count - 1}`,
  );
}
