// Samples this machine every interval and delivers the samples, until it is told to stop; then what waits gets one
// last attempt within `flushMs`. The first sample does not wait for an interval.
import { randomUUID } from "node:crypto";
import { after, type Clock } from "./clock.ts";
import type { Collector } from "./collect.ts";
import { deliver } from "./deliver.ts";
import type { Intake } from "./intake.ts";
import type { Log } from "./log.ts";
import { type Batch, BatchQueue, defaultQueueLimits, type QueueLimits } from "./queue.ts";

/** Rates need two readings; systeminformation answers network questions from its cache for 500 ms. */
const primingMs = 650;

export interface AgentContext {
  collector: Collector;
  intake: Intake;
  clock: Clock;
  random: () => number;
  log: Log;
  intervalMs: number;
  flushMs: number;
  /** One sample, one attempt to deliver it, and the end. */
  once: boolean;
  stop: AbortSignal;
  queueLimits?: QueueLimits;
}

async function takeBatch(collector: Collector): Promise<Batch | undefined> {
  const metrics = await collector.sample();
  if (metrics.length === 0) return undefined;
  const body = JSON.stringify({ metrics });
  return { idempotencyKey: randomUUID(), body, bytes: Buffer.byteLength(body), metrics: metrics.length };
}

/** Resolves with how many batches were delivered and how many metrics were left behind. */
export async function runAgent(context: AgentContext): Promise<{ delivered: number; undelivered: number }> {
  const { collector, clock, log, stop } = context;
  const queue = new BatchQueue(context.queueLimits ?? defaultQueueLimits);
  const finish = new AbortController();
  const kill = new AbortController();
  const delivery = deliver({ ...context, queue, stop: finish.signal, kill: kill.signal });

  const startedMs = clock.now();
  await collector.prime();
  await clock.sleep(Math.max(0, startedMs + primingMs - clock.now()), stop);
  let dueMs = clock.now();
  while (!stop.aborted) {
    const batch = await takeBatch(collector);
    if (batch) queue.push(batch);
    if (context.once) break;
    // By the clock and not by the end of the last sample, so that samples do not drift; missed ones are skipped.
    do dueMs += context.intervalMs;
    while (dueMs <= clock.now());
    await clock.sleep(dueMs - clock.now(), stop);
  }

  finish.abort();
  const flushed = new AbortController();
  void after(clock, context.flushMs, flushed.signal, () => kill.abort());
  const { delivered } = await delivery;
  flushed.abort();
  const undelivered = queue.metrics;
  if (undelivered > 0) log.say(`stopped with ${undelivered} metrics in ${queue.size} batches not delivered`);
  return { delivered, undelivered };
}
