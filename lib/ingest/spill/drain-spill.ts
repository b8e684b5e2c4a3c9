// Sends what the spillway holds to Kafka: in order within topic and partition, topics side by side, one produce call in
// flight for each. What Kafka acknowledged is removed before the next call; a message that fails for now holds what
// stands behind it in its partition, until the next drain. One that Kafka refuses for itself is set aside and told.
// Refuses to go on beyond its budget.
import { KafkaError, type KafkaErrorCode } from "../../kafka/errors.ts";
import type { KafkaTransport, ProduceRecord } from "../../kafka/transport.ts";
import { FRAMING_BYTES } from "../../kafka/request-size.ts";
import { MAX_PRODUCE_REQUEST_BYTES } from "../../telemetry/limits.ts";
import { judge, missingAnswer, type Answer, type Written } from "./judge-answer.ts";
import { isOtlpMessage, otlpToText } from "../../telemetry/otlp/message.ts";

export interface HeldMessage {
  id: number;
  /** Of the key; modulo the count of partitions it is the partition. */
  hash: number;
  key: Uint8Array;
  value: Uint8Array;
}

export interface RefusedMessage extends HeldMessage {
  topic: string;
  /** Why it was refused. */
  code: KafkaErrorCode;
  error: string;
}

export interface NextPage {
  topic: string;
  /** Messages with a higher number than this. */
  after: number;
  /** Of the topic. */
  partitions: number;
  /** But for those of these partitions. */
  except: ReadonlySet<number>;
  maxMessages: number;
  /** As they are sent; one that is larger by itself comes alone. */
  maxSentBytes: number;
}

/** Answers at once. */
export interface SpillQueue {
  page(next: NextPage): HeldMessage[];
  /** These are acknowledged, and stand in the log since then or before. */
  remove(ids: readonly number[], nowMs: number): void;
  /** These wait no longer, and are to be tried again at `againMs`. */
  refuse(ids: readonly number[], code: KafkaErrorCode, error: string, againMs: number): void;
  /** The refused that were to be tried again until then. */
  refusedUntil(atMs: number, limit: number): RefusedMessage[];
}

export interface Grown {
  topic: string;
  partition: number;
  offset: number;
}

export interface DrainPorts {
  queue: SpillQueue;
  transport: Pick<KafkaTransport, "produce" | "capabilities">;
  /** @throws KafkaError */
  partitionsOf(topic: string): Promise<number>;
  /** How a call went, as far as Kafka's health goes. */
  called(isOk: boolean): void;
  /** Messages were written; for each partition the place of the first of them. */
  grown(places: Grown[]): void;
  now(): number;
}

export interface DrainPlan {
  topics: readonly string[];
  /** The refused that were to be tried again until then. */
  refusedUntilMs: number;
  /** One call alone goes first, since Kafka may still be away. */
  isProbe: boolean;
  budget: { timeMs: number; calls: number };
}

/** `held`: what is left of it failed, and why. */
export type TopicResult = { state: "drained" | "budget" } | { state: "held"; error: KafkaError };

export interface DrainResult {
  /** Messages that Kafka acknowledged. */
  sent: number;
  refused: number;
  topics: Map<string, TopicResult>;
}

/** One call's worth of small messages. */
const MAX_PAGE_MESSAGES = 2_000;

/** Topics that are drained side by side: a Worker has six connections, and each holds a page in memory. */
const MAX_LANES = 4;

/** A refused message is tried again after this. */
const REFUSED_AGAIN_MS = 3_600_000;
/** And after this, where the try failed in a way that may pass. */
const REFUSED_RETRY_MS = 60_000;
const MAX_REFUSED_TRIES = 10;

/** Messages that were refused alone one after the other, while none went through: then it is not the messages. */
const MAX_SUSPECTS = 3;

