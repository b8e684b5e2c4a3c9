// What an owner's drain is given for a subscription: where its reader begins, what becomes of what it reads, and for one
// that is built beside another, how far it may go.
import { topicName } from "../lib/kafka/topics.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { isReaderOf } from "../lib/storage/groups.ts";
import { processRows } from "../lib/processors/process-rows.ts";
import type { Rows, StreamStore } from "../lib/storage/storage.ts";
import { beginPartition } from "../lib/stream/groups-move.ts";
import type { Building, DrainDeps, DrainSource } from "../lib/stream/run.ts";
import type { Owned } from "./consume.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import { alertObserver } from "./alert-rules.ts";
import { isSpillEmpty } from "./spill-empty.ts";
import type { Beside, Subscription } from "./subscriptions.ts";

export interface Reading {
  owned: Owned;
  subscription: Subscription;
  store: StreamStore;
  recentOffset: number | undefined;
}

/** Later than any record: nothing is built anew. As a date its year has four digits. */
const NEVER_MS = Date.UTC(9999, 0, 1);

/**
 * Places the reader of a later epoch, or of a start by time, on a partition that it has never read.
 * @returns false where the reader that it is built beside has not begun there
 * @throws KafkaError, StorageError
 */
export async function beginReading(
  { owned, subscription, store, recentOffset }: Reading,
  transport: KafkaTransport,
): Promise<boolean> {
  const { name, epoch, startAt, building } = subscription;
  if (epoch === 0 && typeof startAt === "string") return true;
  if (await store.position(owned)) return true;
  const { topic, partition } = owned;
  const others = (await store.progress(name)).filter(
    (one) => one.topic === topic && one.partition === partition && isReaderOf(one.group, name),
  );
  const last = building && others.find(({ group }) => group === building.oldReader);
  if (building && !last) return false;
  const beginning = {
    ...owned,
    epoch,
    startAt,
    recentOffset,
    incarnation: last?.incarnation ?? Math.max(0, ...others.map(({ incarnation }) => incarnation)),
    atMost: last?.nextOffset,
  };
  // Where another owner was first, it is read from there.
  await beginPartition(beginning, { transport, store, now: Date.now });
  return true;
}

export function sourceOf(
  { owned, subscription, store, recentOffset }: Reading,
  { config, naming, windows }: Deployment,
): DrainSource {
  const { startAt, does, isShown, building } = subscription;
  const isTelling = does === "storage" && isShown;
  // What is built tells nothing by itself, but its windows must know when they are due once it counts.
  const hasResults = does === "storage" && (isShown || building !== undefined);
  return {
    ...owned,
    // A reader that begins by a time has been placed.
    startAt: typeof startAt === "string" ? startAt : "earliest",
    defaultTenant: config.DEFAULT_TENANT,
    deadLetterTopic: topicName(naming, owned.signal, "dlq"),
    lateTopic: topicName(naming, owned.signal, "late"),
    processedTopic:
      hasResults && config.METRICS_PROCESSED === "on" ? topicName(naming, "metrics", "processed") : null,
    processedTopics:
      isTelling && !building
        ? { logs: topicName(naming, "logs", "processed"), events: topicName(naming, "events", "processed") }
        : null,
    windows: does === "storage" ? windows : [],
    latenessMs: config.WINDOW_LATENESS_MS,
    keptDays: config.RETENTION_WINDOWS_DAYS,
    recentOffset,
    building: building && buildingOf(owned, building, store),
  };
}

export async function surroundingsOf(
  env: Env,
  { subscription: { does, building }, store }: Reading,
): Promise<Pick<DrainDeps, "store" | "now" | "sleep" | "isSpillEmpty" | "observe" | "process">> {
  return {
    store,
    now: Date.now,
    sleep: (ms) => scheduler.wait(ms),
    // What is built beside another reader ends where that one stands, which is not the log's end.
    isSpillEmpty: async () => building === undefined && (await isSpillEmpty(env)),
    ...(does === "alerting"
      ? { observe: await alertObserver(env) }
      : { process: (rows: Rows) => processRows(rows, deploymentOf(env).processing) }),
  };
}

function buildingOf(owned: Owned, { oldReader, fromTimeMs }: Beside, store: StreamStore): Building {
  return {
    untilOffset: async () => {
      const [last, own] = await Promise.all([
        store.position({ ...owned, group: oldReader }),
        store.position(owned),
      ]);
      // The old reader reads another making of the topic by now: this one cannot follow it there.
      return last && own && last.incarnation === own.incarnation ? last.nextOffset : 0;
    },
    fromTimeMs: fromTimeMs ?? NEVER_MS,
    takesAllFrom: null,
  };
}
