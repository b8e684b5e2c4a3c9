// Tries again what may pass: bounded in count and in time, full jitter between attempts
// (aws.amazon.com/builders-library, "Timeouts, retries, and backoff with jitter").
import { KafkaError } from "./errors.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "./transport.ts";

export interface RetryOptions {
  maxAttempts: number;
  /** The first wait is 0…this; it doubles each time. */
  baseDelayMs: number;
  maxDelayMs: number;
  /** No attempt begins after this long. */
  deadlineMs: number;
}

export const PRODUCE_RETRY: RetryOptions = {
  maxAttempts: 4,
  baseDelayMs: 100,
  maxDelayMs: 2_000,
  deadlineMs: 8_000,
};

/** Clock, chance and waiting, so that a test drives them. */
export interface Timing {
  now(): number;
  random(): number;
  sleep(ms: number): Promise<void>;
}

export const systemTiming: Timing = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/**
 * Produces, and produces again what failed in a way that may pass. A record that the proxy took is never sent
 * again. One whose answer was lost may be: it can then lie in the log twice.
 *
 * Records of one partition are sent in the order given, and what is sent again goes in that order, too. Where a proxy
 * answers record by record and stores a later one while an earlier fails, those two have changed places, which nothing
 * can undo; from then on that partition's records go one by one, and what stands behind a record that keeps failing is
 * not sent and shares its error.
 *
 * @returns one outcome per record, in order; never throws a KafkaError
 */
export async function produceWithRetry(
  transport: KafkaTransport,
  topic: string,
  records: readonly ProduceRecord[],
  options: RetryOptions = PRODUCE_RETRY,
  timing: Timing = systemTiming,
): Promise<ProduceOutcome[]> {
  const outcomes: ProduceOutcome[] = [];
  const partitionOf = (position: number) => (records[position] as ProduceRecord).partition;
  const oneByOne = new Set<number>();
  const startMs = timing.now();
  let pending = records.map((_, position) => position);
  for (let failures = 0; pending.length > 0;) {
    const behind = new Set<number>();
    const sent = pending.filter((position) => {
      const partition = partitionOf(position);
      const isHeld = behind.has(partition);
      if (oneByOne.has(partition)) behind.add(partition);
      return !isHeld;
    });
    const answers = await produceOnce(
      transport,
      topic,
      sent.map((position) => records[position] as ProduceRecord),
    );
    const failed = new Set<number>();
    const failing = new Set<number>();
    let retryAfterMs = 0;
    sent.forEach((position, i) => {
      const outcome = answers[i] ?? missingAnswer();
      outcomes[position] = outcome;
      if (!outcome.ok && outcome.error.retryable) {
        failed.add(position);
        failing.add(partitionOf(position));
        retryAfterMs = Math.max(retryAfterMs, outcome.error.retryAfterMs ?? 0);
      }
      if (outcome.ok && failing.has(partitionOf(position))) oneByOne.add(partitionOf(position));
    });
    const isSent = new Set(sent);
    pending = pending.filter((position) => failed.has(position) || !isSent.has(position));
    if (failed.size > 0) failures++;
    const backoffMs =
      failed.size === 0
        ? 0
        : timing.random() * Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (failures - 1));
    const delayMs = Math.max(backoffMs, retryAfterMs);
    if (failures >= options.maxAttempts || timing.now() - startMs + delayMs >= options.deadlineMs) break;
    if (failed.size > 0) await timing.sleep(delayMs);
  }
  for (const position of pending) outcomes[position] ??= heldBack(outcomes, pending, position, partitionOf);
  return await splitTooLarge(transport, topic, records, outcomes, options, timing);
}

/** Not sent, since what stands before it in its partition failed or took all the time. */
function heldBack(
  outcomes: readonly ProduceOutcome[],
  pending: readonly number[],
  position: number,
  partitionOf: (position: number) => number,
): ProduceOutcome {
  const head = pending.find((other) => partitionOf(other) === partitionOf(position)) ?? position;
  const outcome = outcomes[head];
  return outcome?.ok === false
    ? outcome
    : {
        ok: false,
        error: new KafkaError("timeout", "not sent: those before it took all the time there was"),
      };
}

/**
 * "Too large" may mean the request or the batch it makes in a partition, not the message: what was refused together is
 * sent again in halves, in order, and only a message that is refused alone is too large itself. O(log n) rounds.
 */
async function splitTooLarge(
  transport: KafkaTransport,
  topic: string,
  records: readonly ProduceRecord[],
  outcomes: ProduceOutcome[],
  options: RetryOptions,
  timing: Timing,
): Promise<ProduceOutcome[]> {
  const refused = [...outcomes.keys()].filter((position) => isTooLarge(outcomes[position]));
  if (refused.length === 0 || records.length === 1) return outcomes;
  const middle = refused.length === records.length ? Math.ceil(refused.length / 2) : refused.length;
  const failing = new Map<number, ProduceOutcome>();
  for (const half of [refused.slice(0, middle), refused.slice(middle)]) {
    // What stands behind a record that may still pass must not overtake it.
    const positions = half.filter((position) => {
      const before = failing.get((records[position] as ProduceRecord).partition);
      if (before) outcomes[position] = before;
      return before === undefined;
    });
    if (positions.length === 0) continue;
    const part = positions.map((position) => records[position] as ProduceRecord);
    const answers = await produceWithRetry(transport, topic, part, options, timing);
    positions.forEach((position, i) => {
      const outcome = answers[i] ?? missingAnswer();
      outcomes[position] = outcome;
      if (!outcome.ok && outcome.error.retryable) failing.set(part[i]?.partition ?? 0, outcome);
    });
  }
  return outcomes;
}

function isTooLarge(outcome: ProduceOutcome | undefined): boolean {
  return outcome?.ok === false && outcome.error.code === "too_large";
}

async function produceOnce(
  transport: KafkaTransport,
  topic: string,
  records: readonly ProduceRecord[],
): Promise<ProduceOutcome[]> {
  try {
    return await transport.produce(topic, records);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return records.map(() => ({ ok: false, error }));
  }
}

function missingAnswer(): ProduceOutcome {
  return { ok: false, error: new KafkaError("bad_answer", "the answer says nothing of this record") };
}
