// Consumer groups beside the store in memory: what the interface means, in the plainest form.
import {
  groupOfReader,
  readerOf,
  type Building,
  type GroupId,
  type GroupStore,
  type StoredGroup,
  type TopicPlan,
} from "./groups.ts";
import { epochsIn, type MemoryStore } from "./memory.ts";
import type { EpochsBefore, Progress, StreamStore } from "./storage.ts";

interface MemoryGroup extends StoredGroup {
  lastEpoch: number;
  isShown: boolean;
  /** Epochs that were the group's before, with what the one after each was built from. */
  before: { epoch: number; topics: TopicPlan[] }[];
}

export interface MemoryGroups {
  groups: GroupStore;
  /** The store's stream with the fence that no stopped reader passes. */
  stream: StreamStore;
}

export function createMemoryGroups({ stream, tables }: Pick<MemoryStore, "stream" | "tables">): MemoryGroups {
  const groups = new Map<string, MemoryGroup>();
  const stopped = new Set<string>();

  const add = ({ name, isShown }: GroupId, epoch = 0): MemoryGroup => {
    const known = groups.get(name);
    if (known) return known;
    const fresh = {
      name,
      epoch,
      lastEpoch: epoch,
      isShown,
      isPaused: false,
      start: null,
      building: null,
      before: [],
    };
    groups.set(name, fresh);
    return fresh;
  };
  const nextEpoch = () =>
    1 +
    Math.max(
      0,
      ...[...groups.values()].map(({ lastEpoch }) => lastEpoch),
      ...tables.sources.map(({ epoch }) => epoch),
    );
  const isFree = (name: string, from: number) => {
    const known = groups.get(name);
    return (known?.epoch ?? 0) === from && !known?.building;
  };
  /** The group where this epoch of it is being built; `isHandingOver` undefined: however far that is. */
  const built = (name: string, epoch: number, isHandingOver?: boolean) => {
    const known = groups.get(name);
    if (known?.building?.epoch !== epoch) return undefined;
    if (isHandingOver !== undefined && known.building.isHandingOver !== isHandingOver) return undefined;
    return { known, building: known.building };
  };
  /** Where the old reader stands, in what is still read. */
  const oldPlaces = ({ known, building }: { known: MemoryGroup; building: Building }) =>
    positionsOf(readerOf(known.name, known.epoch)).filter(({ topic, partition }) =>
      building.topics.some(
        (plan) => plan.topic === topic && plan.gonePartitions?.includes(partition) !== true,
      ),
    );
  const isDue = async (places: readonly Progress[]) => {
    const due = await Promise.all(
      places.map(async (one) => await tables.windows.dueWindows(one, one.watermarkMs, 1)),
    );
    return due.some(({ length }) => length > 0);
  };
  const positionsOf = (reader: string) =>
    [...tables.partitions.values()].map(({ progress }) => progress).filter(({ group }) => group === reader);

  const store: GroupStore = {
    async groups() {
      return [...groups.values()]
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, epoch, isPaused, start, building }) =>
          structuredClone({ name, epoch, isPaused, start, building }),
        );
    },
    async addApart(id) {
      add(id, nextEpoch());
    },
    async setPaused(id, isPaused) {
      add(id).isPaused = isPaused;
    },
    async beginAnew(id, from, start) {
      if (!isFree(id.name, from)) return undefined;
      const epoch = nextEpoch();
      stopped.add(readerOf(id.name, from));
      Object.assign(add(id), { epoch, lastEpoch: epoch, start });
      return epoch;
    },
    async beginBuilding(id, from, topics, nowMs) {
      if (!isFree(id.name, from)) return undefined;
      const epoch = nextEpoch();
      const building = {
        epoch,
        isHandingOver: false,
        topics: structuredClone([...topics]),
        begunAtMs: nowMs,
      };
      Object.assign(add(id), { lastEpoch: epoch, building });
      return epoch;
    },
    async handOver(name, epoch, { hasResults } = { hasResults: true }) {
      const asked = built(name, epoch, false);
      if (!asked || (hasResults && (await isDue(oldPlaces(asked))))) return false;
      const found = built(name, epoch, false);
      if (!found) return false;
      stopped.add(readerOf(name, found.known.epoch));
      found.building.isHandingOver = true;
      return true;
    },
    async switchTo(name, epoch) {
      const found = built(name, epoch, true);
      if (!found) return false;
      const reached = positionsOf(readerOf(name, epoch));
      const isEqual = oldPlaces(found).every((last) =>
        reached.some(
          ({ topic, partition, nextOffset, incarnation }) =>
            topic === last.topic &&
            partition === last.partition &&
            (incarnation > last.incarnation ||
              (incarnation === last.incarnation && nextOffset === last.nextOffset)),
        ),
      );
      if (!isEqual) return false;
      found.known.before.push({ epoch: found.known.epoch, topics: found.building.topics });
      Object.assign(found.known, { epoch, start: null, building: null });
      return true;
    },
    async abandon(name, epoch) {
      const found = built(name, epoch);
      if (!found) return false;
      stopped.add(readerOf(name, epoch));
      stopped.delete(readerOf(name, found.known.epoch));
      found.known.building = null;
      return true;
    },
  };
  /** What is seen of a group's epochs: of each what is older than all later ones were built from. */
  const seenOf = (name: string, topic: string, incarnation: number): EpochsBefore["epochs"] => {
    const { epoch: present = 0, before = [] } = groups.get(name) ?? {};
    return [...before, { epoch: present, topics: [] }].map(({ epoch }, i) => {
      const later = before.slice(i).flatMap(({ topics }) => topics);
      const times = later.flatMap((plan) =>
        plan.topic === topic && plan.incarnation === incarnation ? [plan.fromTimeMs ?? Infinity] : [],
      );
      const untilMs = Math.min(...times);
      return { epoch, untilMs: untilMs === Infinity ? null : untilMs };
    });
  };
  return {
    groups: store,
    stream: {
      ...stream,
      epochsBefore: async (source, fromOffset, toOffset) => {
        const { group, topic, incarnation, epoch } = source;
        const seen = seenOf(groupOfReader(group, epoch), topic, incarnation);
        return epochsIn(tables, source, { fromOffset, toOffset }, seen);
      },
      commit: async (commit) => (stopped.has(commit.group) ? "fenced" : await stream.commit(commit)),
    },
  };
}
