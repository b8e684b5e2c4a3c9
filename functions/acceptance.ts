// What the edge has accepted, counted apart from the log, for the ledger. A request holds its records here before they
// are written, tells their verdicts, and answers once the keeper of the totals knows that this isolate has some.
import { AcceptanceTally, MAX_UNREPORTED, type Accepted, type Hold } from "../lib/ingest/acceptance/tally.ts";
import { emptyTotals, addTotals, type AcceptanceTotals } from "../lib/ingest/acceptance/totals.ts";
import { logger } from "../lib/observability/logger.ts";
import type { Signal } from "../lib/telemetry/signal.ts";
import { deploymentOf } from "./deployment.ts";
import { callObject } from "./object-call.ts";

/** Objects that share the isolates. Fewer of them later would leave the totals of the others out. */
const SHARDS = 4;

/** What an answer waits for the keeper, at most. */
const OPEN_DEADLINE_MS = 500;

/** What one delivery, or one reading of the totals, may take. */
const SHARD_DEADLINE_MS = 2_000;

/** While the keeper does not answer, one request in this time waits for it, and the others go on. */
const AWAY_MS = 1_000;

const tally = new AcceptanceTally(() => crypto.randomUUID());
let awayUntilMs = 0;

/**
 * One request's part. Only what goes to a signal's own raw topic is counted: nothing else is read and stored.
 *
 * ```ts
 * const acceptance = new Acceptance(env, waitUntil);
 * const begun = acceptance.begin({ tenant, signal, records }); // those that will be written, not the rejected ones
 * try {
 *   … the produce, and what is spilled …
 *   acceptance.note({ tenant, signal, accepted, unconfirmed }); // zeros where it is certain that nothing was written
 * } finally {
 *   await begun;
 *   await acceptance.settle(); // then the answer
 * }
 * ```
 *
 * Records that were begun and are not noted by `settle` count as unconfirmed. None of it throws.
 */
export class Acceptance {
  readonly #env: Env;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #hold: Hold | undefined;
  #isAway = false;
  #noted = 0;

  constructor(env: Env, waitUntil: (promise: Promise<unknown>) => void) {
    this.#env = env;
    this.#waitUntil = waitUntil;
  }

  /** Concurrently with the produce; the answer waits for it, at most 500 ms. */
  async begin(about: { tenant: string; signal: Signal; records: number }): Promise<void> {
    this.#hold = tally.hold(about.tenant, about.signal, about.records, Date.now());
    await this.#open();
  }

  note(counts: Accepted): void {
    tally.note(counts);
    this.#noted += counts.accepted;
    this.#release();
  }

  /** Has the counts given away behind the answer, or before it where too many are held back. */
  async settle(): Promise<void> {
    const hold = this.#hold;
    if (hold) {
      tally.note({ ...hold, accepted: 0, unconfirmed: hold.records });
      this.#release();
    }
    // What was opened may have been delivered meanwhile, and what was noted be of the next interval.
    if (this.#noted > 0) await this.#open();
    tally.answered(this.#noted);
    this.#noted = 0;
    if (tally.unreported() > MAX_UNREPORTED && !isAway()) return await deliver(this.#env);
    const intervalMs = tally.isPressing() ? 0 : deploymentOf(this.#env).config.EDGE_FLUSH_MS;
    const waitMs = tally.promise(Date.now(), intervalMs);
    if (waitMs !== undefined) this.#waitUntil(deliverIn(this.#env, waitMs));
  }

  #release(): void {
    if (this.#hold) tally.release(this.#hold);
    this.#hold = undefined;
  }

  async #open(): Promise<void> {
    const opening = tally.opening();
    if (!opening || this.#isAway || isAway()) return;
    const answer = await callObject(OPEN_DEADLINE_MS, async () => await ownShard(this.#env).open(opening));
    if (answer.ok) return tally.opened(opening);
    this.#isAway = true;
    awayUntilMs = Date.now() + AWAY_MS;
    logger.warn("acceptance_not_opened", { sequence: opening.sequence, message: answer.message });
  }
}

export interface ReadAcceptance extends AcceptanceTotals {
  /** Shards that did not answer: what they have is missing. */
  errors: number;
}

/** Totals of all isolates, this one's latest included. @param tenant undefined: of all tenants */
export async function readAcceptance(env: Env, tenant: string | undefined): Promise<ReadAcceptance> {
  await deliver(env);
  const answers = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) =>
      callObject(SHARD_DEADLINE_MS, async () => await shardOf(env, shard).read(tenant ?? null)),
    ),
  );
  const totals = emptyTotals();
  let errors = 0;
  answers.forEach((answer, shard) => {
    if (answer.ok) return addTotals(totals, answer.value);
    errors++;
    logger.warn("acceptance_unread", { shard, message: answer.message });
  });
  return { ...totals, errors };
}

async function deliverIn(env: Env, waitMs: number): Promise<void> {
  if (waitMs > 0) await scheduler.wait(waitMs);
  await deliver(env);
}

/** Gives away what is counted. What fails is kept and goes with a later one. */
async function deliver(env: Env): Promise<void> {
  // The second is what was counted while the first was not confirmed.
  for (let i = 0; i < 2; i++) {
    const delivery = tally.next(Date.now());
    if (!delivery) return;
    // oxlint-disable-next-line no-await-in-loop -- the next has its number only when this one is confirmed
    const answer = await callObject(SHARD_DEADLINE_MS, async () => await ownShard(env).deliver(delivery));
    if (!answer.ok) {
      logger.warn("acceptance_not_delivered", { sequence: delivery.sequence, message: answer.message });
      return;
    }
    tally.confirm(delivery);
  }
}

const isAway = () => Date.now() < awayUntilMs;

const shardOf = (env: Env, shard: number) => env.ACCEPTANCE.getByName(`shard-${shard}`);

const ownShard = (env: Env) => shardOf(env, Number.parseInt(tally.isolate().slice(0, 8), 16) % SHARDS);
