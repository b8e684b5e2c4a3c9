// The producer id under which a broker tells a batch that it has already from a new one: sequence numbers per partition
// (KIP-98). One id at a time for a client; after a doubt it is given up, and every partition starts again at 0.
import { fromProtocolCode } from "../errors.ts";
import type { Cluster } from "./cluster.ts";
import type { Deadline } from "./deadline.ts";
import { initProducerIdMessage } from "./log-messages.ts";

export interface ProducerId {
  producerId: bigint;
  producerEpoch: number;
}

export class ProducerIdentity {
  readonly #cluster: Cluster;
  #asked: Promise<ProducerId> | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** @throws KafkaError */
  async current(deadline: Deadline): Promise<ProducerId> {
    this.#asked ??= this.#ask(deadline);
    return await deadline.race(this.#asked);
  }

  /** Gives up an id, unless that has happened already. */
  async giveUp({ producerId }: ProducerId): Promise<void> {
    const asked = this.#asked;
    const current = await asked?.catch(() => undefined);
    if (current?.producerId === producerId && this.#asked === asked) this.#asked = undefined;
  }

  async #ask(deadline: Deadline): Promise<ProducerId> {
    try {
      const answer = await this.#cluster.askAny(initProducerIdMessage, undefined, deadline);
      if (answer.errorCode !== 0) throw fromProtocolCode(answer.errorCode, "asking for a producer id");
      return answer;
    } catch (error) {
      this.#asked = undefined;
      throw error;
    }
  }
}
