// GET /api/v1/ledger: whether what was accepted is accounted for. A key sees its own tenant's lines; `operator` all,
// and what concerns the whole deployment.
import { Hono } from "hono";
import { ledgerQueryShape, ledgerShape } from "../lib/http/ledger-shape.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { balance, verdictOf } from "../lib/query/ledger.ts";
import { checkParameters } from "../lib/query/page.ts";
import { discardedByClients } from "../lib/storage/d1-client-reports.ts";
import { isReaderOf } from "../lib/storage/groups.ts";
import type { Progress } from "../lib/storage/storage.ts";
import { countWaiting, type UnreadPartition } from "../lib/stream/waiting.ts";
import { askedTenant } from "./asked-tenant.ts";
import { readAcceptance, type ReadAcceptance } from "./acceptance.ts";
import { ownedPartitions, type Owned } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import type { Deployment } from "./deployment.ts";
import { refuse, type AppEnv } from "./request-context.ts";
import { storageSize } from "./retention.ts";
import { spillStatus } from "./spill.ts";
import { streamStoreOf } from "./storage.ts";
import { countingReaders, subscriptionsOf } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

export const ledger = new Hono<AppEnv>();

/** What is read of the log at one call, to count what waits. */
const WAITING_BUDGET = { fetches: 200, bytes: 8 * 1024 * 1024 };

