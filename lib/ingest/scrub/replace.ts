// What stands for a text that was taken out: `[masked]`, or `[hash:…]` with 16 hexadecimal digits, which are the same for
// the same text under the same salt. Both are known again, so that what was scrubbed once stays as it is.
import { createHmac } from "node:crypto";
import { exceedsBytes } from "../../telemetry/text.ts";
import { merged, type Span } from "./patterns.ts";
import type { ScrubRule } from "./rules.ts";

export const MASKED = "[masked]";

const MARKER = /\[(?:masked|hash:[0-9a-f]{16})\]/g;
const WHOLE_MARKER = /^\[(?:masked|hash:[0-9a-f]{16})\]$/;

/** More than a change of one find's surroundings by another can need. */
const MAX_ROUNDS = 4;

/** Counts by a rule's place what it changed. */
export type ScrubCounts = number[];

export class Replacer {
  readonly #salt: string;

  /** @param salt used by rules with `hash` alone */
  constructor(salt: string) {
    this.#salt = salt;
  }

  /** What stands for the whole of a value. */
  markerFor(rule: ScrubRule, text: string): string {
    if (rule.action !== "hash") return MASKED;
    return `[hash:${createHmac("sha256", this.#salt).update(text).digest("hex").slice(0, 16)}]`;
  }

  /**
   * Applies rules, in their order, to one text.
   * @param maxBytes what the text may have at its place; a marker is longer than some of what it stands for
   * @returns the text that is left; undefined where a rule drops it
   */
  scrub(
    text: string,
    rules: readonly ScrubRule[],
    counts: ScrubCounts,
    maxBytes?: number,
  ): string | undefined {
    if (rules.length === 0) return text;
    const left = this.#apply(text, rules, counts);
    const isOver = maxBytes !== undefined && left !== undefined && left.length > text.length;
    return isOver && exceedsBytes(left, maxBytes) ? MASKED : left;
  }

  #apply(text: string, rules: readonly ScrubRule[], counts: ScrubCounts): string | undefined {
    const counted = new Set<number>();
    let current = text;
    let active = rules;
    for (let round = 0; ; round++) {
      let isChangedNow = false;
      for (const rule of active) {
        const next = rule.find ? this.#replaceFinds(current, rule) : this.#replaceWhole(current, rule);
        if (next === current) continue;
        if (!counted.has(rule.index)) counts[rule.index] = (counts[rule.index] ?? 0) + 1;
        counted.add(rule.index);
        if (next === undefined) return undefined;
        current = next;
        isChangedNow = true;
      }
      if (!isChangedNow) return current;
      // One rule's replacement may uncover what another looks for: a second look must find nothing any more.
      active = rules.filter(({ isBuiltIn }) => isBuiltIn);
      if (round === MAX_ROUNDS) return MASKED;
    }
  }

  #replaceWhole(text: string, rule: ScrubRule): string | undefined {
    if (text === "" || WHOLE_MARKER.test(text)) return text;
    return rule.action === "drop" ? undefined : this.markerFor(rule, text);
  }

  #replaceFinds(text: string, rule: ScrubRule): string | undefined {
    const finds = outsideMarkers(text, rule.find?.(text) ?? []);
    if (finds.length === 0) return text;
    if (rule.action === "drop") return undefined;
    let result = "";
    let at = 0;
    for (const [start, end] of finds) {
      result += text.slice(at, start) + this.markerFor(rule, text.slice(start, end));
      at = end;
    }
    return result + text.slice(at);
  }
}

/** Finds inside a marker are none; one that reaches beyond a marker takes it in. */
function outsideMarkers(text: string, finds: readonly Span[]): readonly Span[] {
  if (finds.length === 0) return finds;
  const markers = [...text.matchAll(MARKER)].map(({ index, 0: found }): Span => [
    index,
    index + found.length,
  ]);
  if (markers.length === 0) return finds;
  let at = 0;
  const grown: Span[] = [];
  for (const [start, end] of finds) {
    while (at < markers.length && (markers[at] as Span)[1] <= start) at++;
    let [from, to] = [start, end];
    let isInside = false;
    for (let i = at; i < markers.length && (markers[i] as Span)[0] < end; i++) {
      const [markerStart, markerEnd] = markers[i] as Span;
      if (markerStart <= start && end <= markerEnd) isInside = true;
      from = Math.min(from, markerStart);
      to = Math.max(to, markerEnd);
    }
    if (!isInside) grown.push([from, to]);
  }
  return merged(grown);
}
