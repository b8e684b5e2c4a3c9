// The breaker: each transition by itself, and what must hold whatever happens in which order.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  askToTry,
  breakerShape,
  closedBreaker,
  FIRST_OPEN_MS,
  MAX_OPEN_MS,
  MIN_FAILURES,
  MIN_OPEN_MS,
  noteCalls,
  phaseOf,
  PROBE_LEASE_MS,
  PROBE_WAIT_MS,
  UntoldCalls,
  WINDOW_MS,
  type Breaker,
} from "../../../lib/kafka/breaker.ts";

const T0 = 1_750_000_000_000;
const FAILED = { ok: 0, failed: 1 };
const OK = { ok: 1, failed: 0 };
/** Chance at its longest. */
const LONGEST = 0.999_999;

/** Opened at T0, for a second. */
function openBreaker(random = LONGEST): Breaker {
  return noteCalls(closedBreaker(), { ok: 0, failed: MIN_FAILURES }, T0, random);
}

describe("closed", () => {
  it("lets everything through, and asking changes nothing", () => {
    const breaker = closedBreaker();
    expect(phaseOf(breaker, T0)).toBe("closed");
    const asked = askToTry(breaker, T0);
    expect(asked.answer).toEqual({ ok: true });
    expect(asked.breaker).toBe(breaker);
  });

  it("opens at the third failure within the window, not before", () => {
    let breaker = closedBreaker();
    for (const atMs of [T0, T0 + 4_000]) {
      breaker = noteCalls(breaker, FAILED, atMs, LONGEST);
      expect(phaseOf(breaker, atMs)).toBe("closed");
    }
    breaker = noteCalls(breaker, FAILED, T0 + 9_000, LONGEST);
    expect(phaseOf(breaker, T0 + 9_000)).toBe("open");
  });

  it("forgets what is older than the window", () => {
    let breaker = noteCalls(closedBreaker(), { ok: 0, failed: 2 }, T0, LONGEST);
    breaker = noteCalls(breaker, FAILED, T0 + WINDOW_MS, LONGEST);
    expect(phaseOf(breaker, T0 + WINDOW_MS)).toBe("closed");
    expect(breaker.slots).toHaveLength(1);
  });

  it("stays closed while most calls go well, and opens at half of them failing", () => {
    let breaker = noteCalls(closedBreaker(), { ok: 4, failed: 3 }, T0, LONGEST);
    expect(phaseOf(breaker, T0)).toBe("closed");
    breaker = noteCalls(breaker, FAILED, T0, LONGEST);
    expect(phaseOf(breaker, T0)).toBe("open");
  });

  it("is not opened by a report that went well", () => {
    const breaker = noteCalls(closedBreaker(), { ok: 0, failed: 2 }, T0, LONGEST);
    expect(phaseOf(noteCalls(breaker, { ok: 2, failed: 1 }, T0, LONGEST), T0)).toBe("closed");
  });

  it("makes nothing of an empty report", () => {
    const breaker = closedBreaker();
    expect(noteCalls(breaker, { ok: 0, failed: 0 }, T0, LONGEST)).toBe(breaker);
  });

  it("counts anew when the clock was set back", () => {
    const breaker = noteCalls(closedBreaker(), { ok: 0, failed: 2 }, T0, LONGEST);
    const later = noteCalls(breaker, FAILED, T0 - 3_600_000, LONGEST);
    expect(later.slots).toEqual([{ atMs: T0 - 3_600_000, ok: 0, failed: 1 }]);
  });
});

describe("open", () => {
  it("lets nothing through until its time, which chance decides within a second, and says how long that is", () => {
    const breaker = openBreaker(0.4);
    expect(breaker.retryAtMs).toBe(T0 + 0.4 * FIRST_OPEN_MS);
    expect(askToTry(breaker, T0 + 100).answer).toEqual({ ok: false, waitMs: 300 });
    expect(phaseOf(breaker, T0 + 399)).toBe("open");
    expect(phaseOf(breaker, T0 + 400)).toBe("half-open");
    expect(openBreaker(0).retryAtMs).toBe(T0 + MIN_OPEN_MS);
  });

  it("is not prolonged by the stragglers of its failures", () => {
    const breaker = openBreaker();
    expect(noteCalls(breaker, { ok: 0, failed: 50 }, T0 + 10, LONGEST)).toBe(breaker);
  });

  it("closes at a success: somebody was through to Kafka after all", () => {
    expect(noteCalls(openBreaker(), OK, T0 + 10, LONGEST)).toEqual(closedBreaker());
  });
});

