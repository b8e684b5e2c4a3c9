// Batches that wait for the server, in memory, bounded by count and by bytes. When it is full the oldest goes and
// is counted, for recent figures are worth more. The batch being sent is held: dropping it would report as lost
// what the server is just accepting.

export interface Batch {
  /** Idempotency-Key: the same for every attempt, so that a retry counts once. */
  idempotencyKey: string;
  /** The request's JSON. */
  body: string;
  bytes: number;
  metrics: number;
}

export interface QueueLimits {
  maxBatches: number;
  maxBytes: number;
}

/** Two hours at the default interval; some 5 KB a batch on a small machine. */
export const defaultQueueLimits: QueueLimits = { maxBatches: 1_440, maxBytes: 8 * 1024 * 1024 };

export class BatchQueue {
  readonly #limits: QueueLimits;
  readonly #batches: Batch[] = [];
  #bytes = 0;
  #held = false;
  #droppedMetrics = 0;
  #wake: () => void = () => {};

  constructor(limits: QueueLimits = defaultQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#batches.length;
  }

  /** Metrics inside the waiting batches. */
  get metrics(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.metrics, 0);
  }

  /** Metrics dropped by overflow and not yet reported. */
  get droppedMetrics(): number {
    return this.#droppedMetrics;
  }

  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
    const oldest = this.#held ? 1 : 0;
    while (this.#batches.length > this.#limits.maxBatches || this.#bytes > this.#limits.maxBytes) {
      const [dropped] = this.#batches.splice(oldest, 1);
      if (!dropped) break;
      this.#bytes -= dropped.bytes;
      this.#droppedMetrics += dropped.metrics;
    }
    this.#wake();
  }

  /** The oldest batch, kept from being dropped until `release` or `remove`. */
  hold(): Batch | undefined {
    this.#held = this.#batches.length > 0;
    return this.#batches[0];
  }

  release(): void {
    this.#held = false;
  }

  /** Takes the held batch out: it was delivered, or refused for good. */
  remove(): void {
    this.#held = false;
    const batch = this.#batches.shift();
    if (batch) this.#bytes -= batch.bytes;
  }

  /** Takes `count` off the dropped metrics once they were reported. */
  markReported(count: number): void {
    this.#droppedMetrics -= count;
  }

  /** Resolves when a batch is there, or when `stop` aborts. */
  async waitForBatch(stop: AbortSignal): Promise<void> {
    if (this.#batches.length > 0 || stop.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        stop.removeEventListener("abort", done);
        resolve();
      };
      this.#wake = done;
      stop.addEventListener("abort", done, { once: true });
    });
  }
}