defineRoute(
  ledger,
  {
    name: "getLedger",
    method: "get",
    path: "/api/v1/ledger",
    scope: ["query", "operator"],
    tag: "Operations",
    summary: "Whether all that was accepted is accounted for",
    description:
      "Its parts are read one after the other, in the order in which records go: while traffic runs it is not settled, and claims nothing.",
    query: ledgerQueryShape,
    answers: { 200: { description: "By tenant and signal", content: ledgerShape } },
  },
  async (c) => {
    const query = new URL(c.req.url).searchParams;
    const known = checkParameters(query, Object.keys(ledgerQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const asked = askedTenant(c);
    if (!asked.ok) return asked.error;
    const tenant = asked.value;
    const read = await readLedger(c.env, c.get("deployment"), tenant);
    const lines = balance(read.sources).filter((line) => tenant === undefined || line.tenant === tenant);
    return c.json({
      ...verdictOf(read.sources, lines),
      lines,
      ...(c.get("principal").scopes.has("operator") ? { deployment: describe(read) } : {}),
    });
  },
);

type Read = Awaited<ReturnType<typeof readLedger>>;

/**
 * The edge's counts first and last, and between them each place that a record leaves before the one that it goes to:
 * what moves meanwhile is seen twice, as waiting or spilled, and then nothing is claimed.
 */
async function readLedger(env: Env, deployment: Deployment, tenant: string | undefined) {
  const errors: string[] = [];
  const before = await readAcceptance(env, tenant);
  const store = streamStoreOf(env);
  const { storageGroup } = deployment;
  const readers = countingReaders(await subscriptionsOf(env));
  const progress = (await store.progress(storageGroup)).filter((one) =>
    readers.some(({ group, topic }) => group === one.group && topic === one.topic),
  );
  // Of all its epochs: what one counted, none after it counts again.
  const rows = (await store.ledger(storageGroup, tenant)).filter(({ group }) =>
    isReaderOf(group, storageGroup),
  );
  const spill = await spillStatus(env, deployment);
  if (!spill.isComplete) errors.push("a shard of the spillway does not answer");
  const transport = openTransport(env, deployment);
  try {
    const owned = countedBy(readers, await ownedPartitions(env, deployment));
    const unread: UnreadPartition[] = [];
    for (const one of await Promise.all(owned.map((one) => unreadOf(transport, deployment, one, progress)))) {
      if ("error" in one) errors.push(one.error);
      else unread.push(one);
    }
    const isKnown = unread.length === owned.length && owned.length > 0;
    const waiting = isKnown ? await countWaiting(transport, unread, WAITING_BUDGET) : undefined;
    const after = await readAcceptance(env, tenant);
    if (after.errors > 0) errors.push("a keeper of the edge's counts does not answer");
    const expired = expiredMessages(progress);
    return {
      size: await storageSize(env),
      acceptance: after,
      spilledMessages: spill.isComplete ? spill.messages : null,
      waitingMessages: isKnown
        ? unread.reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0)
        : null,
      unread,
      progress,
      rows,
      errors,
      expired,
      sources: {
        accepted: after.errors > 0 ? undefined : after.counts,
        lostAtMost: after.lostAtMost + after.refused,
        committed: rows,
        spilled: spill.isComplete ? spill.byTenant : undefined,
        waiting,
        discarded: await discardedByClients(env.DB, tenant),
        expiredUnread: new Set(readers.filter(({ topic }) => expired.has(topic)).map(({ signal }) => signal)),
        isQuiet: after.open === 0 && before.errors === 0 && isSame(before, after),
      },
    };
  } finally {
    await transport.close();
  }
}

/** The partitions that are read, each once, by the reader that counts. */
function countedBy(readers: ReturnType<typeof countingReaders>, owned: readonly Owned[]): Owned[] {
  return readers.flatMap(({ group, topic, signal }) => {
    const partitions = new Set(owned.filter((one) => one.topic === topic).map(({ partition }) => partition));
    return [...partitions].map((partition): Owned => ({ group, topic, signal, partition }));
  });
}

const placeOf = ({ group, topic, partition }: { group: string; topic: string; partition: number }) =>
  `${group}/${topic}/${partition}`;

async function unreadOf(
  transport: KafkaTransport,
  { config }: Deployment,
  owned: Owned,
  progress: readonly Progress[],
): Promise<UnreadPartition | { error: string }> {
  const { topic, partition, signal } = owned;
  const known = progress.find((one) => placeOf(one) === placeOf(owned))?.nextOffset;
  try {
    const end = await transport.latestOffset(topic, partition, known);
    const from =
      known ??
      (config.KAFKA_AUTO_OFFSET_RESET === "latest" ? end : await transport.earliestOffset(topic, partition));
    // Before the stored position: the topic was made anew, and its owner has stopped.
    if (from > end) return { error: `${topic}/${partition} ends at ${end}, before what was read of it` };
    return { topic, partition, signal, from, end };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { error: `${topic}/${partition}: ${error.code}: ${error.message}` };
  }
}

function expiredMessages(progress: readonly Progress[]): Map<string, number> {
  const messages = new Map<string, number>();
  for (const { topic, expiredTotal } of progress)
    if (expiredTotal > 0) messages.set(topic, (messages.get(topic) ?? 0) + expiredTotal);
  return messages;
}

function isSame(before: ReadAcceptance, after: ReadAcceptance): boolean {
  return recordsOf(before) === recordsOf(after);
}

const recordsOf = ({ counts }: ReadAcceptance) =>
  counts.reduce((total, { accepted, unconfirmed }) => total + accepted + unconfirmed, 0);

function describe({ acceptance, rows, progress, unread, ...read }: Read): object {
  const { open, oldestOpenMs, lostIsolates, refused, unregistered } = acceptance;
  return {
    waiting_messages: read.waitingMessages,
    spilled_messages: read.spilledMessages,
    storage: read.size ? { bytes: read.size.bytes, limit_bytes: read.size.maxBytes } : null,
    expired_messages: [...read.expired].map(([topic, messages]) => ({ topic, messages })),
    open_intervals: open,
    oldest_open_interval: oldestOpenMs === null ? null : new Date(oldestOpenMs).toISOString(),
    lost_isolates: lostIsolates,
    refused_counts: refused,
    unregistered_records: unregistered,
    errors: read.errors,
    partitions: rows.map((row) => {
      const { topic, partition, incarnation, epoch, tenant, signal } = row;
      const { stored, late, dead, deduplicated, expired, redelivered, foreign } = row;
      const current = progress.find(
        (one) => placeOf(one) === placeOf(row) && one.incarnation === row.incarnation,
      );
      const log = current && unread.find((one) => one.topic === topic && one.partition === partition);
      return {
        topic,
        partition,
        incarnation,
        epoch,
        next_offset: current?.nextOffset ?? null,
        end_offset: log?.end ?? null,
        tenant,
        signal,
        stored,
        late,
        dead,
        deduplicated,
        expired,
        redelivered,
        foreign,
      };
    }),
  };
}
