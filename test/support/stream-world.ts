// The consume loop's surroundings in one process: the real local-kafka behind the real client, the store in memory, and
// what may go wrong with them. The clock is driven; a sleep moves it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { createRestV2 } from "../../lib/kafka/rest-v2.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { createMemoryStore, type MemoryStore } from "../../lib/storage/memory.ts";
import { StorageError, type PartitionCommit, type StreamStore } from "../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../lib/stream/drain.ts";
import type { DrainDeps, DrainMemory, DrainResult, DrainSource } from "../../lib/stream/run.ts";
import { packEnvelopes } from "../../lib/telemetry/envelope.ts";
import { logsSource } from "./drain-source.ts";

export const START_MS = Date.parse("2026-11-21T10:00:00.000Z");

export interface World {
  transport: KafkaTransport;
  /** A topic of its own, of two partitions. */
  newTopic(): Promise<string>;
  /** As retention does. */
  expire(topic: string, partition: number, beforeOffset: number): Promise<void>;
  close(): Promise<void>;
}

export async function openWorld(): Promise<World> {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-stream-"));
  const kafka = await openLocalKafka({ dataDir, topics: [], fsync: false });
  const transport = createRestV2({
    url: "http://kafka.test",
    fetch: async (input, init) => await kafka.fetch(new Request(input, init)),
  });
  let topics = 0;
  return {
    transport,
    async newTopic() {
      const name = `logs-${topics++}`;
      await kafka.createTopic({ name, partitions: 2 });
      return name;
    },
    expire: async (...given) => await kafka.deleteRecords(...given),
    async close() {
      await kafka.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** One request as the edge writes it, all of it under one key. */
export interface Sent {
  tenant?: string;
  batch: string;
  attempt?: number;
  partition?: number;
  receivedMs?: number;
  /** By place in the request. */
  records: Record<number, unknown>;
}

/** A group's reading of one topic: any number of owners over one store. */
export class Reading {
  readonly memory: MemoryStore = createMemoryStore();
  readonly topic: string;
  readonly #transport: KafkaTransport;
  nowMs = START_MS;
  sleeps: number[] = [];
  rehearsals = 0;
  commits: PartitionCommit[] = [];
  /** The store refuses commits that hold such a text. */
  poison: RegExp | undefined;
  isAway = false;
  store: StreamStore;
  deps: DrainDeps;

  constructor(world: World, topic: string) {
    this.topic = topic;
    this.#transport = world.transport;
    const judge = (commit: PartitionCommit) => {
      if (this.isAway) throw new StorageError("away");
      if (this.poison?.test(JSON.stringify([commit.rows, commit.ledger])))
        throw new StorageError("the row is refused", { code: "storage_rejected" });
    };
    const { stream } = this.memory;
    this.store = {
      ...stream,
      commit: async (commit) => {
        judge(commit);
        const outcome = await stream.commit(commit);
        if (outcome === "committed") this.commits.push(commit);
        return outcome;
      },
      rehearse: async (commit) => {
        this.rehearsals++;
        judge(commit);
        await stream.rehearse(commit);
      },
    };
    this.deps = {
      transport: this.#transport,
      store: this.store,
      now: () => this.nowMs,
      sleep: async (ms) => {
        this.sleeps.push(ms);
        this.nowMs += ms;
      },
      reached: () => Promise.resolve(),
    };
  }

  source(partition = 0): DrainSource {
    return logsSource({ group: "g", topic: this.topic, partition });
  }

  async send({ tenant = "acme", batch, attempt = 0, partition = 0, receivedMs = START_MS, records }: Sent) {
    const received = new Date(receivedMs).toISOString();
    const header = { tenant, signal: "logs" as const, batch, attempt, received, agentVersion: undefined };
    const entries = Object.entries(records).map(([index, record]) => ({ index: Number(index), record }));
    const { envelopes } = packEnvelopes(header, entries);
    await this.write(
      envelopes.map(({ value }) => value),
      partition,
    );
  }

  async write(values: readonly (Uint8Array | string)[], partition = 0): Promise<void> {
    const records = values.map((value) => ({
      partition,
      key: null,
      value: typeof value === "string" ? new TextEncoder().encode(value) : value,
    }));
    const outcomes = await this.#transport.produce(this.topic, records);
    if (!outcomes.every(({ ok }) => ok)) throw new Error("not written");
  }

  async drain(
    partition = 0,
    drainMemory: DrainMemory = newDrainMemory(),
    deps: DrainDeps = this.deps,
    batches = 20,
  ): Promise<DrainResult> {
    return await drainPartition(this.source(partition), deps, { timeMs: 20_000, batches }, drainMemory);
  }

  /** Drains with one owner until nothing is left. */
  async drainAll(partition = 0, drainMemory: DrainMemory = newDrainMemory()): Promise<DrainResult> {
    for (let drains = 0; drains < 200; drains++) {
      const result = await this.drain(partition, drainMemory);
      if (result.state !== "budget") return result;
    }
    throw new Error("it never gets to the end");
  }

  /** Messages of all stored logs, sorted. */
  stored(): string[] {
    return [...this.memory.tables.rows.logs.values()].map(({ record }) => record.message).toSorted();
  }

  /** What is counted for a tenant, over all partitions, but for what is zero. */
  async counted(tenant = "acme"): Promise<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const row of await this.store.ledger("g", tenant)) {
      for (const name of ["stored", "dead", "late", "deduplicated", "redelivered", "foreign"] as const)
        if (row[name] > 0) sums[name] = (sums[name] ?? 0) + row[name];
    }
    return sums;
  }
}

export const logs = (...messages: string[]): Record<number, unknown> =>
  Object.fromEntries(messages.map((message, index) => [index, { message }]));
