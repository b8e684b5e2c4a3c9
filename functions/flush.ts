// POST /kafka/flush, for operators: what the spillway holds goes to Kafka now, and what could not is told.
import { Hono } from "hono";
import { flushQueryShape, flushShape } from "../lib/http/flush-shape.ts";
import type { ShardSpill, SpillStatus } from "../lib/ingest/spill/spill-port.ts";
import { checkParameters } from "../lib/query/page.ts";
import { reject } from "../lib/telemetry/result.ts";
import { defineRoute } from "./define-route.ts";
import { refuse, type AppEnv } from "./request-context.ts";
import { flushSpill } from "./spill.ts";

const DEFAULT_TIMEOUT_MS = 10_000;
/** An answer comes before a client's usual 30 s are over. */
const MAX_TIMEOUT_MS = 25_000;

export const flush = new Hono<AppEnv>();

defineRoute(
  flush,
  {
    name: "flushKafka",
    method: "post",
    path: "/kafka/flush",
    scope: "operator",
    tag: "Operations",
    summary: "Sends to Kafka what was kept while it was away",
    query: flushQueryShape,
    answers: { 200: { description: "What is left after that", content: flushShape } },
  },
  async (c) => {
    const { searchParams } = new URL(c.req.url);
    const known = checkParameters(searchParams, Object.keys(flushQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const timeoutText = searchParams.get("timeout_ms") ?? String(DEFAULT_TIMEOUT_MS);
    if (!/^\d{1,5}$/.test(timeoutText) || Number(timeoutText) > MAX_TIMEOUT_MS) {
      const message = `must be a whole number from 0 to ${MAX_TIMEOUT_MS}`;
      return refuse(c, reject("invalid_query", "timeout_ms", message).error);
    }
    return c.json(flushed(await flushSpill(c.env, c.get("deployment"), Number(timeoutText)), Date.now()));
  },
);

function flushed(left: SpillStatus, nowMs: number): object {
  const { messages, records, bytes, refused, oldestMs, isComplete, shards } = left;
  const isEmpty = messages === 0 && isComplete;
  return {
    status: isEmpty ? "success" : "partial",
    message: isEmpty ? "Kafka producer flushed" : "Kafka producer flushed in part: what is held is told here",
    held: {
      messages,
      records,
      bytes,
      refused,
      oldest_ms: oldestMs === null ? null : Math.max(0, nowMs - oldestMs),
    },
    shards: shards.filter((shard) => shard.messages > 0 || shard.error !== null).map(describeShard),
  };
}

function describeShard({ shard, messages, records, error, refusals }: ShardSpill): object {
  return {
    shard,
    messages,
    records,
    error,
    refusals: refusals.map(({ receivedMs, ...refusal }) => ({
      ...refusal,
      received: new Date(receivedMs).toISOString(),
    })),
  };
}
