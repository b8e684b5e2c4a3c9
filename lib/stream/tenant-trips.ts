// Tenants of whose records nearly all are refused by the store: looking for the good ones among them would hold up
// everybody else on the partition. Such a tenant's refused messages are dead-lettered whole, but for one a minute, which
// shows whether it is better. What the store takes is stored all the same, whoever it belongs to.

const WINDOW_MS = 600_000;
const MIN_RECORDS = 100;
const FAILING_SHARE = 0.9;
const RETRY_MS = 60_000;

interface Outcome {
  atMs: number;
  records: number;
  failed: number;
}

export class TenantTrips {
  /** Of refused messages, by tenant, oldest first. */
  readonly #outcomes = new Map<string, Outcome[]>();
  /** When one message of a tripped tenant is looked into again. */
  readonly #retryMs = new Map<string, number>();

  /** A message of the tenant was refused. @returns whether to look for what is good in it */
  mayLookInto(tenant: string, nowMs: number): boolean {
    const retryMs = this.#retryMs.get(tenant);
    if (retryMs === undefined) return true;
    if (nowMs < retryMs) return false;
    // One alone: the next has to wait for what comes of it.
    this.#retryMs.set(tenant, nowMs + RETRY_MS);
    return true;
  }

  /** A refused message was looked into: so many of its records failed. */
  note(tenant: string, records: number, failed: number, nowMs: number): void {
    const wasTripped = this.#retryMs.has(tenant);
    if (wasTripped && failed < records * FAILING_SHARE) {
      this.#retryMs.delete(tenant);
      this.#outcomes.delete(tenant);
      return;
    }
    const recent = (this.#outcomes.get(tenant) ?? []).filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
    recent.push({ atMs: nowMs, records, failed });
    this.#outcomes.set(tenant, recent);
    let allRecords = 0;
    let allFailed = 0;
    for (const one of recent) {
      allRecords += one.records;
      allFailed += one.failed;
    }
    const isFailing = allRecords >= MIN_RECORDS && allFailed >= allRecords * FAILING_SHARE;
    if (wasTripped || isFailing) this.#retryMs.set(tenant, nowMs + RETRY_MS);
  }

  /** Those that are tripped; one that had nothing refused for ten minutes is none any more. */
  tripped(nowMs: number): string[] {
    for (const [tenant, outcomes] of this.#outcomes) {
      if ((outcomes.at(-1)?.atMs ?? 0) > nowMs - WINDOW_MS) continue;
      this.#outcomes.delete(tenant);
      this.#retryMs.delete(tenant);
    }
    return [...this.#retryMs.keys()].toSorted();
  }
}
