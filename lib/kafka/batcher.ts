// Small produce calls of many requests become few large ones: those for one topic are gathered until the first has
// waited `lingerMs`, or they are `maxBatchBytes`, and each caller is answered once its own records are durable. One call
// per topic is in flight, so that nothing overtakes what is not settled; what comes meanwhile makes the next one larger.
// Refuses more than it may hold. Retries nothing that may pass: its callers do (retry.ts).
import { MAX_PRODUCE_REQUEST_BYTES } from "../telemetry/limits.ts";
import { KafkaError } from "./errors.ts";
import { produceTogether } from "./produce-together.ts";
import { FRAMING_BYTES, sentBytesOf } from "./request-size.ts";
import { systemTimer, type Timer } from "./timer.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "./transport.ts";

/** Beyond its linger no call waits longer than this for those before it: then its caller had better come again. */
const MAX_QUEUED_MS = 2_000;

/** No further call is made to find whose message was refused, this long after the first. */
const MAX_SPLIT_MS = 2_000;

export interface BatcherOptions {
  transport: Pick<KafkaTransport, "produce">;
  lingerMs: number;
  /** Keys and values of one produce call; a call that is larger by itself goes alone. */
  maxBatchBytes: number;
  /** What may wait or be in flight, as it is sent over REST. */
  maxPendingBytes: number;
  timer?: Timer;
}

/** Since the batcher was made. */
export interface BatcherStats {
  /** Produce calls of callers. */
  requests: number;
  /** Produce calls made to Kafka. */
  calls: number;
  /** Messages that Kafka has acknowledged, and their keys and values. */
  records: number;
  bytes: number;
  /** What waits or is in flight now. */
  pendingRequests: number;
  pendingBytes: number;
}

export interface Batcher {
  /**
   * @returns one outcome per record, in order; durable before it is told
   * @throws KafkaError what the transport throws; `throttled` at once when too much is pending, or after too long a wait
   */
  produce(topic: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]>;
  stats(): BatcherStats;
}

/** A caller's produce call on its way. */
interface Request {
  records: readonly ProduceRecord[];
  bytes: number;
  sentBytes: number;
  queuedMs: number;
  resolve(outcomes: ProduceOutcome[]): void;
  reject(error: unknown): void;
}

/** One topic's requests. There is one as long as any wait or are in flight. */
interface Lane {
  queue: Request[];
  bytes: number;
  sentBytes: number;
  /** Ends the wait for more. */
  endLinger?: () => void;
}

