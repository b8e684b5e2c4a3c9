// Consumer groups beside the store in memory: what the interface means, in the plainest form.
import { readerOf, type GroupId, type GroupStore, type StoredGroup } from "./groups.ts";
import type { MemoryStore } from "./memory.ts";
import type { StreamStore } from "./storage.ts";

interface MemoryGroup extends StoredGroup {
  lastEpoch: number;
  isShown: boolean;
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
    const fresh = { name, epoch, lastEpoch: epoch, isShown, isPaused: false, start: null, building: null };
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
  /** The group where this epoch of it is being built. */
  const built = (name: string, epoch: number, isHandingOver: boolean) => {
    const known = groups.get(name);
    if (known?.building?.epoch !== epoch || known.building.isHandingOver !== isHandingOver) return undefined;
    return { known, building: known.building };
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
    async handOver(name, epoch) {
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
      const isEqual = positionsOf(readerOf(name, found.known.epoch)).every((last) =>
        reached.some(
          (one) =>
            one.topic === last.topic &&
            one.partition === last.partition &&
            one.nextOffset === last.nextOffset &&
            one.incarnation === last.incarnation,
        ),
      );
      if (!isEqual) return false;
      Object.assign(found.known, { epoch, start: null, building: null });
      return true;
    },
    async abandon(name, epoch) {
      const found = built(name, epoch, false);
      if (!found) return false;
      stopped.add(readerOf(name, epoch));
      found.known.building = null;
      return true;
    },
  };
  return {
    groups: store,
    stream: {
      ...stream,
      commit: async (commit) => (stopped.has(commit.group) ? "fenced" : await stream.commit(commit)),
    },
  };
}
