// What the commits of one partition have left to be sent, as its owner knows of it: whether there may be any, and when to
// try again what Kafka did not take. It lies in the store, and nothing here is lost with the owner.
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { logger } from "../lib/observability/logger.ts";
import type { StreamStore } from "../lib/storage/storage.ts";
import { sendOutbox } from "../lib/stream/outbox.ts";
import { backOffMs } from "./back-off.ts";
import type { Owned } from "./consume.ts";
import type { Deployment } from "./deployment.ts";

/** Of an alarm. */
const TIME_MS = 5_000;

/** What another owner of this partition left to be sent, and died over, waits at most this long. */
const LOOK_MS = 600_000;

export class Outgoing {
  /** Always so at the beginning of a life. */
  #mayHave = true;
  #failures = 0;
  #notBeforeMs = 0;
  #lookAgainMs = Date.now() + LOOK_MS;

  /** When there is something to do next; undefined: nothing is known of. */
  get dueMs(): number | undefined {
    return this.#mayHave ? Math.max(Date.now(), this.#notBeforeMs) : undefined;
  }

  /** Commits have left something. */
  expect(): void {
    this.#mayHave = true;
  }

  /** Now and then what others left is looked for. */
  lookAgain(): void {
    if (Date.now() < this.#lookAgainMs) return;
    this.#lookAgainMs = Date.now() + LOOK_MS;
    this.#mayHave = true;
  }

  /** What cannot be sent now stays in the store. Never throws. */
  async send(
    owned: Owned,
    deployment: Deployment,
    transport: KafkaTransport,
    store: StreamStore,
  ): Promise<void> {
    if (!this.#mayHave || Date.now() < this.#notBeforeMs) return;
    const partitionCount = async (topic: string) =>
      await deployment.partitionCounts.of(transport, topic, Date.now());
    const deps = { transport, store, partitionCount, now: Date.now };
    const { isLeft, reason } = await sendOutbox(owned, deps, TIME_MS);
    this.#mayHave = isLeft;
    if (reason === undefined) {
      this.#failures = 0;
      return;
    }
    this.#failures++;
    this.#notBeforeMs = Date.now() + backOffMs(this.#failures);
    const { group, topic, partition } = owned;
    logger.error("outbox_failed", { group, topic, partition, failures: this.#failures, message: reason });
  }
}
