// Who reads what now: the groups of the settings, each in the epoch and the state that the registry tells. Remembered for
// a second as plain data, since an isolate serves many requests.
import { readerOf, type GroupStart, type StoredGroup } from "../lib/storage/groups.ts";
import { StorageError } from "../lib/storage/storage.ts";
import type { GroupDefinition, GroupDoes } from "../lib/stream/groups-setting.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { deploymentOf, type Deployment } from "./deployment.ts";
import { groupStoreOf } from "./storage.ts";

export interface Subscription {
  /** The reader: the group's name in its first epoch, with `@` and the epoch in a later one. */
  group: string;
  /** The group. */
  name: string;
  epoch: number;
  topic: string;
  signal: Signal;
  does: GroupDoes;
  startAt: GroupStart;
  isPaused: boolean;
  /** Queries see what it stores, or will once it is built. */
  isShown: boolean;
  /** It is built beside another reader, and counts and tells nothing yet. */
  building: Beside | undefined;
}

export interface Beside {
  /** It reads no further than this one. */
  oldReader: string;
  /** Null: nothing is stored of this topic. */
  fromTimeMs: number | null;
}

/** What was read at most this long ago is taken for what is. */
const KNOWN_MS = 1_000;

interface Known {
  subscriptions: Subscription[];
  readAtMs: number;
}

const known = new WeakMap<Env, Known>();

/** @throws ConfigError, StorageError */
export async function subscriptionsOf(env: Env, maxAgeMs = KNOWN_MS): Promise<Subscription[]> {
  const before = known.get(env);
  const nowMs = Date.now();
  // A clock that was set back makes nothing fresh.
  if (before && Math.abs(nowMs - before.readAtMs) < maxAgeMs) return before.subscriptions;
  const deployment = deploymentOf(env);
  const subscriptions = subscriptionsIn(deployment, await storedGroups(env, deployment));
  known.set(env, { subscriptions, readAtMs: nowMs });
  return subscriptions;
}

/** For what may go by old knowledge: a store that is away is no reason to fail. @throws ConfigError */
export async function knownSubscriptions(env: Env, maxAgeMs = KNOWN_MS): Promise<Subscription[]> {
  try {
    return await subscriptionsOf(env, maxAgeMs);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return known.get(env)?.subscriptions ?? subscriptionsIn(deploymentOf(env), []);
  }
}

/** The reader of a name, with what is new about it: one that is paused or being built may have changed just now. */
export async function subscriptionOf(
  env: Env,
  { group, topic }: Pick<Subscription, "group" | "topic">,
  maxAgeMs?: number,
): Promise<Subscription | undefined> {
  const find = (all: readonly Subscription[]) =>
    all.find((one) => one.group === group && one.topic === topic);
  const found = find(await subscriptionsOf(env, maxAgeMs));
  if (found && !found.isPaused && !found.building) return found;
  return find(await subscriptionsOf(env, 0));
}

/** What the ledger goes by: for each topic the one reader of the shown group that counts. */
export function countingReaders(
  subscriptions: readonly Subscription[],
): Pick<Subscription, "group" | "topic" | "signal">[] {
  const shown = subscriptions.filter(({ isShown }) => isShown);
  return shown
    .filter(({ building, topic }) => !building || !shown.some((one) => one.topic === topic && !one.building))
    .map(({ group, topic, signal, building }) => ({ group: building?.oldReader ?? group, topic, signal }));
}

/** The registry, with a row for each group whose results must stand apart. @throws StorageError */
export async function storedGroups(env: Env, { groups }: Deployment): Promise<StoredGroup[]> {
  const store = groupStoreOf(env);
  const stored = await store.groups();
  const missing = groups.filter(
    (group) => standsApart(group) && !stored.some(({ name }) => name === group.name),
  );
  if (missing.length === 0) return stored;
  for (const group of missing) await store.addApart(group);
  return await store.groups();
}

/** Sources have no group: what a further group stores is told from the others' by an epoch that nobody else has. */
function standsApart({ does, isShown }: GroupDefinition): boolean {
  return does === "storage" && !isShown;
}

function subscriptionsIn({ groups, rawTopics }: Deployment, stored: readonly StoredGroup[]): Subscription[] {
  const topicOf = new Map([...rawTopics].map(([topic, signal]) => [signal, topic]));
  return groups.flatMap((group) => {
    const row = stored.find(({ name }) => name === group.name);
    if (!row && standsApart(group)) return [];
    return group.signals.flatMap((signal) => readersOf(group, row, signal, topicOf.get(signal) as string));
  });
}

function readersOf(
  { name, does, isShown, startAt }: GroupDefinition,
  row: StoredGroup | undefined,
  signal: Signal,
  topic: string,
): Subscription[] {
  const { epoch, building } = row ?? { epoch: 0, building: null };
  const common = { name, does, isShown, topic, signal, isPaused: row?.isPaused ?? false };
  const oldReader = readerOf(name, epoch);
  const present: Subscription = {
    ...common,
    group: oldReader,
    epoch,
    startAt: row?.start ?? startAt,
    building: undefined,
  };
  if (!building) return [present];
  const plan = building.topics.find((one) => one.topic === topic);
  const built: Subscription = {
    ...common,
    group: readerOf(name, building.epoch),
    epoch: building.epoch,
    startAt: plan?.start ?? startAt,
    building: { oldReader, fromTimeMs: plan?.fromTimeMs ?? null },
  };
  // Stopped for good, the old reader has nothing to do any more.
  return building.isHandingOver ? [built] : [present, built];
}