export async function drainSpill(plan: DrainPlan, ports: DrainPorts): Promise<DrainResult> {
  const drain = new Drain(plan, ports);
  const topics = [...plan.topics];
  if (plan.isProbe) await drain.probe(topics);
  const lanes = Array.from({ length: Math.min(MAX_LANES, topics.length) }, async () => {
    for (let topic = topics.shift(); topic !== undefined; topic = topics.shift()) await drain.topic(topic);
  });
  await Promise.all(lanes);
  await drain.tryRefused(plan.refusedUntilMs);
  return drain.result;
}

class Drain {
  readonly result: DrainResult = { sent: 0, refused: 0, topics: new Map() };
  readonly #ports: DrainPorts;
  readonly #untilMs: number;
  #callsLeft: number;
  #carriesText: boolean | undefined;

  constructor({ budget }: DrainPlan, ports: DrainPorts) {
    this.#ports = ports;
    this.#untilMs = ports.now() + budget.timeMs;
    this.#callsLeft = budget.calls;
  }

  /** Makes one call; where it fails, no topic is left to be tried. */
  async probe(topics: string[]): Promise<void> {
    for (let [topic] = topics; topic !== undefined; [topic] = topics) {
      await this.topic(topic, 1);
      const result = this.result.topics.get(topic);
      if (result?.state !== "held") return;
      topics.shift();
      if (!result.error.retryable) continue;
      for (const other of topics.splice(0)) this.result.topics.set(other, result);
    }
  }

  async topic(topic: string, maxCalls = Infinity): Promise<void> {
    let result: TopicResult;
    try {
      result = await this.#drainTopic(topic, maxCalls);
    } catch (cause) {
      const error = asKafkaError(cause);
      if (error.retryable) this.#ports.called(false);
      result = { state: "held", error };
    }
    this.result.topics.set(topic, result);
  }

