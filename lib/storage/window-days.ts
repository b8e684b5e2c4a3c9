// Windows by the UTC days of their starts, which is how stores keep them.
import { DAY_MS, dayOf } from "./day.ts";
import type { StoredWindow, WindowLookup, WindowPlace } from "./storage.ts";

export function windowsByDay<T extends WindowPlace>(windows: readonly T[]): Map<number, T[]> {
  const days = new Map<number, T[]>();
  for (const window of windows) {
    const day = dayOf(window.startMs);
    const others = days.get(day);
    if (others) others.push(window);
    else days.set(day, [window]);
  }
  return days;
}

/** A look-up, and which of all it is. */
export type Span = WindowLookup & { place: number };

/** What is looked up in a day: starts that are known, sessions within spans, and others within spans. */
export interface SpansOfDay {
  exact: Span[];
  sessions: Span[];
  others: Span[];
}

export function spansByDay(lookups: readonly WindowLookup[]): Map<number, SpansOfDay> {
  const days = new Map<number, SpansOfDay>();
  for (const [place, lookup] of lookups.entries()) {
    for (let day = dayOf(lookup.fromMs); day * DAY_MS <= lookup.toMs; day++) {
      const spans = days.get(day) ?? { exact: [], sessions: [], others: [] };
      days.set(day, spans);
      spans[kindOf(lookup)].push({ ...lookup, place });
    }
  }
  return days;
}

const kindOf = ({ fromMs, toMs, window }: WindowLookup) => {
  if (fromMs === toMs) return "exact";
  return window.startsWith("session:") ? "sessions" : "others";
};

/** What look-ups found, each window once: spans may overlap. */
export class FoundWindows {
  readonly #lookups: readonly WindowLookup[];
  readonly #found = new Map<string, StoredWindow>();

  constructor(lookups: readonly WindowLookup[]) {
    this.#lookups = lookups;
  }

  add(place: number, contents: Omit<StoredWindow, "tenant" | "name" | "series" | "window">): void {
    const { tenant, name, series, window } = this.#lookups[place] as WindowLookup;
    this.#found.set([tenant, name, series, window, contents.startMs].join("\0"), {
      tenant,
      name,
      series,
      window,
      ...contents,
    });
  }

  all(): StoredWindow[] {
    return [...this.#found.values()];
  }
}

/** The newest start of each definition. */
export function newestStarts(windows: readonly WindowPlace[]): Map<string, number> {
  const newest = new Map<string, number>();
  for (const { window, startMs } of windows)
    newest.set(window, Math.max(newest.get(window) ?? startMs, startMs));
  return newest;
}

/**
 * Each once, as the last one is, in the order of their key: what lies together in a store is written together, which
 * takes D1 some 20 % less time than any order. Grouped first, since to sort by one text is quick.
 */
export function inKeyOrder(windows: readonly StoredWindow[]): StoredWindow[] {
  const groups = new Map<string, Map<string, StoredWindow>>();
  for (const window of windows) {
    const key = [window.tenant, window.name, window.window, window.startMs].join("\0");
    const others = groups.get(key);
    if (others) others.set(window.series, window);
    else groups.set(key, new Map([[window.series, window]]));
  }
  return [...groups.keys()]
    .toSorted()
    .flatMap((key) =>
      [...(groups.get(key)?.values() ?? [])].toSorted((a, b) => (a.series < b.series ? -1 : 1)),
    );
}
