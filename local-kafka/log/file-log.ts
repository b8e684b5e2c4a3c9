/**
 * The durable file log. Layout of the data directory:
 *   lock.*                        the owning process (lock-file.ts)
 *   cluster.json                  {clusterId}, random, made once
 *   topics/NAME@INCARNATION/      topic.json and one directory of segments per partition
 * Topics appear and disappear by one rename, so that a crash leaves them whole or gone. A damaged partition does not
 * keep the others from opening: it refuses every call with an error that names file and byte.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type DurableFiles, diskFiles } from "./durable-files.ts";
import { checksumSeed, encodeFrame, frameBytes } from "./frame.ts";
import { loadClusterId } from "./cluster-id.ts";
import { KafkaError } from "./kafka-error.ts";
import { lockDataDir } from "./lock-file.ts";
import type {
  FetchOptions,
  Log,
  LogRecord,
  RecordBatch,
  Retention,
  TopicDescription,
  TopicSettings,
} from "./log.ts";
import { PartitionLog } from "./partition-log.ts";
import { MAX_PARTITIONS, checkSettings } from "./topic-rules.ts";

const RETENTION_INTERVAL_MS = 60_000;
const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const DEFAULT_MAX_BATCH_BYTES = 1024 * 1024;

export interface FileLogOptions {
  dataDir: string;
  now?: (() => number) | undefined;
  segmentBytes?: number | undefined;
  /** Largest batch, that is all records of one append; Kafka's message.max.bytes. */
  maxBatchBytes?: number | undefined;
  fsync?: boolean | undefined;
  /** The disk; replaced by tests that make it fail. */
  files?: DurableFiles | undefined;
  /** Told about every damaged partition. */
  onWarning?: ((message: string) => void) | undefined;
}

interface StoredTopic extends TopicDescription, Retention {}

interface Topic {
  description: StoredTopic;
  directory: string;
  partitions: (PartitionLog | KafkaError)[];
}

