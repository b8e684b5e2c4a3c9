// Windows that are added up series by series, each told as if all of its series had been there at once.
import type { ReadWindow } from "../windows/merge.ts";
import { WholeSum } from "../windows/result.ts";
import { mergedOf, tooManyMerged, type FoundRow, type MergedWindow } from "./window-answer.ts";

/** Bins of all sketches together, some 20 bytes each. A sketch has a few hundred as a rule. */
const MAX_BINS = 1_000_000;

interface Adding extends MergedWindow {
  group: string;
  sum: WholeSum;
}

export class MergedWindows {
  readonly #windows = new Map<string, Adding>();

  get count(): number {
    return this.#windows.size;
  }

  /** Of series of which none was in what was added before. */
  add<R extends FoundRow>(window: ReadWindow<R>): void {
    const { group, startMs } = window;
    const merged = mergedOf(window);
    const key = `${startMs}/${group}`;
    const known = this.#windows.get(key);
    const sum = known?.sum ?? new WholeSum();
    sum.add(merged.whole);
    this.#windows.set(key, {
      ...merged,
      revision: merged.revision + (known?.revision ?? 0),
      isDue: merged.isDue || known?.isDue === true,
      group,
      sum,
      whole: sum.whole(),
    });
  }

  /** @returns why they are refused: so many at once would need too much memory */
  check() {
    let bins = 0;
    for (const { whole } of this.#windows.values()) {
      const { positive, negative } = whole.partial.sketch;
      bins += positive.keys.length + negative.keys.length;
    }
    return bins > MAX_BINS
      ? tooManyMerged("has results in a single window that are too large together")
      : undefined;
  }

  /** The newest start first; of one start the last group first. */
  newestFirst(): MergedWindow[] {
    return newestFirst([...this.#windows.values()]);
  }
}

/** As groupRows orders them, backwards. */
export function newestFirst<T extends { startMs: number; group: string }>(windows: readonly T[]): T[] {
  return windows.toSorted(
    (a, b) => b.startMs - a.startMs || (a.group < b.group ? 1 : -Number(a.group > b.group)),
  );
}
