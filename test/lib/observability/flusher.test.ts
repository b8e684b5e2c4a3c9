// Deliveries of counts: numbered, one at a time, given again as they were, at most one promise at a time.
import { describe, expect, it } from "vitest";
import { familyOf } from "../../../lib/observability/counts.ts";
import { Flusher } from "../../../lib/observability/flusher.ts";
import { Registry } from "../../../lib/observability/registry.ts";

const family = familyOf("weir_quota_refused_total");

function isolate() {
  const registry = new Registry();
  let ids = 0;
  const flusher = new Flusher(registry, () => `isolate-${ids++}`);
  return { flusher, count: (by: number) => registry.count("weir_quota_refused_total", {}, by) };
}

const figure = (flusher: Flusher, nowMs: number) => {
  const flush = flusher.next(nowMs);
  return flush && [flush.isolate, flush.sequence, flush.counts.get(family)?.get("")?.[0]];
};

describe("deliveries", () => {
  it("are given again under their number until they are confirmed; later counts wait for the next", () => {
    const { flusher, count } = isolate();
    expect(flusher.next(0)).toBeUndefined();
    count(1);
    expect(figure(flusher, 0)).toEqual(["isolate-0", 1, 1]);
    count(10);
    expect(figure(flusher, 1_000)).toEqual(["isolate-0", 1, 1]);
    flusher.confirm(1);
    expect(figure(flusher, 2_000)).toEqual(["isolate-0", 2, 10]);
    // A late answer to the first must not confirm the second.
    flusher.confirm(1);
    expect(figure(flusher, 3_000)).toEqual(["isolate-0", 2, 10]);
    flusher.confirm(2);
    expect(flusher.next(4_000)).toBeUndefined();
  });

  it("are given up before their number could be forgotten, visibly", () => {
    const { flusher, count } = isolate();
    count(1);
    flusher.next(0);
    count(2);
    const later = 30 * 60_000 + 1;
    expect(figure(flusher, later - 1)).toEqual(["isolate-0", 1, 1]);
    expect(figure(flusher, later)).toEqual(["isolate-0", 2, 2]);
    const lost = flusher.next(later)?.counts.get(familyOf("weir_edge_flushes_lost_total"));
    expect(lost).toEqual(new Map([["", [1]]]));
  });
});

describe("a promise to flush", () => {
  it("is due at once after a pause, else an interval after the last, and is made by one request at a time", () => {
    const { flusher, count } = isolate();
    expect(flusher.promise(0, 1_000)).toBeUndefined();
    count(1);
    expect(flusher.promise(10_000, 1_000)).toBe(0);
    expect(flusher.promise(10_000, 1_000)).toBeUndefined();
    flusher.next(10_000);
    flusher.confirm(1);
    count(1);
    expect(flusher.promise(10_300, 1_000)).toBe(700);
    expect(flusher.promise(10_900, 1_000)).toBeUndefined();
  });

  it("is taken over when whoever made it is gone", () => {
    const { flusher, count } = isolate();
    count(1);
    expect(flusher.promise(0, 1_000)).toBe(0);
    expect(flusher.promise(1_999, 1_000)).toBeUndefined();
    expect(flusher.promise(2_000, 1_000)).toBe(0);
  });

  it("stands for what was not confirmed, too", () => {
    const { flusher, count } = isolate();
    count(1);
    flusher.next(0);
    expect(flusher.promise(5_000, 1_000)).toBe(0);
  });
});
