// POST /api/v1/dlq/{topic}/replay: writes dead letters to their topic again, one, a range or all, as acceptances of their
// own: counted, and deduplicated like a client's retry. A key with the scope `admin` replays its own tenant's.
import { Buffer } from "node:buffer";
import { Hono } from "hono";
import { MAX_REPLAYED, replayedShape, replayShape } from "../lib/http/dead-letter-shape.ts";
import { problem } from "../lib/http/problem.ts";
import { topicNameShape } from "../lib/http/topic-shape.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import { partitionOf } from "../lib/kafka/partitioner.ts";
import { produceWithRetry } from "../lib/kafka/retry.ts";
import { topicName } from "../lib/kafka/topics.ts";
import type { FetchedRecord, KafkaTransport } from "../lib/kafka/transport.ts";
import type { StoredDeadLetter } from "../lib/storage/storage.ts";
import { needsOriginal, planReplay, type Replay } from "../lib/stream/replay.ts";
import { MAX_ATTEMPT } from "../lib/telemetry/envelope.ts";
import { SIGNALS, type Signal } from "../lib/telemetry/signal.ts";
import { Acceptance } from "./acceptance.ts";
import { pokeOwners } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import type { Deployment } from "./deployment.ts";
import { reasonOf } from "./kafka-problem.ts";
import type { AppContext, AppEnv } from "./request-context.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { queryStoreOf, streamStoreOf } from "./storage.ts";
import { openTransport } from "./transport.ts";

export const replay = new Hono<AppEnv>();

const MAX_BODY_BYTES = 256 * 1_024;

/** What is read of the log for one message. */
const ORIGINAL_MAX_BYTES = 1_048_576;

defineRoute(
  replay,
  {
    name: "replayDeadLetters",
    method: "post",
    path: "/api/v1/dlq/:topic/replay",
    scope: ["admin", "operator"],
    tag: "Operations",
    summary: "Writes dead letters to their topic again",
    description:
      "Oldest first. Nothing is edited. What was stored meanwhile is not stored again, and what is bad still becomes a " +
      `dead letter again. At most ${MAX_REPLAYED} a call; \`next\` goes on.`,
    parameters: { topic: topicNameShape },
    body: { content: replayShape },
    answers: {
      200: { description: "What was replayed", content: replayedShape },
      207: { description: "Kafka did not take some of them (`failed`)", content: replayedShape },
    },
    problems: [404],
  },
  async (c) => {
    const body = await readShape(c, replayShape, MAX_BODY_BYTES);
    if (!body.ok) return refuseAll(c, body.error);
    const source = sourceOf(c.get("deployment"), c.req.param("topic"));
    if (!source) {
      const detail = "Dead letters come from raw topics, as logs.raw; GET /api/v1/dlq tells from which.";
      return problem("not_found", { detail, requestId: c.get("requestId") });
    }
    const { letters, next } = await chosen(c, source.topic, body.value);
    if (body.value.dry_run === true) {
      const { topic } = source;
      return c.json({ topic, replayed: letters.length, records: 0, skipped: [], failed: [], next });
    }
    const done = await replayAll(c, source, letters);
    return c.json({ topic: source.topic, ...done, next }, done.failed.length > 0 ? 207 : 200);
  },
);

interface Source {
  topic: string;
  signal: Signal;
}

/** @param name of a raw topic, or of its dead letters' */
function sourceOf({ naming }: Deployment, name: string): Source | undefined {
  const signal = SIGNALS.find((one) =>
    (["raw", "dlq"] as const).some((stage) => topicName(naming, one, stage) === name),
  );
  return signal && { signal, topic: topicName(naming, signal, "raw") };
}

/** Oldest first, with their values still to be read. */
async function chosen(
  c: AppContext,
  topic: string,
  asked: ReturnType<typeof replayShape.parse>,
): Promise<{ letters: { id: string }[]; next: string | null }> {
  if (asked.ids) return { letters: asked.ids.map((id) => ({ id })), next: null };
  const found = await queryStoreOf(c.env).deadLetters({
    tenant: ownTenant(c),
    topic,
    errorType: asked.error_type,
    from: isoOf(asked.from),
    to: isoOf(asked.to),
    limit: MAX_REPLAYED,
    after: asked.cursor === undefined ? undefined : Buffer.from(asked.cursor, "base64url").toString(),
  });
  const last = found.at(-1);
  const next = last && found.length === MAX_REPLAYED ? Buffer.from(last.id).toString("base64url") : null;
  const letters = found.filter(({ replays }) => asked.again === true || replays === 0);
  return { letters: letters.toReversed(), next };
}

