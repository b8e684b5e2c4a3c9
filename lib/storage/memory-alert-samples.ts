// The samples of alert rules in the store in memory.
import { alertSampleKey, mergeAlertSample } from "./alert-samples.ts";
import type { AlertSample, PartitionCommit } from "./storage.ts";

export class MemoryAlertSamples {
  readonly #byKey = new Map<string, { sample: AlertSample; updatedMs: number }>();

  apply({ alertSamples, committedAtMs }: Pick<PartitionCommit, "alertSamples" | "committedAtMs">): void {
    for (const sample of alertSamples) {
      const key = alertSampleKey(sample);
      const known = this.#byKey.get(key);
      this.#byKey.set(key, {
        sample: known ? mergeAlertSample(known.sample, sample) : structuredClone(sample),
        updatedMs: Math.max(known?.updatedMs ?? 0, committedAtMs),
      });
    }
  }

  /** @param limit for each rule */
  of(tenant: string, rules: readonly string[], limit: number): AlertSample[] {
    return rules.flatMap((rule) =>
      [...this.#byKey.values()]
        .filter(({ sample }) => sample.tenant === tenant && sample.rule === rule)
        .map(({ sample }) => structuredClone(sample))
        .toSorted((a, b) => (a.series < b.series ? -1 : 1))
        .slice(0, limit),
    );
  }

  /** @returns how many were dropped */
  prune(beforeMs: number, limit: number): number {
    let dropped = 0;
    for (const [key, { updatedMs }] of this.#byKey) {
      if (updatedMs >= beforeMs || dropped === limit) continue;
      this.#byKey.delete(key);
      dropped++;
    }
    return dropped;
  }
}
