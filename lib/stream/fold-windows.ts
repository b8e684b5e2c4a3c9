// What a commit does to windows: from its rows to samples, from samples to the windows that it puts and what is sent of
// them. A record on which our own code throws is at fault; a store that is away, or holds what cannot be read, throws.
import { dayOf } from "../storage/day.ts";
import type { Position } from "../storage/storage.ts";
import { encodePartial } from "../windows/partial-codec.ts";
import { emptyPartial, fold } from "../windows/partial.ts";
import type { Sample } from "../windows/sample.ts";
import { aggregate, FoldError, type Aggregate } from "./aggregate.ts";
import type { Fault } from "./dead-letter.ts";
import { internalFault } from "./fault.ts";
import type { ProcessedPlan } from "./process-plan.ts";
import { CALL_COST, type Run } from "./run.ts";
import { samplesOf } from "./samples.ts";

/** Of more than one message, so that they are halved. */
const TOO_MANY_WINDOWS: Fault = {
  errorType: "internal_error",
  error: "the messages touch more windows than one commit takes",
  attempts: 1,
};

/** @throws StorageError, PartialStateError */
export async function foldWindows(
  run: Run,
  { next, plan, nowMs }: { next: Position; plan: ProcessedPlan | undefined; nowMs: number },
  mayBeCut: boolean,
): Promise<Aggregate | Fault> {
  const { source, deps, memory } = run;
  const { group, topic, partition, windows: definitions, latenessMs, processedTopic } = source;
  const { incarnation, epoch } = next;
  const where = { group, topic, partition, incarnation, epoch };
  let samples: Sample[];
  try {
    samples = plan ? allSamplesOf(plan) : [];
  } catch (error) {
    return internalFault(error);
  }
  const from = memory.position as Position;
  run.left -= CALL_COST * (await memory.windows.begin(deps.store, where, from, definitions));
  try {
    const folded = await aggregate(
      {
        store: deps.store,
        cache: memory.windows,
        source: where,
        definitions,
        latenessMs,
        processedTopic,
        watermarkMs: next.watermarkMs,
        nextOffset: next.nextOffset,
        today: dayOf(nowMs),
        // What it is built beside has those that begin before.
        fromMs: source.building?.fromTimeMs ?? -Infinity,
        maxResults: memory.maxResults,
        mayBeCut,
      },
      samples,
    );
    if (folded === "too_large") return TOO_MANY_WINDOWS;
    run.left -= CALL_COST * folded.calls;
    return folded;
  } catch (error) {
    if (error instanceof FoldError) return internalFault(error);
    throw error;
  }
}

/** What our own code does not get over on the way from the rows to their windows; for a rehearsal. */
export function faultOfSamples(plan: ProcessedPlan): Fault | undefined {
  try {
    for (const sample of allSamplesOf(plan)) {
      const partial = emptyPartial(0);
      fold(partial, sample);
      encodePartial(partial);
    }
    return undefined;
  } catch (error) {
    return internalFault(error);
  }
}

/** Those of the rows, and those that handlers of events gave. */
function allSamplesOf({ rows, samples }: ProcessedPlan): Sample[] {
  const ofRows = samplesOf(rows);
  return samples.length === 0 ? ofRows : [...ofRows, ...samples];
}