describe("half-open", () => {
  const halfOpenMs = T0 + FIRST_OPEN_MS;

  it("lets one probe through; the others ask again soon", () => {
    const first = askToTry(openBreaker(), halfOpenMs);
    expect(first.answer).toEqual({ ok: true });
    expect(phaseOf(first.breaker, halfOpenMs)).toBe("half-open");
    const second = askToTry(first.breaker, halfOpenMs + 1);
    expect(second.answer).toEqual({ ok: false, waitMs: PROBE_WAIT_MS });
    expect(second.breaker).toBe(first.breaker);
  });

  it("lets another through when the first has not told in its time", () => {
    const { breaker } = askToTry(openBreaker(), halfOpenMs);
    expect(askToTry(breaker, halfOpenMs + PROBE_LEASE_MS - 1).answer).toEqual({ ok: false, waitMs: 1 });
    expect(askToTry(breaker, halfOpenMs + PROBE_LEASE_MS).answer).toEqual({ ok: true });
  });

  it("closes at the probe's success, and has then forgotten how long it was open", () => {
    const { breaker } = askToTry(openBreaker(), halfOpenMs);
    expect(noteCalls(breaker, OK, halfOpenMs + 20, LONGEST)).toEqual(closedBreaker());
  });

  it("opens again at its failure, twice as long each time up to ten seconds, and then another may probe", () => {
    let breaker = openBreaker(1);
    const times: number[] = [];
    for (let trial = 0; trial < 8; trial++) {
      const atMs = breaker.retryAtMs;
      const asked = askToTry(breaker, atMs);
      expect(asked.answer).toEqual({ ok: true });
      breaker = noteCalls(asked.breaker, FAILED, atMs, 1);
      times.push(breaker.retryAtMs - atMs);
    }
    expect(times).toEqual([
      2_000,
      4_000,
      8_000,
      MAX_OPEN_MS,
      MAX_OPEN_MS,
      MAX_OPEN_MS,
      MAX_OPEN_MS,
      MAX_OPEN_MS,
    ]);
  });

  it("is over only where nothing failed: what went well beside a failure may be of the time before", () => {
    const { breaker } = askToTry(openBreaker(), halfOpenMs);
    expect(phaseOf(noteCalls(breaker, { ok: 9, failed: 1 }, halfOpenMs, LONGEST), halfOpenMs)).not.toBe(
      "closed",
    );
    expect(phaseOf(noteCalls(breaker, { ok: 1, failed: 0 }, halfOpenMs, LONGEST), halfOpenMs)).toBe("closed");
  });
});

it("is the same after it was written down and read", () => {
  const { breaker } = askToTry(openBreaker(), T0 + FIRST_OPEN_MS);
  expect(breakerShape.parse(JSON.parse(JSON.stringify(breaker)))).toEqual(breaker);
  expect(breakerShape.safeParse({ ...breaker, v: 2 }).success).toBe(false);
});

