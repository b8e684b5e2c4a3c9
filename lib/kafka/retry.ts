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
  const startMs = timing.now();
  let pending = records.map((_, position) => position);
  for (let attempt = 1; ; attempt++) {
    const answers = await produceOnce(
      transport,
      topic,
      pending.map((position) => records[position] as ProduceRecord),
    );
    const again: number[] = [];
    let retryAfterMs = 0;
    pending.forEach((position, i) => {
      const outcome = answers[i] ?? missingAnswer();
      outcomes[position] = outcome;
      if (!outcome.ok && outcome.error.retryable) {
        again.push(position);
        retryAfterMs = Math.max(retryAfterMs, outcome.error.retryAfterMs ?? 0);
      }
    });
    if (again.length === 0 || attempt >= options.maxAttempts) {
      return await splitTooLarge(transport, topic, records, outcomes, options, timing);
    }
    const backoffMs =
      timing.random() * Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (attempt - 1));
    const delayMs = Math.max(backoffMs, retryAfterMs);
    if (timing.now() - startMs + delayMs >= options.deadlineMs) {
      return await splitTooLarge(transport, topic, records, outcomes, options, timing);
    }
    await timing.sleep(delayMs);
    pending = again;
  }
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
  for (const positions of [refused.slice(0, middle), refused.slice(middle)]) {
    if (positions.length === 0) continue;
    const part = positions.map((position) => records[position] as ProduceRecord);
    const answers = await produceWithRetry(transport, topic, part, options, timing);
    positions.forEach((position, i) => (outcomes[position] = answers[i] ?? missingAnswer()));
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
