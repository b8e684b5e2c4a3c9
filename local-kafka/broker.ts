/**
 * A local Kafka with the HTTP API of one of several proxies over a durable file log. `openLocalKafka` is all that others use;
 * `main.ts` puts it on a port.
 */
import type { Hono } from "hono";
import { type Dialect, createApp } from "./app.ts";
import { Groups } from "./groups/groups.ts";
import { OffsetStore } from "./groups/offset-store.ts";
import type { Bindings } from "./http/read-body.ts";
import { type DurableFiles, diskFiles } from "./log/durable-files.ts";
import { FileLog } from "./log/file-log.ts";

const DEFAULT_RETENTION_MS = 7 * 24 * 60 * 60 * 1000;
const DEFAULT_MAX_REQUEST_BYTES = 32 * 1024 * 1024;
/** Redpanda's consumer_session_timeout_ms; Karapace keeps an instance until it is deleted. */
const SESSION_TIMEOUT_MS: Partial<Record<Dialect, number>> = { redpanda: 10_000, karapace: Infinity };

export interface TopicSpec {
  name: string;
  partitions: number;
  /** Default 7 days; -1 keeps records for ever. */
  retentionMs?: number;
  /** Per partition; default none (-1). */
  retentionBytes?: number;
}

export interface LocalKafkaOptions {
  dataDir: string;
  /** Whose HTTP API to speak. Default: Redpanda's proxy. */
  dialect?: Dialect;
  /** Made at open when missing; one that has fewer partitions is grown. */
  topics?: TopicSpec[];
  now?: () => number;
  /** A segment is closed once the next batch would make it larger. Default 64 MiB. */
  segmentBytes?: number;
  /** Largest batch, that is all records of one request for one partition (Kafka's message.max.bytes). Default 1 MiB. */
  maxRecordBytes?: number;
  /** Largest request body. Default 32 MiB. */
  maxRequestBytes?: number;
  /** Default true; false only for tests that say so. */
  fsync?: boolean;
  /** What a consumer's base_uri starts with; default: the origin its request was sent to. */
  advertisedUrl?: string;
  /** Asked for by the Upstash dialect; default: no authentication. The other dialects refuse them. */
  credentials?: { username: string; password: string } | undefined;
  /** Told about damaged partitions and faults of the broker's own. Default: silent. */
  onWarning?: (message: string) => void;
  /** The disk; for tests that make it fail. */
  files?: DurableFiles;
}

export interface LocalKafka {
  /** Serves the whole HTTP API in-process. */
  fetch(request: Request): Promise<Response>;
  /** Rejects with KafkaError topic_already_exists when there is one of that name. */
  createTopic(spec: TopicSpec): Promise<void>;
  /** Finishes the writes under way, answers waiting reads, gives the data directory back. */
  close(): Promise<void>;
  /** The app behind `fetch`, for a server to mount. */
  readonly app: Hono<{ Bindings: Bindings }>;
}

/** Opens the data directory, making it when it is new. Rejects with DataDirLockedError while another process has it. */
export async function openLocalKafka(options: LocalKafkaOptions): Promise<LocalKafka> {
  const { dataDir, now = Date.now, onWarning, dialect = "redpanda" } = options;
  if (options.credentials !== undefined && dialect !== "upstash") {
    throw new Error(`the dialect ${dialect} has no authentication`);
  }
  const files = options.files ?? diskFiles(options.fsync ?? true);
  const log = await FileLog.open({
    dataDir,
    now,
    segmentBytes: options.segmentBytes,
    maxBatchBytes: options.maxRecordBytes,
    files,
    onWarning,
  });
  let groups: Groups | undefined;
  try {
    for (const spec of options.topics ?? []) await ensureTopic(log, spec);
    const offsets = await OffsetStore.open(dataDir, files);
    const opened = new Groups({
      log,
      offsets,
      now,
      sessionTimeoutMs: SESSION_TIMEOUT_MS[dialect] ?? Infinity,
    });
    groups = opened;
    const app = createApp({
      dialect,
      log,
      groups: opened,
      now,
      maxRequestBytes: options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES,
      advertisedUrl: options.advertisedUrl,
      credentials: options.credentials,
      async deleteTopic(name) {
        const incarnation = log.topic(name)?.incarnation ?? "";
        await log.deleteTopic(name);
        await offsets.forget(incarnation);
      },
      onFault: (error) =>
        onWarning?.(error instanceof Error ? (error.stack ?? error.message) : String(error)),
    });
    return {
      app,
      fetch: async (request) => app.fetch(request),
      async createTopic(spec) {
        await log.createTopic(settingsOf(spec));
      },
      async close() {
        opened.close();
        await offsets.close();
        await log.close();
      },
    };
  } catch (error) {
    groups?.close();
    await log.close();
    throw error;
  }
}

async function ensureTopic(log: FileLog, spec: TopicSpec): Promise<void> {
  const present = log.topic(spec.name);
  if (present === undefined) {
    await log.createTopic(settingsOf(spec));
    return;
  }
  if (spec.partitions > present.partitions) await log.growTopic(spec.name, spec.partitions);
  const { retentionMs = present.retentionMs, retentionBytes = present.retentionBytes } = spec;
  if (retentionMs !== present.retentionMs || retentionBytes !== present.retentionBytes) {
    await log.setRetention(spec.name, { retentionMs, retentionBytes });
  }
}

function settingsOf({ name, partitions, retentionMs, retentionBytes }: TopicSpec) {
  return {
    name,
    partitions,
    retentionMs: retentionMs ?? DEFAULT_RETENTION_MS,
    retentionBytes: retentionBytes ?? -1,
  };
}
