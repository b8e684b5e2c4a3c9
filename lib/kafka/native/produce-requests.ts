// Gathers the batches that are ready for one broker into one request: while requests are out, what comes next waits and
// goes together. Few requests carry many partitions, and nobody waits by the clock.
import { setImmediate } from "node:timers";
import type { Cluster } from "./cluster.ts";
import { addressText, type Address } from "./connection.ts";
import type { Deadline } from "./deadline.ts";
import { produceMessage, type PartitionBatch, type ProduceAnswer } from "./log-messages.ts";

const MAX_IN_FLIGHT = 2;
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** For the replicas; the rest of the caller's deadline is for the way. */
const REPLICAS_TIMEOUT_MS = 4_000;

interface Submission {
  batch: PartitionBatch;
  deadline: Deadline;
  onSent: () => void;
  resolve: (answer: ProduceAnswer | undefined) => void;
  reject: (error: unknown) => void;
}

interface Line {
  waiting: Submission[];
  inFlight: number;
  isScheduled: boolean;
}

export class ProduceRequests {
  readonly #cluster: Cluster;
  readonly #lines = new Map<string, Line>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * @returns what the leader says of this batch; undefined: it does not speak of it
   * @param onSent called when the batch may reach the leader: after an error from then on it may lie in the log
   * @throws KafkaError
   */
  async send(
    leader: Address,
    batch: PartitionBatch,
    deadline: Deadline,
    onSent: () => void,
  ): Promise<ProduceAnswer | undefined> {
    const key = addressText(leader);
    const line = this.#lines.get(key) ?? { waiting: [], inFlight: 0, isScheduled: false };
    this.#lines.set(key, line);
    return await new Promise<ProduceAnswer | undefined>((resolve, reject) => {
      line.waiting.push({ batch, deadline, onSent, resolve, reject });
      this.#schedule(leader, line);
    });
  }

  /** After all that is ready in this turn has come. */
  #schedule(leader: Address, line: Line): void {
    if (line.isScheduled || line.inFlight >= MAX_IN_FLIGHT || line.waiting.length === 0) return;
    line.isScheduled = true;
    setImmediate(() => {
      line.isScheduled = false;
      void this.#sendNext(leader, line);
    });
  }

  async #sendNext(leader: Address, line: Line): Promise<void> {
    let bytes = 0;
    const fits = line.waiting.findIndex(
      ({ batch }, i) => (bytes += batch.batch.length) > MAX_REQUEST_BYTES && i > 0,
    );
    const submissions = line.waiting.splice(0, fits === -1 ? line.waiting.length : fits);
    if (submissions.length === 0) return;
    line.inFlight++;
    this.#schedule(leader, line);
    const batches = submissions.map(({ batch }) => batch);
    const latest = submissions.reduce((a, b) =>
      a.deadline.remainingMs() > b.deadline.remainingMs() ? a : b,
    );
    try {
      const request = { timeoutMs: REPLICAS_TIMEOUT_MS, batches };
      const onSent = () => submissions.forEach((submission) => submission.onSent());
      const answers = await this.#cluster.ask(leader, produceMessage, request, latest.deadline, { onSent });
      for (const { batch, resolve } of submissions) {
        resolve(answers.find((one) => one.topic === batch.topic && one.partition === batch.partition));
      }
    } catch (error) {
      for (const { reject } of submissions) reject(error);
    } finally {
      line.inFlight--;
      this.#schedule(leader, line);
    }
  }
}
