// A group over a log and a store in memory, by the real drain, planning and switching. Nothing goes on by itself: tests
// write, drain, reset and advance in what order they like.
import { readerOf, type TopicPlan } from "../../../lib/storage/groups.ts";
import { createMemoryGroups } from "../../../lib/storage/memory-groups.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { StorageError, type PartitionCommit, type StreamStore } from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import { beginPartition } from "../../../lib/stream/groups-move.ts";
import { planReset } from "../../../lib/stream/groups-reset.ts";
import { advanceSwitch, type SwitchStep } from "../../../lib/stream/groups-switch.ts";
import type { DrainMemory, DrainResult } from "../../../lib/stream/run.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { logsSource } from "../../support/drain-source.ts";
import { createMemoryLog } from "../../support/memory-log.ts";

export const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
export const TOPIC = "logs.raw";
export const GROUP = "weir-storage";

export interface Sent {
  batch: string;
  attempt: number;
  receivedMs: number;
  /** Event times. */
  times: number[];
  /** Places in the batch; absent: all of them. */
  places?: readonly number[];
}

/** A batch of which the store takes nothing, or nothing of the places up to the 101st, until it is mended. */
export const isRefused = (message: string) =>
  message.startsWith("bad") || /^half[^/]*\/(\d|\d\d|100)$/.test(message);

export class World {
  readonly log = createMemoryLog({ maxMessages: 4 });
  readonly memory = createMemoryStore();
  readonly registry = createMemoryGroups(this.memory);
  readonly store = this.refusing(this.registry.stream);
  isMended = false;
  readonly partitions: readonly number[];
  nowMs = NOW_MS;
  readonly #drains = new Map<string, DrainMemory>();
  /** As most transports: no message tells when it was written. */
  readonly transport = {
    ...this.log.transport,
    fetch: async (request: Parameters<typeof this.log.transport.fetch>[0]) =>
      (await this.log.transport.fetch(request)).map(({ offset, key, value }) => ({ offset, key, value })),
  };

  constructor(partitions = 2) {
    this.partitions = Array.from({ length: partitions }, (_, partition) => partition);
  }

  get moveDeps() {
    return { transport: this.transport, store: this.store, now: () => this.nowMs };
  }

  refusing(store: StreamStore): StreamStore {
    const judge = ({ rows }: PartitionCommit) => {
      if (!this.isMended && rows.logs.some(({ record }) => isRefused(record.message)))
        throw new StorageError("a record that this store refuses", { code: "storage_rejected" });
    };
    return {
      ...store,
      commit: async (commit) => {
        judge(commit);
        return await store.commit(commit);
      },
      rehearse: async (commit) => {
        judge(commit);
        await store.rehearse(commit);
      },
    };
  }

  write(partition: number, { batch, attempt, receivedMs, times, places }: Sent): void {
    const received = new Date(receivedMs).toISOString();
    const header = {
      tenant: "acme",
      signal: "logs" as const,
      batch,
      attempt,
      received,
      agentVersion: undefined,
    };
    const entries = times
      .map((timeMs, index) => {
        const timestamp = new Date(timeMs).toISOString();
        return { index, record: { timestamp, level: "INFO", message: `${batch}/${index}`, attributes: {} } };
      })
      .filter(({ index }) => places?.includes(index) ?? true);
    for (const { value } of packEnvelopes(header, entries).envelopes)
      this.log.append(TOPIC, partition, value);
  }

  async group() {
    const rows = await this.registry.groups.groups();
    return (
      rows.find(({ name }) => name === GROUP) ?? {
        name: GROUP,
        epoch: 0,
        isPaused: false,
        start: null,
        building: null,
      }
    );
  }

