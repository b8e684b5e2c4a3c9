// Changes to what the spillway holds, summed by tenant and signal before they are written down.

/** Of one tenant and signal, or a change to it. */
export type Total = { tenant: string; signal: string; messages: number; records: number; bytes: number };

/** Changes by tenant and signal. */
export class Totals {
  readonly #totals = new Map<string, Total>();
  bytes = 0;

  add(change: Total): void {
    this.bytes += change.bytes;
    // No tenant has a space in it.
    const name = `${change.tenant} ${change.signal}`;
    const total = this.#totals.get(name);
    if (!total) this.#totals.set(name, { ...change });
    else {
      total.messages += change.messages;
      total.records += change.records;
      total.bytes += change.bytes;
    }
  }

  [Symbol.iterator](): Iterator<Total> {
    return this.#totals.values();
  }
}
