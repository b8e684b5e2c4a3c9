// Brings a group that is built anew one step on: to the handing over, once the new reader is close behind the old one, and
// to the switch, once it stands where that one ended. Each step is one transaction and may be tried at any time, by
// anybody: what cannot be done yet changes nothing.
import { readerOf, type GroupStore, type StoredGroup, type TopicPlan } from "../storage/groups.ts";
import type { Progress, StreamStore } from "../storage/storage.ts";

/** From the handing over to the switch nobody stores: it must be read within moments. */
const CLOSE_MESSAGES = 500;

export interface Remaining {
  messages: number;
  /** Partitions that the new reader has not begun, or reads as another making of the topic. */
  apart: number;
}

/** `handed_over` and `switched`: it has just come to that; the new readers are to be woken. */
export type SwitchStep = "none" | "building" | "handed_over" | "switched";

export interface SwitchDeps {
  groups: GroupStore;
  store: Pick<StreamStore, "progress">;
  /** Results of windows are sent: what is due of the old reader it sends by itself. */
  hasResults: boolean;
}

/** @throws StorageError */
export async function advanceSwitch(
  { name, epoch, isPaused, building }: StoredGroup,
  { groups, store, hasResults }: SwitchDeps,
): Promise<SwitchStep> {
  if (!building) return "none";
  if (building.isHandingOver) return (await groups.switchTo(name, building.epoch)) ? "switched" : "building";
  // Paused, it would stay between the two.
  if (isPaused) return "building";
  const progress = await store.progress(name);
  const readers = [readerOf(name, epoch), readerOf(name, building.epoch)] as const;
  const { messages, apart } = remaining(progress, ...readers, building.topics);
  if (apart > 0 || messages > CLOSE_MESSAGES) return "building";
  return (await groups.handOver(name, building.epoch, { hasResults })) ? "handed_over" : "building";
}

/**
 * What the new reader has still to read until it stands where the old one does. Topics and partitions that are read no more
 * do not count, nor does what the old one had left of a making that is gone.
 */
export function remaining(
  progress: readonly Progress[],
  oldReader: string,
  newReader: string,
  topics: readonly TopicPlan[],
): Remaining {
  const sum: Remaining = { messages: 0, apart: 0 };
  for (const last of progress.filter(({ group }) => group === oldReader)) {
    const plan = topics.find(({ topic }) => topic === last.topic);
    if (!plan || plan.gonePartitions?.includes(last.partition) === true) continue;
    const one = progress.find(
      ({ group, topic, partition }) =>
        group === newReader && topic === last.topic && partition === last.partition,
    );
    if (!one || one.incarnation < last.incarnation) sum.apart++;
    else if (one.incarnation === last.incarnation)
      sum.messages += Math.max(0, last.nextOffset - one.nextOffset);
  }
  return sum;
}