export class FileLog implements Log {
  readonly #clusterId: string;
  readonly #options: FileLogOptions;
  readonly #files: DurableFiles;
  readonly #topics = new Map<string, Topic>();
  readonly #unlock: () => Promise<void>;
  readonly #retentionTimer: NodeJS.Timeout;
  /** Creating, growing and deleting topics take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(
    options: FileLogOptions,
    files: DurableFiles,
    clusterId: string,
    unlock: () => Promise<void>,
  ) {
    this.#options = options;
    this.#files = files;
    this.#clusterId = clusterId;
    this.#unlock = unlock;
    this.#retentionTimer = setInterval(() => void this.enforceRetention(), RETENTION_INTERVAL_MS);
    this.#retentionTimer.unref();
  }

  /** Opens the directory, making it when it is new. Rejects with DataDirLockedError while another process has it. */
  static async open(options: FileLogOptions): Promise<FileLog> {
    const { dataDir } = options;
    const topicsDir = join(dataDir, "topics");
    await mkdir(topicsDir, { recursive: true });
    const unlock = await lockDataDir(dataDir);
    try {
      const files = options.files ?? diskFiles(options.fsync ?? true);
      const log = new FileLog(options, files, await loadClusterId(dataDir, files), unlock);
      for (const entry of await readdir(topicsDir)) {
        // A topic whose making or deletion a crash cut short.
        if (entry.startsWith(".")) await rm(join(topicsDir, entry), { recursive: true, force: true });
        else await log.#openTopic(join(topicsDir, entry));
      }
      return log;
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  async clusterId(): Promise<string> {
    return this.#clusterId;
  }

  async topics(): Promise<TopicDescription[]> {
    return [...this.#topics.values()]
      .map(({ description }) => description)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async topic(name: string): Promise<TopicDescription | undefined> {
    return this.#topics.get(name)?.description;
  }

  createTopic(settings: TopicSettings): Promise<TopicDescription> {
    return this.#inTurn(async () => {
      checkSettings(settings);
      if (this.#topics.has(settings.name)) {
        throw new KafkaError("topic_already_exists", `Topic '${settings.name}' already exists.`);
      }
      const incarnation = randomBytes(9).toString("hex");
      const topicsDir = join(this.#options.dataDir, "topics");
      const draft = join(topicsDir, `.making-${incarnation}`);
      await mkdir(draft);
      const { name, partitions, retentionMs, retentionBytes } = settings;
      const description = { name, partitions, retentionMs, retentionBytes, incarnation };
      await this.#files.writeWhole(join(draft, "topic.json"), JSON.stringify(description));
      const directory = join(topicsDir, `${name}@${incarnation}`);
      await rename(draft, directory);
      await this.#files.syncDirectory(topicsDir);
      await this.#openTopic(directory);
      return description;
    });
  }

  growTopic(name: string, partitions: number): Promise<void> {
    return this.#inTurn(async () => {
      const topic = this.#find(name);
      if (partitions < topic.description.partitions || partitions > MAX_PARTITIONS) {
        throw new KafkaError(
          "invalid_partitions",
          `Topic '${name}' has ${topic.description.partitions} partitions.`,
        );
      }
      await this.#saveDescription(topic, { ...topic.description, partitions });
      await this.#openPartitions(topic);
    });
  }

  async retention(name: string): Promise<Retention> {
    const { retentionMs, retentionBytes } = this.#find(name).description;
    return { retentionMs, retentionBytes };
  }

  setRetention(name: string, retention: Retention): Promise<void> {
    return this.#inTurn(async () => {
      const topic = this.#find(name);
      await this.#saveDescription(topic, { ...topic.description, ...retention });
    });
  }

  deleteTopic(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const topic = this.#find(name);
      this.#topics.delete(name);
      const gone = new KafkaError("unknown_topic_or_partition");
      await closePartitions(topic, gone);
      const topicsDir = join(this.#options.dataDir, "topics");
      const doomed = join(topicsDir, `.deleted-${topic.description.incarnation}`);
      await rename(topic.directory, doomed);
      await this.#files.syncDirectory(topicsDir);
      await rm(doomed, { recursive: true, force: true });
    });
  }

  async append(topic: string, partition: number, records: readonly LogRecord[]): Promise<number> {
    const log = this.#partition(topic, partition);
    if (frameBytes(records) > (this.#options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES)) {
      throw new KafkaError("message_too_large");
    }
    return log.append(encodeFrame(records));
  }

  async fetch(
    topic: string,
    partition: number,
    offset: number,
    options: FetchOptions,
  ): Promise<RecordBatch[]> {
    return this.#partition(topic, partition).fetch(offset, options);
  }

  async bounds(topic: string, partition: number): Promise<{ start: number; end: number }> {
    const log = this.#partition(topic, partition);
    return { start: log.startOffset, end: log.endOffset };
  }

  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    await this.#partition(topic, partition).trim(before);
  }

  /** Runs by itself every minute and when a segment is full; here for callers that drive the clock. */
  async enforceRetention(): Promise<void> {
    for (const { partitions, description } of this.#topics.values()) {
      for (const [i, log] of partitions.entries()) {
        if (log instanceof KafkaError) continue;
        await log.enforceRetention().catch((error: unknown) => {
          this.#options.onWarning?.(`retention of ${description.name}/${i} failed: ${String(error)}`);
        });
      }
    }
  }

  /** Finishes the appends under way, then refuses everything. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#retentionTimer);
    const reason = new KafkaError("operation_not_attempted", "the broker is closing", { retryable: true });
    await this.#turn;
    await Promise.all([...this.#topics.values()].map((topic) => closePartitions(topic, reason)));
    await this.#unlock();
  }

  async #openTopic(directory: string): Promise<void> {
    const description = JSON.parse(await readFile(join(directory, "topic.json"), "utf8")) as StoredTopic;
    const topic: Topic = { description, directory, partitions: [] };
    await this.#openPartitions(topic);
    this.#topics.set(description.name, topic);
  }

  async #openPartitions(topic: Topic): Promise<void> {
    const { incarnation, name, partitions } = topic.description;
    const missing = Array.from(
      { length: partitions - topic.partitions.length },
      (_, i) => topic.partitions.length + i,
    );
    const opened = await Promise.all(
      missing.map((partition) =>
        PartitionLog.open({
          directory: join(topic.directory, String(partition)),
          seed: checksumSeed(incarnation, partition),
          segmentBytes: this.#options.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
          files: this.#files,
          now: this.#options.now ?? Date.now,
          retention: () => topic.description,
        }).catch((error: unknown) => {
          if (!(error instanceof KafkaError)) throw error;
          this.#options.onWarning?.(`${name}/${partition} is refused: ${error.message}`);
          return error;
        }),
      ),
    );
    topic.partitions.push(...opened);
  }

  async #saveDescription(topic: Topic, description: StoredTopic): Promise<void> {
    await this.#files.writeWhole(join(topic.directory, "topic.json"), JSON.stringify(description));
    topic.description = description;
  }

  #find(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new KafkaError("unknown_topic_or_partition");
    return topic;
  }

  #partition(name: string, partition: number): PartitionLog {
    const log = this.#find(name).partitions[partition];
    if (log === undefined) throw new KafkaError("unknown_topic_or_partition");
    if (log instanceof KafkaError) throw log;
    return log;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#closed) throw new KafkaError("operation_not_attempted", "the broker is closing");
      return work();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

async function closePartitions(topic: Topic, reason: KafkaError): Promise<void> {
  const open = topic.partitions.filter((log) => log instanceof PartitionLog);
  await Promise.all(open.map((log) => log.close(reason)));
}
