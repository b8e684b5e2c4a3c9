/** Ends a wait: whoever asks is answered in time, whatever the network does. */
import { KafkaError } from "../kafka-error.ts";

/** The longest one call to a broker waits. */
export const CALL_TIMEOUT_MS = 4_000;
/** A call and the look-ups before it. */
const ANSWER_WITHIN_MS = CALL_TIMEOUT_MS + 500;

/** Rejects with `error()` when `work` takes longer; the work itself goes on. */
export async function within<T>(work: Promise<T>, timeoutMs: number, error: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), Math.max(1, timeoutMs));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The end of whatever a request needs of the cluster, `moreMs` later where it asked to wait. */
export function inTime<T>(work: Promise<T>, moreMs = 0): Promise<T> {
  return within(work, ANSWER_WITHIN_MS + moreMs, silence);
}

function silence(): KafkaError {
  return new KafkaError("request_timed_out", "the cluster does not answer");
}
