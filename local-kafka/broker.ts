/**
 * The HTTP API of one of several proxies over a log: a durable one in files (a local Kafka), or a Kafka cluster (a gateway).
 * The two `open…` functions are all that others use; `main.ts` puts what they open on a port.
 */
import type { Hono } from "hono";
import { type Dialect, createApp } from "./app.ts";
import type { CommittedOffsets } from "./groups/committed-offsets.ts";
import { Groups } from "./groups/groups.ts";
import { OffsetStore } from "./groups/offset-store.ts";
import type { Credentials } from "./http/basic-auth.ts";
import type { Bindings } from "./http/read-body.ts";
import type { ClusterLogOptions } from "./log/cluster-log.ts";
import { type DurableFiles, diskFiles } from "./log/durable-files.ts";
import { FileLog } from "./log/file-log.ts";
import { KafkaError } from "./log/kafka-error.ts";
import type { Log } from "./log/log.ts";

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

/** What both kinds of log have in common. */
interface GatewayOptions {
  /** Whose HTTP API to speak. Default: Redpanda's proxy. */
  dialect?: Dialect;
  /** Made at open when missing; one that has fewer partitions is grown. */
  topics?: TopicSpec[];
  now?: () => number;
  /** Largest request body. Default 32 MiB. */
  maxRequestBytes?: number;
  /** What a consumer's base_uri starts with; default: the origin its request was sent to. */
  advertisedUrl?: string;
  /** What every request must carry as HTTP Basic; default: no authentication. */
  credentials?: Credentials | undefined;
  /** Told about damaged partitions and faults of the broker's own. Default: silent. */
  onWarning?: (message: string) => void;
}

export interface LocalKafkaOptions extends GatewayOptions {
  dataDir: string;
  /** A segment is closed once the next batch would make it larger. Default 64 MiB. */
  segmentBytes?: number;
  /** Largest batch, that is all records of one request for one partition (Kafka's message.max.bytes). Default 1 MiB. */
  maxRecordBytes?: number;
  /** Default true; false only for tests that say so. */
  fsync?: boolean;
  /** The disk; for tests that make it fail. */
  files?: DurableFiles;
}

export interface ClusterGatewayOptions extends GatewayOptions {
  cluster: ClusterLogOptions;
}

export interface LocalKafka {
  /** Serves the whole HTTP API in-process. */
  fetch(request: Request): Promise<Response>;
  /** Rejects with KafkaError topic_already_exists when there is one of that name. */
  createTopic(spec: TopicSpec): Promise<void>;
  /** Deletes the records below `beforeOffset`; rejects with KafkaError offset_out_of_range beyond the log's end. */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
  /** Finishes the writes under way, answers waiting reads, gives the data directory back. */
  close(): Promise<void>;
  /** The app behind `fetch`, for a server to mount. */
  readonly app: Hono<{ Bindings: Bindings }>;
}

/** Opens the data directory, making it when it is new. Rejects with DataDirLockedError while another process has it. */
export async function openLocalKafka(options: LocalKafkaOptions): Promise<LocalKafka> {
  const { dataDir, now = Date.now, onWarning } = options;
  const files = options.files ?? diskFiles(options.fsync ?? true);
  const log = await FileLog.open({
    dataDir,
    now,
    segmentBytes: options.segmentBytes,
    maxBatchBytes: options.maxRecordBytes,
    files,
    onWarning,
  });
  return await assemble(log, () => OffsetStore.open(dataDir, files), options);
}

/**
 * The same HTTP API in front of a Kafka cluster. Rejects when the cluster refuses the credentials; one that cannot be
 * reached yet is a warning, unless there are topics to make.
 */
export async function openClusterGateway(options: ClusterGatewayOptions): Promise<LocalKafka> {
  // Only here: the client library is not needed, and need not be there, for a log in files.
  const { ClusterLog } = await import("./log/cluster-log.ts");
  const { ClusterOffsets } = await import("./groups/cluster-offsets.ts");
  const { onWarning, now = Date.now } = options;
  const log = new ClusterLog({ now, ...options.cluster });
  try {
    await log.clusterId();
  } catch (error) {
    if (!(error instanceof KafkaError) || !error.isOutage) {
      await log.close();
      throw error;
    }
    onWarning?.(`the cluster cannot be reached yet: ${error.detail}`);
  }
  return await assemble(log, async () => new ClusterOffsets(log.client), options);
}

async function assemble(
  log: Log,
  openOffsets: () => Promise<CommittedOffsets>,
  options: GatewayOptions,
): Promise<LocalKafka> {
  const { now = Date.now, onWarning, dialect = "redpanda" } = options;
  let groups: Groups | undefined;
  try {
    for (const spec of options.topics ?? []) await ensureTopic(log, spec);
    const offsets = await openOffsets();
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
        const incarnation = (await log.topic(name))?.incarnation ?? "";
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
      deleteRecords: (topic, partition, before) => log.deleteRecords(topic, partition, before),
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

async function ensureTopic(log: Log, spec: TopicSpec): Promise<void> {
  const present = await log.topic(spec.name);
  if (present === undefined) {
    await log.createTopic(settingsOf(spec));
    return;
  }
  if (spec.partitions > present.partitions) await log.growTopic(spec.name, spec.partitions);
  if (spec.retentionMs === undefined && spec.retentionBytes === undefined) return;
  const kept = await log.retention(spec.name);
  const { retentionMs = kept.retentionMs, retentionBytes = kept.retentionBytes } = spec;
  if (retentionMs !== kept.retentionMs || retentionBytes !== kept.retentionBytes) {
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
