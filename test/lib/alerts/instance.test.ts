// The states of an alert against a reference that is written from the other side: from the whole history of the
// condition, without any state of its own.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fingerprintOf,
  isForgotten,
  MEMORY_MS,
  step,
  type AlertInstance,
  type TransitionState,
} from "../../../lib/alerts/instance.ts";

const labels = { host: "a" };
type Look = boolean | undefined;

/** One look a second. */
function walk(looks: readonly Look[], forMs: number) {
  let instance: AlertInstance | undefined;
  return looks.map((isViolated, i) => {
    const observation = isViolated === undefined ? undefined : { labels, value: i, isViolated };
    const stepped = step("rule", instance, observation, forMs, 1_000_000 + i * 1_000);
    instance = stepped?.after ?? instance;
    return { state: instance?.state ?? "inactive", transition: stepped?.transition, instance };
  });
}

/** What was not seen is as it was before. */
function stateAt(looks: readonly Look[], i: number, forMs: number): "inactive" | "pending" | "firing" {
  const seen = looks.slice(0, i + 1).flatMap((look, at) => (look === undefined ? [] : [{ look, at }]));
  const last = seen.at(-1);
  if (!last?.look) return "inactive";
  const calm = seen.findLast(({ look }) => !look);
  const begin = seen.find(({ look, at }) => look && at > (calm?.at ?? -1));
  return (last.at - (begin?.at ?? 0)) * 1_000 >= forMs ? "firing" : "pending";
}

describe("the state of an alert", () => {
  it("follows from the history of its condition", () => {
    const look = fc.constantFrom<Look>(true, true, false, undefined);
    fc.assert(
      fc.property(
        fc.array(look, { maxLength: 40 }),
        fc.constantFrom(0, 1_000, 3_000, 7_500),
        (looks, forMs) => {
          const walked = walk(looks, forMs);
          for (const [i, { state }] of walked.entries()) expect(state).toBe(stateAt(looks, i, forMs));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("has a transition exactly where it changes, and its name says from where", () => {
    const look = fc.constantFrom<Look>(true, false, undefined);
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), fc.constantFrom(0, 2_000), (looks, forMs) => {
        let before = "inactive";
        for (const { state, transition } of walk(looks, forMs)) {
          const wanted: Record<string, TransitionState> = {
            "inactive pending": "pending",
            "inactive firing": "firing",
            "pending firing": "firing",
            "pending inactive": "inactive",
            "firing inactive": "resolved",
          };
          expect(transition).toBe(wanted[`${before} ${state}`]);
          before = state;
        }
      }),
      { numRuns: 500 },
    );
  });

  it("never fires for a condition that flaps faster than `for`", () => {
    const states = walk([true, false, true, true, false, true, false, true], 3_000).map(({ state }) => state);
    expect(states).not.toContain("firing");
  });

  it("tells since when the condition holds, not since when it fires", () => {
    const last = walk([false, true, true, true], 2_000).at(-1)?.instance;
    expect(last).toMatchObject({ state: "firing", activeMs: 1_001_000, sinceMs: 1_003_000 });
  });

  it("does not wait for ever when the clock is set back", () => {
    let instance = step("rule", undefined, { labels, value: 1, isViolated: true }, 2_000, 9_000_000)?.after;
    for (const nowMs of [1_000, 3_000])
      instance = step("rule", instance, { labels, value: 1, isViolated: true }, 2_000, nowMs)?.after;
    expect(instance?.state).toBe("firing");
  });

  it("remembers what it has seen for as long as it could be met again", () => {
    const [over] = walk([true, false], 0).slice(-1);
    const instance = { ...(over?.instance as AlertInstance), seenViolation: "2000000000000" };
    expect(isForgotten(instance, 2_000_000 + MEMORY_MS)).toBe(false);
    expect(isForgotten(instance, 2_000_001 + MEMORY_MS)).toBe(true);
    expect(isForgotten({ ...instance, state: "firing" }, 9e12)).toBe(false);
  });

  it("is told apart by all of its labels, in whatever order", () => {
    expect(fingerprintOf({ a: "1", b: "2" })).toBe(fingerprintOf({ b: "2", a: "1" }));
    expect(new Set([{ a: "1" }, { a: "2" }, { b: "1" }, { a: "1", b: "" }, {}].map(fingerprintOf)).size).toBe(
      5,
    );
    expect(fingerprintOf({})).toMatch(/^[0-9a-f]{32}$/);
  });
});