  async #drainTopic(topic: string, maxCalls: number): Promise<TopicResult> {
    const { queue } = this.#ports;
    // Asked once: were there more in the midst of it, a key's messages could overtake one that is held.
    const partitions = await this.#ports.partitionsOf(topic);
    const except = new Set<number>();
    const suspects = new Suspects();
    let error: KafkaError | undefined;
    let maxMessages = MAX_PAGE_MESSAGES;
    let after = 0;
    for (let calls = 0; ; calls++) {
      if (calls >= maxCalls || this.#isSpent()) return { state: "budget" };
      const page = queue.page({
        topic,
        after,
        partitions,
        except,
        maxMessages,
        maxSentBytes: MAX_PRODUCE_REQUEST_BYTES - FRAMING_BYTES,
      });
      if (page.length === 0) break;
      const answer = await this.#produce(topic, partitions, page);
      const { acknowledged, refused, unclear, failures } = judge(page, partitions, answer);
      this.#acknowledge(topic, acknowledged);
      if (acknowledged.length > 0) suspects.clear((ids, reason) => this.#refuse(ids, reason));
      for (const { message, reason } of refused) {
        if (suspects.areInnocent || reason.code === "too_large") this.#refuse([message.id], reason);
        // Where others are unclear it is sent again with them.
        else if (unclear.length === 0) suspects.add(message.id, reason);
      }
      for (const { message, reason } of failures) {
        error ??= reason;
        // Kafka is away, or the topic is.
        if (answer.isOfWhole || !reason.retryable) return { state: "held", error: reason };
        except.add(message.hash % partitions);
      }
      if (suspects.last && suspects.count >= MAX_SUSPECTS) return { state: "held", error: suspects.last };
      // Whose fault it is shows when fewer are sent together.
      maxMessages =
        unclear.length > 0 ? Math.ceil(page.length / 2) : Math.min(MAX_PAGE_MESSAGES, maxMessages * 2);
      after = (unclear[0]?.id ?? (page.at(-1)?.id ?? 0) + 1) - 1;
    }
    error ??= suspects.last;
    return error ? { state: "held", error } : { state: "drained" };
  }

  /** Each by itself, and out of order, as they stand beside the others anyhow. */
  async tryRefused(untilMs: number): Promise<void> {
    const { queue } = this.#ports;
    for (const message of queue.refusedUntil(untilMs, MAX_REFUSED_TRIES)) {
      const { id, topic } = message;
      if (this.#isSpent()) return;
      try {
        const partitions = await this.#ports.partitionsOf(topic);
        const { outcomes } = await this.#produce(topic, partitions, [message]);
        const outcome = outcomes[0] ?? missingAnswer();
        if (!outcome.ok) throw outcome.error;
        this.#acknowledge(topic, [{ id, partition: outcome.partition, offset: outcome.offset }]);
      } catch (cause) {
        const { code, message: error, retryable } = asKafkaError(cause);
        // What may pass says nothing new of the message.
        if (retryable) queue.refuse([id], message.code, message.error, this.#ports.now() + REFUSED_RETRY_MS);
        else queue.refuse([id], code, error, this.#ports.now() + REFUSED_AGAIN_MS);
      }
    }
  }

  #isSpent(): boolean {
    return this.#callsLeft <= 0 || this.#ports.now() >= this.#untilMs;
  }

  async #produce(topic: string, partitions: number, page: readonly HeldMessage[]): Promise<Answer> {
    const { transport } = this.#ports;
    this.#callsLeft--;
    this.#carriesText ??= (await transport.capabilities()).values === "text";
    const records = page.map(({ key, value, hash }): ProduceRecord => {
      return { partition: hash % partitions, key, value: this.#carriesText ? asText(value) : value };
    });
    try {
      const outcomes = await transport.produce(topic, records);
      this.#ports.called(
        outcomes.length === 0 || outcomes.some((outcome) => outcome.ok || !outcome.error.retryable),
      );
      return { outcomes, isOfWhole: false };
    } catch (cause) {
      const error = asKafkaError(cause);
      this.#ports.called(!error.retryable);
      return { outcomes: page.map(() => ({ ok: false, error })), isOfWhole: true };
    }
  }

  #acknowledge(topic: string, written: readonly Written[]): void {
    if (written.length === 0) return;
    const ids = written.map(({ id }) => id);
    this.#ports.queue.remove(ids, this.#ports.now());
    this.result.sent += written.length;
    // The first: a group that begins with the latest begins there.
    const firsts = new Map<number, number>();
    for (const { partition, offset } of written)
      firsts.set(partition, Math.min(offset, firsts.get(partition) ?? offset));
    this.#ports.grown([...firsts].map(([partition, offset]) => ({ topic, partition, offset })));
  }

  #refuse(ids: readonly number[], { code, message }: KafkaError): void {
    this.#ports.queue.refuse(ids, code, message, this.#ports.now() + REFUSED_AGAIN_MS);
    this.result.refused += ids.length;
  }
}

/**
 * Messages refused as they stood alone, while nothing of their topic had gone through: as long as that is so, Kafka or
 * a setting may be the reason, and none is set aside.
 */
class Suspects {
  #found: { id: number; reason: KafkaError }[] = [];
  areInnocent = false;

  add(id: number, reason: KafkaError): void {
    this.#found.push({ id, reason });
  }

  get count(): number {
    return this.#found.length;
  }

  get last(): KafkaError | undefined {
    return this.#found.at(-1)?.reason;
  }

  /** Something went through: each was refused for itself. */
  clear(refuse: (ids: readonly number[], reason: KafkaError) => void): void {
    this.areInnocent = true;
    for (const { id, reason } of this.#found.splice(0)) refuse([id], reason);
  }
}

const utf8 = new TextEncoder();

function asText(value: Uint8Array): Uint8Array {
  return isOtlpMessage(value) ? utf8.encode(otlpToText(value)) : value;
}

/** Any other error is a fault of ours: what it hits stays held, and is tried again. */
function asKafkaError(cause: unknown): KafkaError {
  if (cause instanceof KafkaError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new KafkaError("unavailable", `the drain failed: ${message}`, { cause });
}
