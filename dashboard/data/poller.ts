// One clock for all panels: each is asked when it is due and never twice at once. When the server is away only one
// question goes out, ever more rarely; when it is back all of them do. A refused key stops everything until a new one.
// One question that takes too long while others are answered is not the server being away.
import type { Problem } from "./api-client.ts";

export type Outcome = { ok: true } | { ok: false; problem: Problem };

export interface Job {
  everyMs: number;
  run: () => Promise<Outcome>;
}

export type PollerState = "live" | "paused" | "unreachable" | "unauthorized";

export interface PollerTimers {
  now(): number;
  /** Calls back after `ms`; answers what cancels it. */
  after(ms: number, action: () => void): () => void;
}

const retryFirstMs = 1_000;
const retryMaxMs = 15_000;
/** A scope that is missing, or an endpoint that is not there, seldom changes while a page is open. */
const deniedRetryMs = 60_000;

interface Slot {
  job: Job;
  dueMs: number;
  running: boolean;
}

export class Poller {
  readonly #timers: PollerTimers;
  readonly #onState: (state: PollerState) => void;
  readonly #slots: Slot[];
  #state: PollerState = "paused";
  #failures = 0;
  /** Counts what the server answered, whatever it was. */
  #answers = 0;
  /** Counts the starts: an answer to a question from before, perhaps with another key, says nothing about now. */
  #generation = 0;
  #cancel: () => void = () => {};

  constructor(jobs: readonly Job[], timers: PollerTimers, onState: (state: PollerState) => void) {
    this.#timers = timers;
    this.#onState = onState;
    this.#slots = jobs.map((job) => ({ job, dueMs: 0, running: false }));
  }

  /** Asks everything now; also after a pause and with a new key. */
  start(): void {
    this.#generation += 1;
    this.#failures = 0;
    for (const slot of this.#slots) slot.dueMs = 0;
    this.#enter("live");
  }

  pause(): void {
    if (this.#state !== "unauthorized") this.#enter("paused");
  }

  /** Asks one job now, as after something was sent. */
  hurry(job: Job): void {
    for (const slot of this.#slots) if (slot.job === job) slot.dueMs = 0;
    this.#schedule();
  }

  #enter(state: PollerState): void {
    const changed = state !== this.#state;
    this.#state = state;
    if (changed) this.#onState(state);
    this.#schedule();
  }

  #schedule(): void {
    this.#cancel();
    if (this.#state === "paused" || this.#state === "unauthorized") return;
    const waiting = this.#slots.filter(({ running }) => !running);
    if (waiting.length === 0 || (this.#state === "unreachable" && waiting.length < this.#slots.length))
      return;
    const dueMs = Math.min(...waiting.map((slot) => slot.dueMs));
    this.#cancel = this.#timers.after(Math.max(0, dueMs - this.#timers.now()), () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.#timers.now();
    const due = this.#slots.filter((slot) => !slot.running && slot.dueMs <= nowMs);
    // Another one each time: where Kafka hangs, what asks for it would not be answered by a server that is back.
    const probe = this.#failures % Math.max(1, due.length);
    for (const slot of this.#state === "unreachable" ? due.slice(probe, probe + 1) : due)
      void this.#ask(slot);
    this.#schedule();
  }

  async #ask(slot: Slot): Promise<void> {
    const generation = this.#generation;
    const isProbe = this.#state === "unreachable";
    const answersBefore = this.#answers;
    slot.running = true;
    const outcome = await slot.job.run();
    slot.running = false;
    const kind = outcome.ok ? undefined : outcome.problem.kind;
    if (kind !== "unreachable" && kind !== "slow") this.#answers += 1;
    const isAway = kind === "unreachable" || (kind === "slow" && this.#answers === answersBefore);
    if (generation !== this.#generation) return this.#schedule();
    const nowMs = this.#timers.now();
    slot.dueMs = nowMs + this.#delayMs(slot, outcome);
    // Paused meanwhile, or refused by another answer: this one changes nothing.
    if (this.#state === "paused" || this.#state === "unauthorized") return;
    if (kind === "unauthorized") return this.#enter("unauthorized");
    if (isAway) {
      // Questions that were under way together fail together: that is one failure.
      if (this.#state === "unreachable" && !isProbe) return this.#schedule();
      this.#failures += 1;
      const retryMs = Math.min(retryMaxMs, retryFirstMs * 2 ** (this.#failures - 1));
      for (const other of this.#slots) other.dueMs = nowMs + retryMs;
      return this.#enter("unreachable");
    }
    if (this.#state === "unreachable") return this.start();
    this.#schedule();
  }

  #delayMs({ job }: Slot, outcome: Outcome): number {
    if (outcome.ok) return job.everyMs;
    const { kind, retryAfterMs } = outcome.problem;
    if (kind === "forbidden" || kind === "missing") return deniedRetryMs;
    return Math.max(job.everyMs, retryAfterMs ?? 0);
  }
}
