/**
 * Committed offsets in a file, by group and by incarnation of the topic, so that a topic made anew starts with none. The file is
 * written whole and atomically; commits that arrive during a write share the next one. A commit resolves once durable.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DurableFiles } from "../log/durable-files.ts";
import { KafkaError } from "../log/kafka-error.ts";
import type { CommittedOffsets, KnownPartition } from "./committed-offsets.ts";

interface Snapshot {
  version: number;
  /** [group, [[incarnation, partition, offset], …]] */
  groups: [string, [string, number, number][]][];
}

const VERSION = 1;

export class OffsetStore implements CommittedOffsets {
  readonly #path: string;
  readonly #files: DurableFiles;
  /** group → "incarnation/partition" → offset */
  readonly #groups = new Map<string, Map<string, number>>();
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(path: string, files: DurableFiles) {
    this.#path = path;
    this.#files = files;
  }

  static async open(dataDir: string, files: DurableFiles): Promise<OffsetStore> {
    const store = new OffsetStore(join(dataDir, "offsets.json"), files);
    let text: string;
    try {
      text = await readFile(store.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return store;
      throw error;
    }
    const snapshot = JSON.parse(text) as Snapshot;
    if (snapshot.version !== VERSION)
      throw new Error(`${store.#path} has version ${snapshot.version}, not ${VERSION}`);
    for (const [group, offsets] of snapshot.groups) {
      store.#groups.set(
        group,
        new Map(offsets.map(([topic, partition, offset]) => [`${topic}/${partition}`, offset])),
      );
    }
    return store;
  }

  async committed(group: string, partitions: readonly KnownPartition[]): Promise<(number | undefined)[]> {
    const offsets = this.#groups.get(group);
    return partitions.map(({ incarnation, partition }) => offsets?.get(`${incarnation}/${partition}`));
  }

  commit(group: string, offsets: readonly (KnownPartition & { offset: number })[]): Promise<void> {
    if (offsets.length === 0) return Promise.resolve();
    const known = this.#groups.get(group) ?? new Map<string, number>();
    this.#groups.set(group, known);
    for (const { incarnation, partition, offset } of offsets)
      known.set(`${incarnation}/${partition}`, offset);
    return this.#save();
  }

  async forget(incarnation: string): Promise<void> {
    let changed = false;
    for (const offsets of this.#groups.values()) {
      for (const key of offsets.keys()) {
        if (key.startsWith(`${incarnation}/`)) changed = offsets.delete(key) || changed;
      }
    }
    if (changed) await this.#save();
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#writing)?.catch(() => undefined);
  }

  /** A write under way may have begun before the caller's change: the one after it holds it. */
  #save(): Promise<void> {
    if (this.#writing === undefined) {
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
      });
      return this.#writing;
    }
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#save();
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const groups: Snapshot["groups"] = [...this.#groups].map(([group, offsets]) => [
      group,
      [...offsets].map(([key, offset]) => {
        const [incarnation = "", partition = ""] = key.split("/");
        return [incarnation, Number(partition), offset];
      }),
    ]);
    try {
      await this.#files.writeWhole(this.#path, JSON.stringify({ version: VERSION, groups }));
    } catch (error) {
      throw new KafkaError("kafka_storage_error", (error as Error).message, {
        retryable: true,
        cause: error,
      });
    }
  }
}