  /** As an owner does: places the reader where need be, and drains. */
  async drain(epoch: number, partition: number, batches = 20): Promise<DrainResult | undefined> {
    const { epoch: present, building } = await this.group();
    const isBuilt = building?.epoch === epoch;
    const plan = isBuilt ? building.topics[0] : undefined;
    const id = { group: readerOf(GROUP, epoch), topic: TOPIC, partition };
    const oldId = { ...id, group: readerOf(GROUP, present) };
    if (isBuilt && !(await this.store.position(id))) {
      const last = await this.store.position(oldId);
      if (!last) return undefined;
      const beginning = {
        ...id,
        signal: "logs" as const,
        epoch,
        incarnation: last.incarnation,
        startAt: plan?.start ?? "earliest",
        recentOffset: undefined,
        atMost: last.nextOffset,
      };
      await beginPartition(beginning, this.moveDeps);
    }
    const key = `${epoch}/${partition}`;
    const memory = this.#drains.get(key) ?? newDrainMemory();
    this.#drains.set(key, memory);
    return await drainPartition(
      {
        ...logsSource(id),
        building: isBuilt
          ? {
              untilOffset: async () => (await this.store.position(oldId))?.nextOffset ?? 0,
              fromTimeMs: plan?.fromTimeMs ?? Date.UTC(9999, 0, 1),
              takesAllFrom: null,
            }
          : undefined,
      },
      {
        transport: this.transport,
        store: this.store,
        now: () => this.nowMs,
        sleep: async () => undefined,
        reached: async () => undefined,
        isSpillEmpty: async () => false,
      },
      { timeMs: 20_000, batches },
      memory,
    );
  }

  async reset(to: Parameters<typeof planReset>[1]): Promise<{ epoch: number; topics: TopicPlan[] }> {
    const { epoch } = await this.group();
    const plan = await this.plan(to);
    if (!plan.ok) throw new Error(plan.reason);
    const id = { name: GROUP, isShown: true };
    const built = await this.registry.groups.beginBuilding(id, epoch, plan.topics, this.nowMs);
    if (built === undefined) throw new Error("busy");
    return { epoch: built, topics: plan.topics };
  }

  async plan(to: Parameters<typeof planReset>[1]) {
    const { epoch } = await this.group();
    const partitions = this.partitions.map((partition) => ({
      group: readerOf(GROUP, epoch),
      topic: TOPIC,
      partition,
      signal: "logs" as const,
    }));
    return await planReset(partitions, to, this.moveDeps);
  }

  async advance(): Promise<SwitchStep> {
    const deps = { groups: this.registry.groups, store: this.store, hasResults: true };
    return await advanceSwitch(await this.group(), deps);
  }

  /** Messages of the rows of an epoch, of times from ≤ t < to. */
  rows(epoch: number, fromMs = -Infinity, toMs = Infinity): string[] {
    const { sources, rows } = this.memory.tables;
    const ids = new Set(sources.filter((source) => source.epoch === epoch).map(({ id }) => id));
    return [...rows.logs.values()]
      .filter(({ key, record }) => {
        const timeMs = Date.parse(record.timestamp);
        return ids.has(key.source) && timeMs >= fromMs && timeMs < toMs;
      })
      .map(({ record }) => record.message);
  }

  /** What queries show: of each epoch what is older than all later ones were built from. */
  seen(...switches: { epoch: number; fromTimeMs: number }[]): string[] {
    return [{ epoch: 0, fromTimeMs: 0 }, ...switches]
      .flatMap(({ epoch }, i) =>
        this.rows(epoch, -Infinity, Math.min(...switches.slice(i).map(({ fromTimeMs }) => fromTimeMs))),
      )
      .toSorted();
  }

  /** Reads all there is by the present reader. */
  async drainAll(): Promise<void> {
    const { epoch } = await this.group();
    for (let rounds = 0; rounds < 5; rounds++)
      for (const partition of this.partitions) await this.drain(epoch, partition, 2_000);
  }

  /** Begins anew, reads, and switches. */
  async resetAll(to: Parameters<typeof planReset>[1]): Promise<{ epoch: number; fromTimeMs: number }> {
    const { epoch, topics } = await this.reset(to);
    for (let rounds = 0; (await this.advance()) !== "switched"; rounds++) {
      if (rounds > 20) throw new Error("it never gets there");
      for (const partition of this.partitions) await this.drain(epoch, partition, 2_000);
    }
    return { epoch, fromTimeMs: topics[0]?.fromTimeMs ?? Infinity };
  }

  async counted(): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const row of await this.store.ledger(GROUP, "acme"))
      for (const name of ["stored", "dead", "deduplicated", "redelivered"] as const)
        if (row[name] > 0) sums[name] = (sums[name] ?? 0) + row[name];
    return sums;
  }

  async stored(): Promise<number> {
    return (await this.store.ledger(GROUP, "acme")).reduce((sum, row) => sum + row.stored, 0);
  }
}
