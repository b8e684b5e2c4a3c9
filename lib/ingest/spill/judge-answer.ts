// What an answer to a produce call says of each message: acknowledged, refused for itself, refused together with others,
// or failed for now. Pure; what is done about it is the drain's.
import { KafkaError, type KafkaErrorCode } from "../../kafka/errors.ts";
import type { ProduceOutcome } from "../../kafka/transport.ts";
import type { HeldMessage } from "./drain-spill.ts";

/** Refusals for which a message itself may be the reason; others concern the topic or Kafka as a whole. */
const OWN_FAULT: ReadonlySet<KafkaErrorCode> = new Set<KafkaErrorCode>([
  "too_large",
  "rejected",
  "unsupported",
]);

export interface Answer {
  outcomes: ProduceOutcome[];
  /** One error for the whole call. */
  isOfWhole: boolean;
}

export interface Written {
  id: number;
  partition: number;
  offset: number;
}

interface Failed {
  message: HeldMessage;
  reason: KafkaError;
}

interface Judged {
  acknowledged: Written[];
  /** Refused for themselves. */
  refused: Failed[];
  /** Refused together with others, in order. */
  unclear: HeldMessage[];
  /** Failed for now, or with their topic. */
  failures: Failed[];
}

/**
 * A broker refuses a partition's share of a call as one batch, and a proxy may refuse the whole call: only where
 * something of it was taken, or it was one message, is a refusal meant for the message.
 */
export function judge(
  page: readonly HeldMessage[],
  partitions: number,
  { outcomes, isOfWhole }: Answer,
): Judged {
  const judged: Judged = { acknowledged: [], refused: [], unclear: [], failures: [] };
  const unitOf = ({ hash }: HeldMessage) => (isOfWhole ? -1 : hash % partitions);
  const units = new Map<number, { messages: number; taken: number }>();
  page.forEach((message, i) => {
    const unit = units.get(unitOf(message)) ?? { messages: 0, taken: 0 };
    unit.messages++;
    if (outcomes[i]?.ok) unit.taken++;
    units.set(unitOf(message), unit);
  });
  page.forEach((message, i) => {
    const outcome = outcomes[i] ?? missingAnswer();
    if (outcome.ok) {
      judged.acknowledged.push({ id: message.id, partition: outcome.partition, offset: outcome.offset });
      return;
    }
    const failed = { message, reason: outcome.error };
    const unit = units.get(unitOf(message));
    if (!OWN_FAULT.has(outcome.error.code)) judged.failures.push(failed);
    else if (unit && (unit.taken > 0 || unit.messages === 1)) judged.refused.push(failed);
    else judged.unclear.push(message);
  });
  return judged;
}

export function missingAnswer(): ProduceOutcome {
  return { ok: false, error: new KafkaError("bad_answer", "the answer says nothing of this message") };
}
