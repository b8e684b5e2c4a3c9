// Empties the queue towards the intake, oldest first, one batch at a time. What may pass is retried for ever with
// exponential backoff and full jitter, never sooner than Retry-After; what cannot is dropped and said once.
import type { Clock } from "./clock.ts";
import type { Intake, Outcome } from "./intake.ts";
import type { Log } from "./log.ts";
import type { BatchQueue } from "./queue.ts";

const backoffBaseMs = 500;
const backoffMaxMs = 30_000;
/** A mistaken Retry-After of a day must not silence the agent for a day. */
const retryAfterMaxMs = 5 * 60_000;

/** Delay before attempt `attempt` + 1, `random` in [0, 1): full jitter, so that a fleet does not come back as one. */
export function backoffMs(attempt: number, afterMs: number | undefined, random: () => number): number {
  const ceilingMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(attempt, 16));
  return Math.min(afterMs ?? 0, retryAfterMaxMs) + random() * ceilingMs;
}

/** What a person should do about an answer that will not change by itself. */
function adviceFor({ status, code, detail }: Extract<Outcome, { kind: "refused" }>): string {
  const answer = [String(status), code, detail].filter(Boolean).join(" · ");
  if (status === 401) {
    return `the server refuses the key (${answer}). Set WEIR_KEY to a key with the scope ingest; \`npm start\` prints the development key. Samples are dropped until then.`;
  }
  if (status === 403)
    return `the key may not send metrics (${answer}). Use one with the scope ingest. Samples are dropped until then.`;
  if (status < 400)
    return `${answer} is not what Weir's intake answers. Check --url (WEIR_URL). Samples are dropped until then.`;
  if (status === 404)
    return `no intake at this address (${answer}). Check --url (WEIR_URL). Samples are dropped until then.`;
  return `the server refused a batch (${answer}); it is dropped.`;
}

/** Resolves when `stop` has aborted and one last attempt at each waiting batch was made, or when `kill` aborts. */
export async function deliver(context: {
  queue: BatchQueue;
  intake: Intake;
  clock: Clock;
  random: () => number;
  log: Log;
  stop: AbortSignal;
  kill: AbortSignal;
}): Promise<{ delivered: number }> {
  const { queue, intake, clock, random, log, stop, kill } = context;
  let attempt = 0;
  let delivered = 0;

  async function reportDropped(): Promise<void> {
    const quantity = queue.droppedMetrics;
    if (quantity === 0) return;
    const outcome = await intake.report(quantity, kill);
    if (outcome.kind === "retry") return;
    // An older server has no such endpoint: the line is then the only report, and asking again would not help.
    queue.markReported(quantity);
    log.say(`${quantity} metrics were dropped while the server was away: the queue was full`);
  }

  async function onAccepted(rejected: Extract<Outcome, { kind: "accepted" }>["rejected"]): Promise<void> {
    queue.remove();
    attempt = 0;
    delivered += 1;
    if (log.clear("delivery:")) log.say("the server accepts metrics again");
    for (const { path, reason, message } of rejected.slice(0, 3)) {
      log.sayOnce(
        `rejected:${reason}`,
        `the server rejected a metric: ${[reason, path, message].filter(Boolean).join(" · ")}`,
      );
    }
    await reportDropped();
  }

  for (;;) {
    await queue.waitForBatch(stop);
    const batch = kill.aborted ? undefined : queue.hold();
    if (!batch) {
      if (stop.aborted) return { delivered };
      continue;
    }
    const lastAttempt = stop.aborted;
    const outcome = await intake.send(batch, kill);
    if (outcome.kind === "accepted") {
      await onAccepted(outcome.rejected);
    } else if (outcome.kind === "refused") {
      queue.remove();
      attempt = 0;
      log.sayOnce(`delivery:${outcome.status}:${outcome.code}`, adviceFor(outcome));
    } else {
      queue.release();
      const ending = lastAttempt || kill.aborted;
      const next = ending ? "" : "; samples are kept and tried again";
      log.sayOnce("delivery:away", `cannot deliver to the server (${outcome.trouble})${next}`);
      if (ending) return { delivered };
      await clock.sleep(backoffMs(attempt, outcome.afterMs, random), stop);
      attempt += 1;
    }
  }
}
