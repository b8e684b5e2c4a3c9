// The log of one partition, where there is no Kafka: `${topic}/${partition}` is its name. Writes are durable when they
// are answered, since the output gate holds every answer (a reader's, too) until the writes before it are confirmed.
import { DurableObject } from "cloudflare:workers";
import type {
  AppendRecord,
  LogSettings,
  PartitionLogCalls,
  ReadRequest,
} from "../../lib/kafka/embedded/objects.ts";
import { StoredLog } from "../../lib/kafka/embedded/stored-log.ts";
import { asRpcResult, type RpcResult } from "../../lib/kafka/rpc-result.ts";
import type { FetchedRecord } from "../../lib/kafka/transport.ts";
import { logger } from "../../lib/observability/logger.ts";

/** The longest that a reader is held. */
const MAX_WAIT_MS = 30_000;

/** Records that one step removes, and steps that one alarm takes; between two of them others have their turn. */
const STEP_RECORDS = 256;
const ALARM_STEPS = 64;

/** Records come of age one by one; they go in company. */
const ALARM_INTERVAL_MS = 60_000;

/** How often a full database is told. */
const FULL_LOG_INTERVAL_MS = 60_000;

export class PartitionLog extends DurableObject<Env> implements PartitionLogCalls {
  readonly #log = new StoredLog(this.ctx.storage);
  readonly #waiting = new Set<() => void>();
  /** When the pending alarm is due; undefined: unknown in this life of the object. */
  #alarmMs: number | undefined;
  #forced = 0;
  #toldFullMs = 0;

  async create(topic: string, partition: number, settings: LogSettings): Promise<RpcResult<void>> {
    return await asRpcResult(async () => {
      const isChanged = this.#log.create(topic, partition, settings);
      // New limits may have something to say at once.
      if (isChanged) await this.#arm(Date.now());
    });
  }

  async append(records: readonly AppendRecord[]): Promise<RpcResult<number>> {
    return await asRpcResult(async () => {
      const nowMs = Date.now();
      const base = this.#log.append(records, nowMs);
      for (const wake of this.#waiting) wake();
      // Never slower than what comes in, or a limit of size would be none.
      if (this.#log.isOverfull()) this.#expire(nowMs, 2 * records.length + 16);
      if (!(await this.#isArmed())) await this.#arm(nowMs + ALARM_INTERVAL_MS);
      return base;
    });
  }

  async read({ offset, maxBytes, waitMs }: ReadRequest): Promise<RpcResult<FetchedRecord[]>> {
    return await asRpcResult(async () => {
      const records = this.#log.read(offset, maxBytes);
      if (records.length > 0 || waitMs <= 0) return records;
      await this.#grown(Math.min(waitMs, MAX_WAIT_MS));
      return this.#log.read(offset, maxBytes);
    });
  }

  async bounds(): Promise<RpcResult<{ start: number; end: number }>> {
    return await asRpcResult(async () => this.#log.bounds());
  }

  async deleteRecords(beforeOffset: number): Promise<RpcResult<void>> {
    return await asRpcResult(async () => {
      this.#log.deleteRecords(beforeOffset);
      await this.#arm(Date.now());
    });
  }

  override async alarm(): Promise<void> {
    this.#alarmMs = undefined;
    for (let step = 1; ; step++) {
      const { hasMore, nextMs } = this.#expire(Date.now(), STEP_RECORDS);
      if (hasMore && step < ALARM_STEPS) {
        await scheduler.wait(0);
        continue;
      }
      if (hasMore) await this.#arm(Date.now());
      else if (nextMs !== undefined) await this.#arm(Math.max(nextMs, Date.now() + ALARM_INTERVAL_MS));
      return;
    }
  }

  #expire(nowMs: number, maxRecords: number): { hasMore: boolean; nextMs: number | undefined } {
    const expiry = this.#log.expire(nowMs, maxRecords);
    this.#forced += expiry.forced;
    if (this.#forced > 0 && nowMs - this.#toldFullMs >= FULL_LOG_INTERVAL_MS) {
      logger.error("partition_log_full", { ...this.#log.name, records_dropped: this.#forced });
      this.#forced = 0;
      this.#toldFullMs = nowMs;
    }
    return expiry;
  }

  async #grown(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#waiting.add(done);
    });
  }

  /** Whether an alarm is pending. One that is long overdue was lost: alarms that fail are given up. */
  async #isArmed(): Promise<boolean> {
    this.#alarmMs ??= (await this.ctx.storage.getAlarm()) ?? undefined;
    return this.#alarmMs !== undefined && this.#alarmMs >= Date.now() - ALARM_INTERVAL_MS;
  }

  /** Sets the alarm unless an earlier one is pending. */
  async #arm(atMs: number): Promise<void> {
    if ((await this.#isArmed()) && (this.#alarmMs ?? 0) <= atMs) return;
    this.#alarmMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
  }
}
