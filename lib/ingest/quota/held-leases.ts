// The tokens that an isolate holds of one bucket, lease by lease, oldest first: spent from there, and gone with each
// lease's time.
import { isWithin } from "../../kafka/timer.ts";
import { LEASE_USE_MS, type LeaseReturn } from "./lease.ts";
import { DIMENSIONS, type Amounts, type Dimension } from "./limits.ts";

interface Lease {
  id: string;
  sentAtMs: number;
  amounts: Amounts;
  /** A newer one has replaced it; the little it kept is for the time in between. */
  isReplaced: boolean;
}

export class HeldLeases {
  #leases: Lease[] = [];

  /** @param sentAtMs when it was asked for, which is when its time began */
  add(id: string, sentAtMs: number, amounts: Amounts): void {
    this.#leases.push({ id, sentAtMs, amounts: { ...amounts }, isReplaced: false });
  }

  expire(nowMs: number): void {
    this.#leases = this.#leases.filter(({ sentAtMs }) => isWithin(sentAtMs, LEASE_USE_MS, nowMs));
  }

  sum(dimension: Dimension): number {
    let sum = 0;
    for (const { amounts } of this.#leases) sum += amounts[dimension] ?? 0;
    return sum;
  }

  /** All of it or nothing. */
  spend(need: Amounts): boolean {
    if (!DIMENSIONS.every((dimension) => this.sum(dimension) >= (need[dimension] ?? 0))) return false;
    for (const dimension of DIMENSIONS) {
      let rest = need[dimension] ?? 0;
      for (const { amounts } of this.#leases) {
        const part = Math.min(rest, amounts[dimension] ?? 0);
        if (part <= 0) continue;
        amounts[dimension] = (amounts[dimension] ?? 0) - part;
        rest -= part;
      }
    }
    return true;
  }

  /** Reports every lease, and gives up all but `keep` of it: gone here at once, whether or not the object hears. */
  giveUp(keep: (dimension: Dimension) => number): LeaseReturn[] {
    const returns: LeaseReturn[] = [];
    for (const lease of this.#leases) {
      const returned: Amounts = {};
      const kept: Amounts = {};
      for (const dimension of DIMENSIONS) {
        const amount = lease.amounts[dimension] ?? 0;
        const stays = Math.min(amount, keep(dimension));
        if (stays > 0) kept[dimension] = stays;
        if (amount > stays) returned[dimension] = amount - stays;
      }
      lease.amounts = { ...kept };
      returns.push({ id: lease.id, returned, kept });
    }
    this.#leases = this.#leases.filter(({ amounts }) => Object.keys(amounts).length > 0);
    return returns;
  }

  markReplaced(): void {
    for (const lease of this.#leases) lease.isReplaced = true;
  }

  sentAtMs(id: string): number | undefined {
    return this.#leases.find((lease) => lease.id === id)?.sentAtMs;
  }

  /** @returns what it still held; undefined: nothing, or it has been replaced */
  drop(id: string): Amounts | undefined {
    const lease = this.#leases.find((one) => one.id === id);
    if (!lease || lease.isReplaced) return undefined;
    this.#leases = this.#leases.filter((one) => one !== lease);
    return DIMENSIONS.some((dimension) => (lease.amounts[dimension] ?? 0) > 0) ? lease.amounts : undefined;
  }
}
