// How many records may be sent by now, and how many were: acts open a share each, lanes draw on it. Nobody waits here
// beyond a bound of their own.
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 10;

export class Load {
  /** Records in requests that were begun. */
  issued = 0;
  #allowed = 0;
  #isPaused = false;
  #isOver = false;
  #inFlight = 0;

  /** Lanes may go on up to here. */
  allow(records: number): void {
    this.#allowed = records;
  }

  /** Nothing is begun, nothing is tried again. */
  end(): void {
    this.#isOver = true;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @returns false when the run is over */
  async take(records: number): Promise<boolean> {
    while (!this.#isOver && (this.#isPaused || this.issued >= this.#allowed)) await sleep(POLL_MS);
    if (this.#isOver) return false;
    this.issued += records;
    return true;
  }

  /** Around each request of a lane, its retries with it. */
  async during(request: () => Promise<void>): Promise<void> {
    this.#inFlight++;
    try {
      await request();
    } finally {
      this.#inFlight--;
    }
  }

  /** A request that no share counts; it waits while all do. @returns false when the run is over */
  async beside(request: () => Promise<void>): Promise<boolean> {
    while (!this.#isOver && this.#isPaused) await sleep(POLL_MS);
    if (this.#isOver) return false;
    await this.during(request);
    return true;
  }

  /** No new requests; resolves once those in flight are settled. @returns false when they are not in time */
  async pause(withinMs: number): Promise<boolean> {
    this.#isPaused = true;
    return await waitFor(() => this.#inFlight === 0, withinMs);
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Until so many were sent, or the time is up. */
  async reaches(records: number, withinMs: number): Promise<void> {
    await waitFor(() => this.issued >= records, withinMs);
  }
}

/** @returns whether it held in time */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  withinMs: number,
): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}
