// One partition of metrics, read with windows over the store in memory by a driven clock, for tests that say what comes when.
import { createMemoryStore, type MemoryStore } from "../../../lib/storage/memory.ts";
import type { PartitionCommit, StoredWindow, StreamStore } from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import type { DrainDeps, DrainMemory, DrainResult, DrainSource } from "../../../lib/stream/run.ts";
import { parseWindows, type WindowDefinition } from "../../../lib/windows/definition.ts";
import { createMemoryLog } from "../../support/memory-log.ts";

export const START_MS = Date.parse("2026-11-21T10:00:00.000Z");

export interface Sent {
  id: string;
  window: string;
  window_start: string;
  count: number;
  sum: number;
  revision: number;
  final: boolean;
  removed?: true;
  increase?: number;
  labels: Record<string, string>;
}

function windowsOf(text: string): WindowDefinition[] {
  const parsed = parseWindows(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export class WindowReading {
  readonly log = createMemoryLog();
  readonly memory: MemoryStore = createMemoryStore();
  nowMs = START_MS;
  readonly commits: PartitionCommit[] = [];
  /** Off where they are too much to be kept. */
  keepsCommits = true;
  /** Look-ups of windows, by how many each call asked for. */
  readonly lookups: number[] = [];
  readonly source: DrainSource;
  readonly store: StreamStore;
  readonly deps: DrainDeps;
  owner: DrainMemory = newDrainMemory();
  #batches = 0;

  constructor(windows: string, fields: Partial<DrainSource> = {}, store?: StreamStore) {
    const { stream } = this.memory;
    const inner = store ?? stream;
    this.store = {
      ...inner,
      commit: async (commit) => {
        const outcome = await inner.commit(commit);
        if (outcome === "committed" && this.keepsCommits) this.commits.push(commit);
        return outcome;
      },
      windows: async (source, lookups) => {
        this.lookups.push(lookups.length);
        return await inner.windows(source, lookups);
      },
    };
    this.source = {
      group: "g",
      topic: "metrics.raw",
      partition: 0,
      signal: "metrics",
      startAt: "earliest",
      defaultTenant: "nobody",
      deadLetterTopic: "metrics.dlq",
      lateTopic: "metrics.late",
      processedTopic: "metrics.processed",
      processedTopics: null,
      windows: windowsOf(windows),
      latenessMs: 300_000,
      recentOffset: undefined,
      ...fields,
    };
    this.deps = {
      transport: this.log.transport,
      store: this.store,
      now: () => this.nowMs,
      sleep: async () => undefined,
      reached: async () => undefined,
    };
  }

  /** One message. @param points by their times, ms */
  send(points: readonly { ms: number; value?: number; name?: string; kind?: string; host?: string }[]): void {
    const entries = points.map(({ ms, value = 1, name = "cpu", kind, host }) => ({
      timestamp: new Date(ms).toISOString(),
      name,
      value,
      labels: host === undefined ? {} : { host },
      ...(kind === undefined ? {} : { kind }),
    }));
    const batch = `b${this.#batches++}`;
    const received = new Date(this.nowMs).toISOString();
    const indices = points.map((_, i) => i);
    const envelope = { v: 1, tenant: "acme", signal: "metrics", batch, received, indices, entries };
    this.log.append("metrics.raw", 0, new TextEncoder().encode(JSON.stringify(envelope)));
  }

  async drain(batches = 1_000): Promise<DrainResult> {
    return await drainPartition(this.source, this.deps, { timeMs: 1e9, batches }, this.owner);
  }

  /** All that was left to be sent to a topic, in order. */
  sent(topic = "metrics.processed"): Sent[] {
    return this.commits
      .flatMap(({ outbox }) => outbox)
      .filter((entry) => entry.topic === topic)
      .flatMap(({ value }) => JSON.parse(value) as Sent[]);
  }

  /** Windows in the store, by start. */
  async stored(window: string, name = "cpu"): Promise<StoredWindow[]> {
    const all = { tenant: "acme", name, labels: {}, fromMs: -Infinity, toMs: Infinity, limit: Infinity };
    const rows = await this.memory.query.windows({ ...all, window });
    return rows.toSorted((a, b) => a.startMs - b.startMs);
  }
}