export function createBatcher(options: BatcherOptions): Batcher {
  const { lingerMs, maxBatchBytes, maxPendingBytes, timer = systemTimer } = options;
  const lanes = new Map<string, Lane>();
  const stats: BatcherStats = {
    requests: 0,
    calls: 0,
    records: 0,
    bytes: 0,
    pendingRequests: 0,
    pendingBytes: 0,
  };
  const counted: Pick<KafkaTransport, "produce"> = {
    async produce(topic, records) {
      stats.calls++;
      return await options.transport.produce(topic, records);
    },
  };

  const fits = ({ bytes, sentBytes }: { bytes: number; sentBytes: number }) =>
    bytes <= maxBatchBytes && sentBytes <= MAX_PRODUCE_REQUEST_BYTES;
  const isFull = ({ bytes, sentBytes }: Lane) =>
    bytes >= maxBatchBytes || sentBytes >= MAX_PRODUCE_REQUEST_BYTES;

  /** Waits until the lane's first request has lingered, or there is enough for a call. */
  async function linger(lane: Lane, first: Request): Promise<void> {
    const leftMs = first.queuedMs + lingerMs - timer.now();
    if (leftMs <= 0 || isFull(lane)) return;
    await new Promise<void>((resolve) => {
      const giveUp = timer.after(leftMs, resolve);
      lane.endLinger = () => {
        giveUp();
        resolve();
      };
    });
    delete lane.endLinger;
  }

  /** The next call's requests, in the order in which they came. */
  function take(lane: Lane): Request[] {
    const batch: Request[] = [];
    const size = { bytes: 0, sentBytes: FRAMING_BYTES };
    for (const request of lane.queue) {
      size.bytes += request.bytes;
      size.sentBytes += request.sentBytes;
      if (batch.length > 0 && !fits(size)) break;
      batch.push(request);
      lane.bytes -= request.bytes;
      lane.sentBytes -= request.sentBytes;
    }
    lane.queue.splice(0, batch.length);
    return batch;
  }

  function settle(request: Request, act: () => void): void {
    stats.pendingRequests--;
    stats.pendingBytes -= request.sentBytes;
    act();
  }

  /** Whoever has waited too long is sent away: its caller is about to give up, and would have it written twice. */
  function dropStale(requests: readonly Request[]): Request[] {
    const oldestMs = timer.now() - lingerMs - MAX_QUEUED_MS;
    return requests.filter((request) => {
      if (request.queuedMs >= oldestMs) return true;
      settle(request, () => request.reject(throttled(`waited over ${MAX_QUEUED_MS} ms for Kafka`)));
      return false;
    });
  }

  async function send(topic: string, batch: readonly Request[]): Promise<void> {
    const startMs = timer.now();
    try {
      const answers = await produceTogether(
        counted,
        topic,
        batch.map(({ records }) => records),
        () => timer.now() - startMs < MAX_SPLIT_MS,
      );
      batch.forEach((request, i) => {
        const own = answers[i] ?? [];
        if (own instanceof KafkaError) {
          settle(request, () => request.reject(own));
          return;
        }
        const taken = request.records.filter((_, position) => own[position]?.ok);
        stats.records += taken.length;
        stats.bytes += taken.reduce((sum, record) => sum + bytesOf(record), 0);
        settle(request, () => request.resolve(own));
      });
    } catch (error) {
      for (const request of batch) settle(request, () => request.reject(error));
    }
  }

  async function run(topic: string, lane: Lane): Promise<void> {
    for (let first = lane.queue[0]; first; first = lane.queue[0]) {
      await linger(lane, first);
      const batch = dropStale(take(lane));
      if (batch.length > 0) await send(topic, batch);
    }
    lanes.delete(topic);
  }

  return {
    async produce(topic, records) {
      if (records.length === 0) return [];
      let bytes = 0;
      let sentBytes = 0;
      for (const record of records) {
        bytes += bytesOf(record);
        sentBytes += sentBytesOf(record);
      }
      // Alone, anything may pass: it could never otherwise.
      if (stats.pendingRequests > 0 && stats.pendingBytes + sentBytes > maxPendingBytes) {
        throw throttled(`${stats.pendingBytes} bytes wait for Kafka already`);
      }
      stats.requests++;
      stats.pendingRequests++;
      stats.pendingBytes += sentBytes;
      return await new Promise((resolve, reject) => {
        const request: Request = { records, bytes, sentBytes, queuedMs: timer.now(), resolve, reject };
        const known = lanes.get(topic);
        const lane = known ?? { queue: [], bytes: 0, sentBytes: 0 };
        lane.queue.push(request);
        lane.bytes += bytes;
        lane.sentBytes += sentBytes;
        if (known) {
          if (isFull(lane)) lane.endLinger?.();
          return;
        }
        lanes.set(topic, lane);
        void run(topic, lane);
      });
    },
    stats: () => ({ ...stats }),
  };
}

function throttled(what: string): KafkaError {
  return new KafkaError("throttled", `${what}; raise KAFKA_SHARDS if this goes on while Kafka is well`);
}

/** Keys, values and headers as they are. */
function bytesOf({ key, value, headers = [] }: ProduceRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) bytes += header.name.length + (header.value?.length ?? 0);
  return bytes;
}
