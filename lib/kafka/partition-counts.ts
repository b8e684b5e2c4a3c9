// How many partitions each topic has, remembered for a minute, so that added partitions are discovered and Kafka
// is not asked at every request. While Kafka does not answer, what was known stays in use.
import { KafkaError } from "./errors.ts";
import type { KafkaTransport } from "./transport.ts";

const TTL_MS = 60_000;

/** How soon a Kafka that did not answer is asked again: not by each request, which would wait for it. */
const ASK_AGAIN_MS = 5_000;

export class PartitionCounts {
  readonly #known = new Map<string, { count: number; readAtMs: number }>();

  /** What was seen of the topic, however long ago: Kafka is not asked. `isDue`: `of` would ask it. */
  known(topic: string, nowMs: number): { count: number; isDue: boolean } | undefined {
    const known = this.#known.get(topic);
    return known && { count: known.count, isDue: nowMs - known.readAtMs >= TTL_MS };
  }

  /** @throws KafkaError when the topic was never seen and cannot be asked for */
  async of(transport: KafkaTransport, topic: string, nowMs: number): Promise<number> {
    const known = this.#known.get(topic);
    if (known && nowMs - known.readAtMs < TTL_MS) return known.count;
    try {
      // Kafka never takes partitions away; a smaller count is a broker that has not heard of all of them yet.
      const count = Math.max(known?.count ?? 0, await transport.partitionCount(topic));
      this.#known.set(topic, { count, readAtMs: nowMs });
      return count;
    } catch (error) {
      if (known && error instanceof KafkaError && error.retryable) {
        known.readAtMs = nowMs - TTL_MS + ASK_AGAIN_MS;
        return known.count;
      }
      throw error;
    }
  }
}
