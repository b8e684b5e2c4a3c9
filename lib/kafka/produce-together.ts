// Messages of several callers in one produce call. Where Kafka refuses them together, which one message can cause, they
// are sent again in halves, in order, until whoever is at fault stands alone: its neighbours are written. What may
// pass by itself is nobody's fault and goes back as it is. O(log n) rounds; nothing that was taken is sent again.
import { KafkaError, type KafkaErrorCode } from "./errors.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "./transport.ts";

/** Refusals that one message can bring upon a whole request, or upon its partition's share of it. */
const ONE_MESSAGES_FAULT: ReadonlySet<KafkaErrorCode> = new Set<KafkaErrorCode>([
  "rejected",
  "too_large",
  "unsupported",
]);

/** One message: whose, and which of theirs. */
interface Place {
  caller: number;
  position: number;
}

/**
 * @param callers the records of each
 * @param mayGoOn false once there is no time for another call; what is not settled then may be tried again
 * @returns for each caller its outcomes, one per record, in order; or the error, where nothing is known of any
 */
export async function produceTogether(
  transport: Pick<KafkaTransport, "produce">,
  topic: string,
  callers: readonly (readonly ProduceRecord[])[],
  mayGoOn: () => boolean,
): Promise<(ProduceOutcome[] | KafkaError)[]> {
  const outcomes = callers.map((): ProduceOutcome[] => []);
  const outcomeOf = ({ caller, position }: Place) => outcomes[caller]?.[position] as ProduceOutcome;
  const settle = ({ caller, position }: Place, outcome: ProduceOutcome) => {
    (outcomes[caller] as ProduceOutcome[])[position] = outcome;
  };
  /** Errors of whole calls. */
  const thrown = new Set<KafkaError>();
  /** Set once Kafka fails in a way that may pass: what is left is not tried, so that it does not overtake. */
  let failure: KafkaError | undefined;

  async function send(places: readonly Place[]): Promise<void> {
    const records = places.map(({ caller, position }) => callers[caller]?.[position] as ProduceRecord);
    try {
      const answers = await transport.produce(topic, records);
      places.forEach((place, i) => settle(place, answers[i] ?? missingAnswer()));
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      thrown.add(error);
      if (error.retryable) failure = error;
      for (const place of places) settle(place, { ok: false, error });
    }
    const again = refusedTogether(places, records, outcomeOf);
    const refused = [...new Set(again.map(({ caller }) => caller))];
    const firstHalf = new Set(refused.slice(0, Math.ceil(refused.length / 2)));
    for (const isFirst of [true, false]) {
      const half = again.filter(({ caller }) => firstHalf.has(caller) === isFirst);
      if (half.length === 0) continue;
      if (!failure && !mayGoOn()) thrown.add((failure = outOfTime(topic)));
      if (!failure) await send(half);
      else for (const place of half) settle(place, { ok: false, error: failure });
    }
  }

  await send(callers.flatMap((records, caller) => records.map((_, position) => ({ caller, position }))));
  return outcomes.map((own) => {
    const [first] = own;
    if (!first || first.ok || !thrown.has(first.error)) return own;
    return own.every((outcome) => !outcome.ok && outcome.error === first.error) ? first.error : own;
  });
}

/**
 * The messages that may have been refused for another caller's: of a request, or of a partition, of which nothing was
 * taken. Where a partition took some, its refusals are meant record by record, and another try would change their order.
 */
function refusedTogether(
  places: readonly Place[],
  records: readonly ProduceRecord[],
  outcomeOf: (place: Place) => ProduceOutcome,
): Place[] {
  const isRefused = (place: Place) => {
    const outcome = outcomeOf(place);
    return !outcome.ok && ONE_MESSAGES_FAULT.has(outcome.error.code);
  };
  const isShared = (some: readonly Place[]) =>
    some.every(isRefused) && some.some(({ caller }) => caller !== some[0]?.caller);
  if (isShared(places)) return [...places];
  const byPartition = new Map<number, number[]>();
  records.forEach(({ partition }, i) => {
    const some = byPartition.get(partition);
    if (some) some.push(i);
    else byPartition.set(partition, [i]);
  });
  return [...byPartition.values()]
    .filter((some) => isShared(some.map((i) => places[i] as Place)))
    .flat()
    .toSorted((a, b) => a - b)
    .map((i) => places[i] as Place);
}

function missingAnswer(): ProduceOutcome {
  return { ok: false, error: new KafkaError("bad_answer", "the answer says nothing of this record") };
}

function outOfTime(topic: string): KafkaError {
  return new KafkaError(
    "unavailable",
    `producing to ${topic}: a message of another request was refused, and there was no time left to tell them apart`,
  );
}