const isoOf = (time: string | undefined) => (time === undefined ? undefined : new Date(time).toISOString());

/** @returns undefined: of all */
function ownTenant(c: AppContext): string | undefined {
  const { tenant, scopes } = c.get("principal");
  return scopes.has("operator") ? undefined : tenant;
}

interface Done {
  replayed: number;
  records: number;
  skipped: { id: string; reason: string }[];
  failed: { id: string; reason: string }[];
}

async function replayAll(c: AppContext, source: Source, letters: readonly { id: string }[]): Promise<Done> {
  const done: Done = { replayed: 0, records: 0, skipped: [], failed: [] };
  const deployment = c.get("deployment");
  const transport = openTransport(c.env, deployment);
  const grown: { topic: string; partition: number; offset: number }[] = [];
  try {
    const count = await deployment.partitionCounts.of(transport, source.topic, Date.now());
    for (const { id } of letters) {
      const letter = await queryStoreOf(c.env).deadLetter(id, ownTenant(c));
      if (!letter || letter.topic !== source.topic) {
        done.skipped.push({ id, reason: `there is no such dead letter of ${source.topic}` });
        continue;
      }
      try {
        const original = needsOriginal(letter) ? await originalOf(c.env, transport, letter) : undefined;
        const plan = planReplay(letter, source.signal, original, randomAttempt());
        if (!plan.ok) {
          done.skipped.push({ id, reason: plan.reason });
          continue;
        }
        const place = await write(c, transport, source, count, plan.replay);
        grown.push(place);
        done.replayed++;
        done.records += plan.replay.acceptance?.records ?? 0;
        await streamStoreOf(c.env).noteReplayed([id]);
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        done.failed.push({ id, reason: reasonOf(error) });
        // The others would come before this one, and meet the same Kafka.
        if (error.retryable) break;
      }
    }
  } finally {
    c.executionCtx.waitUntil(transport.close());
  }
  c.executionCtx.waitUntil(pokeOwners(c.env, grown));
  return done;
}

/** The message that the letter is of, where the log is still the one that it was read from. */
async function originalOf(
  env: Env,
  transport: KafkaTransport,
  { group, topic, partition, offset, incarnation }: StoredDeadLetter,
): Promise<FetchedRecord | undefined> {
  const position = await streamStoreOf(env).position({ group, topic, partition });
  if (position?.incarnation !== incarnation) return undefined;
  try {
    const read = { topic, partition, offset, maxBytes: ORIGINAL_MAX_BYTES, waitMs: 0 };
    return (await transport.fetch(read)).find((one) => one.offset === offset);
  } catch (error) {
    if (error instanceof KafkaError && error.code === "offset_out_of_range") return undefined;
    throw error;
  }
}

/** @throws KafkaError */
async function write(
  c: AppContext,
  transport: KafkaTransport,
  { topic }: Source,
  count: number,
  { key, value, acceptance }: Replay,
): Promise<{ topic: string; partition: number; offset: number }> {
  const partition = key === null ? Math.floor(Math.random() * count) : partitionOf(key, count);
  const account = new Acceptance(c.env, (promise) => c.executionCtx.waitUntil(promise));
  const begun = acceptance ? account.begin(acceptance) : undefined;
  try {
    const [outcome] = await produceWithRetry(transport, topic, [{ partition, key, value }]);
    const isWritten = outcome?.ok === true;
    if (acceptance && (isWritten || (outcome?.ok === false && !outcome.error.retryable))) {
      const { tenant, signal, records } = acceptance;
      account.note({ tenant, signal, accepted: isWritten ? records : 0, unconfirmed: 0 });
    }
    if (!outcome?.ok) throw outcome?.error ?? new KafkaError("bad_answer", "nothing is known of the message");
    return { topic, partition: outcome.partition, offset: outcome.offset };
  } finally {
    await begun;
    if (acceptance) await account.settle();
  }
}

/** Another for each replay. */
function randomAttempt(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return Math.max(1, (high * 65_536 + (low & 0xffff)) % MAX_ATTEMPT);
}
