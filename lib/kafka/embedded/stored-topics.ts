// The list of topics, and what groups have read, in SQLite. A topic's logs are made before its entry, so a topic that
// is listed has all its logs; whatever is interrupted is finished by the same call made again.
import { KafkaError, MAKE_TOPIC } from "../errors.ts";
import type { TopicSpec } from "../transport.ts";
import { callObject } from "./call.ts";
import type { PartitionLogs, StoredTopic } from "./objects.ts";
import type { SqlStore } from "./sql-store.ts";
import { readTopicSettings } from "./topic-settings.ts";

/** For one log to be made or changed. */
const LOG_TIMEOUT_MS = 3_000;

/** Logs made at the same time. */
const LOGS_AT_ONCE = 64;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS topics (
    name TEXT PRIMARY KEY,
    partitions INTEGER NOT NULL,
    config TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS group_offsets (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
  ) WITHOUT ROWID;
`;

export class StoredTopics {
  readonly #store: SqlStore;
  readonly #logs: PartitionLogs;
  #lastChange: Promise<void> = Promise.resolve();

  constructor(store: SqlStore, logs: PartitionLogs) {
    this.#store = store;
    this.#logs = logs;
    store.sql.exec(SCHEMA);
  }

  /** All that can be made is made, even where one topic fails; the first failure is thrown. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.every((spec) => this.#isAsWanted(spec))) return;
    await this.#inTurn(async () => {
      const wanted = specs.filter((spec) => !this.#isAsWanted(spec));
      const results = await Promise.allSettled(wanted.map((spec) => this.#make(spec)));
      for (const result of results) if (result.status === "rejected") throw result.reason;
    });
  }

  /** @throws KafkaError `topic_exists` */
  async create(spec: TopicSpec): Promise<void> {
    readTopicSettings(spec);
    await this.#inTurn(async () => {
      if (this.#find(spec.name)) throw new KafkaError("topic_exists", `topic ${spec.name} exists already`);
      await this.#make(spec);
    });
  }

  list(): string[] {
    const rows = this.#store.sql.exec<{ name: string }>("SELECT name FROM topics ORDER BY name");
    return rows.toArray().map(({ name }) => name);
  }

  /** @throws KafkaError `unknown_topic` */
  describe(topic: string): StoredTopic {
    const found = this.#find(topic);
    if (!found) throw new KafkaError("unknown_topic", `the topic ${topic} does not exist; ${MAKE_TOPIC}`);
    return found;
  }

  /** @throws KafkaError `unknown_topic` */
  commitOffset(group: string, topic: string, partition: number, nextOffset: number): void {
    const { partitions } = this.describe(topic);
    if (!Number.isSafeInteger(partition) || partition < 0 || partition >= partitions) {
      throw new KafkaError("unknown_topic", `topic ${topic} has no partition ${partition}`);
    }
    if (!Number.isSafeInteger(nextOffset) || nextOffset < 0) {
      throw new KafkaError("rejected", "an offset to commit must be a whole number, 0 or more");
    }
    this.#store.sql.exec(
      "INSERT OR REPLACE INTO group_offsets VALUES (?, ?, ?, ?)",
      group,
      topic,
      partition,
      nextOffset,
    );
  }

  committedOffset(group: string, topic: string, partition: number): number | null {
    const [row] = this.#store.sql
      .exec<{
        next_offset: number;
      }>(
        "SELECT next_offset FROM group_offsets WHERE group_name = ? AND topic = ? AND partition = ?",
        group,
        topic,
        partition,
      )
      .toArray();
    return row?.next_offset ?? null;
  }

  /** Partitions are never taken away: what lies in them would be lost to its readers. */
  async #make(spec: TopicSpec): Promise<void> {
    const settings = readTopicSettings(spec);
    const partitions = Math.max(spec.partitions, this.#find(spec.name)?.partitions ?? 0);
    for (let first = 0; first < partitions; first += LOGS_AT_ONCE) {
      const count = Math.min(LOGS_AT_ONCE, partitions - first);
      await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const partition = first + i;
          await callObject(`making ${spec.name}/${partition}`, LOG_TIMEOUT_MS, () =>
            this.#logs.of(spec.name, partition).create(spec.name, partition, settings),
          );
        }),
      );
    }
    this.#store.sql.exec(
      "INSERT OR REPLACE INTO topics VALUES (?, ?, ?)",
      spec.name,
      partitions,
      JSON.stringify(spec.config),
    );
  }

  #find(name: string): StoredTopic | undefined {
    const [row] = this.#store.sql
      .exec<{ name: string; partitions: number; config: string }>("SELECT * FROM topics WHERE name = ?", name)
      .toArray();
    return row && { ...row, config: JSON.parse(row.config) as Record<string, string> };
  }

  #isAsWanted({ name, partitions, config }: TopicSpec): boolean {
    const found = this.#find(name);
    if (!found || found.partitions < partitions) return false;
    const names = new Set([...Object.keys(found.config), ...Object.keys(config)]);
    return [...names].every((one) => found.config[one] === config[one]);
  }

  /** Changes of topics wait for each other, or the logs of one could get the settings of two. */
  async #inTurn(change: () => Promise<void>): Promise<void> {
    const mine = this.#lastChange.then(change);
    this.#lastChange = mine.catch(() => undefined);
    await mine;
  }
}