describe("whatever happens", () => {
  const calls = fc.record({ ok: fc.nat(5), failed: fc.nat(5) });
  const step = fc.record({
    passMs: fc.oneof(fc.nat(50), fc.nat(2_000), fc.nat(40_000)),
    act: fc.oneof(fc.constant("ask" as const), calls),
    random: fc.double({ min: 0, max: LONGEST, noNaN: true }),
  });

  it("no two probes are under way at once, a success closes, and failure alone never does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let breaker = closedBreaker();
        let nowMs = T0;
        /** Until when the probe that was let through is under way. */
        let probeUntilMs = 0;
        for (const { passMs, act, random } of steps) {
          nowMs += passMs;
          const before = phaseOf(breaker, nowMs);
          // Written down and read between any two steps.
          breaker = breakerShape.parse(JSON.parse(JSON.stringify(breaker)));
          if (act === "ask") {
            const asked = askToTry(breaker, nowMs);
            breaker = asked.breaker;
            expect(phaseOf(breaker, nowMs)).toBe(before);
            if (before === "closed") expect(asked.answer.ok).toBe(true);
            if (before === "open") expect(asked.answer.ok).toBe(false);
            if (!asked.answer.ok) {
              expect(asked.answer.waitMs).toBeGreaterThan(0);
              expect(asked.answer.waitMs).toBeLessThanOrEqual(MAX_OPEN_MS);
            } else if (before === "half-open") {
              expect(nowMs).toBeGreaterThanOrEqual(probeUntilMs);
              probeUntilMs = nowMs + PROBE_LEASE_MS;
            }
            continue;
          }
          breaker = noteCalls(breaker, act, nowMs, random);
          const after = phaseOf(breaker, nowMs);
          if (act.ok + act.failed > 0 && before !== "open") probeUntilMs = 0;
          if (act.failed === 0 && act.ok > 0) expect(after).toBe("closed");
          if (act.failed > 0 && act.ok === 0 && before !== "closed") expect(after).toBe("open");
          if (after === "open") {
            expect(breaker.retryAtMs - nowMs).toBeLessThanOrEqual(MAX_OPEN_MS);
            expect(breaker.slots).toEqual([]);
          }
          expect(breaker.slots.length).toBeLessThanOrEqual(WINDOW_MS / 1_000 + 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("left alone it lets somebody try within the time of a probe, and it opens while all fail", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let breaker = closedBreaker();
        let nowMs = T0;
        for (const { passMs, act, random } of steps) {
          nowMs += passMs;
          breaker = act === "ask" ? askToTry(breaker, nowMs).breaker : noteCalls(breaker, act, nowMs, random);
        }
        expect(askToTry(breaker, nowMs + Math.max(MAX_OPEN_MS, PROBE_LEASE_MS)).answer.ok).toBe(true);
        const failing = noteCalls(breaker, { ok: 0, failed: 1_000 }, nowMs, LONGEST);
        expect(phaseOf(failing, nowMs)).toBe("open");
      }),
      { numRuns: 500 },
    );
  });
});

it("does not stay open for as long as a clock was set back", () => {
  let breaker = noteCalls(closedBreaker(), { ok: 0, failed: 3 }, T0, 0.5);
  expect(phaseOf(breaker, T0)).toBe("open");
  expect(phaseOf(breaker, T0 - 3_600_000)).toBe("half-open");
  const asked = askToTry(breaker, T0 + 2_000);
  expect(asked.answer).toEqual({ ok: true });
  breaker = asked.breaker;
  expect(askToTry(breaker, T0 + 2_100).answer.ok).toBe(false);
  expect(askToTry(breaker, T0 - 3_600_000).answer.ok).toBe(true);
});

describe("what an isolate tells", () => {
  it("is nothing as long as all goes well, and with a failure all that went well before it", () => {
    const untold = new UntoldCalls();
    for (let i = 0; i < 50; i++) expect(untold.reportOf(OK, true, T0 + i)).toBeUndefined();
    expect(untold.reportOf(FAILED, true, T0 + 60)).toEqual({ ok: 50, failed: 1 });
    expect(untold.reportOf(FAILED, true, T0 + 70)).toEqual({ ok: 0, failed: 1 });
    untold.reportOf(OK, true, T0 + 80);
    expect(untold.reportOf(FAILED, true, T0 + 80 + WINDOW_MS)).toEqual({ ok: 0, failed: 1 });
  });

  it("is each call's own outcome while the breaker is not closed", () => {
    const untold = new UntoldCalls();
    untold.reportOf(OK, true, T0);
    expect(untold.reportOf(FAILED, false, T0)).toEqual(FAILED);
    expect(untold.reportOf(OK, false, T0)).toEqual(OK);
    expect(untold.reportOf({ ok: 0, failed: 0 }, false, T0)).toBeUndefined();
  });

  it("does not open the breaker by one partition of many", () => {
    const untold = new UntoldCalls();
    let breaker = closedBreaker();
    for (let i = 0; i < 120; i++) {
      const report = untold.reportOf(i % 12 === 0 ? FAILED : OK, true, T0 + i * 10);
      if (report) breaker = noteCalls(breaker, report, T0 + i * 10, 0.5);
    }
    expect(breaker.isOpen).toBe(false);
  });
});
