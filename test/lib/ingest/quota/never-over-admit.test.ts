// The model: whatever the interleaving of isolates, delays, lost calls, lease ends and losses of memory, what is
// admitted would have passed one ideal token bucket. And under a load that is light nothing is refused.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quotaLimits } from "../../../../lib/ingest/quota/limits.ts";
import { overdraft, Simulation, type Call } from "./simulation.ts";

const ISOLATES = 4;
const QUICK: Call = { thereMs: 5, backMs: 5, isAskLost: false, isAnswerLost: false };

const calls = fc.array(
  fc.record({
    thereMs: fc.oneof(fc.constant(2), fc.integer({ min: 0, max: 600 })),
    backMs: fc.oneof(fc.constant(2), fc.integer({ min: 0, max: 600 })),
    isAskLost: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
    isAnswerLost: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
  }),
  { minLength: 1, maxLength: 40 },
);

const clocks = fc.array(fc.integer({ min: -5_000_000, max: 5_000_000 }), {
  minLength: ISOLATES,
  maxLength: ISOLATES,
});

/** Bursts of requests at one isolate each, with pauses of all lengths. */
const traffic = fc.array(
  fc.record({
    pauseMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.integer({ min: 300, max: 1_500 })),
    isolate: fc.integer({ min: 0, max: ISOLATES - 1 }),
    count: fc.integer({ min: 1, max: 40 }),
    everyMs: fc.constantFrom(0, 1, 7, 40, 150),
    records: fc.integer({ min: 0, max: 9 }),
  }),
  { minLength: 1, maxLength: 30 },
);

const evictions = fc.array(fc.integer({ min: 0, max: 12_000 }), { maxLength: 4 });

describe("never over-admitted", () => {
  it("by many isolates, whatever happens to calls, leases and the object", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          calls,
          clocks,
          traffic,
          evictions,
          burst: fc.constantFrom(1, 5, 50, 200),
          perSecond: fc.constantFrom(1, 20, 100, 1_000),
        }),
        async ({ calls, clocks, traffic, evictions, burst, perSecond }) => {
          const limits = quotaLimits({
            requestsPerSecond: perSecond,
            burst,
            recordsPerSecond: perSecond * 4,
          });
          let call = 0;
          const simulation = new Simulation(limits, clocks, () => calls[call++ % calls.length]!);
          const startMs = simulation.nowMs;
          let atMs = startMs;
          for (const { pauseMs, isolate, count, everyMs, records } of traffic) {
            atMs += pauseMs;
            // No single need above the burst, which may leave a debt.
            const need = { requests: 1, records: Math.min(records, burst * 4) };
            for (let i = 0; i < count; i++) simulation.request(atMs + i * everyMs, isolate, need);
          }
          for (const eviction of evictions) simulation.evict(startMs + eviction);
          await simulation.run();
          expect(overdraft(simulation.admitted, limits, "requests")).toBeLessThan(0.001);
          expect(overdraft(simulation.admitted, limits, "records")).toBeLessThan(0.001);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("by an object that loses its memory in the midst of a flood", async () => {
    const limits = quotaLimits({ requestsPerSecond: 10, burst: 100 });
    const simulation = new Simulation(limits, [0, 0, 0], () => QUICK);
    for (let i = 0; i < 3_000; i++) simulation.request(simulation.nowMs + i, i % 3);
    for (let i = 1; i < 20; i++) simulation.evict(simulation.nowMs + i * 150);
    await simulation.run();
    expect(overdraft(simulation.admitted, limits, "requests")).toBeLessThan(0.001);
    // It gives what it may, but for what it holds back at each loss.
    expect(simulation.admitted.length).toBeGreaterThan(30);
  });

  it("when loans are held back until many isolates can spend them at once", async () => {
    const limits = quotaLimits({ requestsPerSecond: 100, burst: 100 });
    const simulation = new Simulation(limits, Array(20).fill(0), () => QUICK);
    const startMs = simulation.nowMs;
    for (let isolate = 0; isolate < 20; isolate++) {
      for (let i = 0; i < 3; i++) simulation.request(startMs + i * 20, isolate);
      // Just before the loans end, all that is lent and all that flowed in meanwhile.
      for (let i = 0; i < 40; i++) simulation.request(startMs + 600, isolate);
    }
    await simulation.run();
    expect(overdraft(simulation.admitted, limits, "requests")).toBeLessThan(0.001);
  });
});

describe("a light load", () => {
  it.each([
    ["the default limits, evenly", 100, 1_000, 20, 1, 250],
    ["the default limits, by pairs", 100, 1_000, 40, 2, 1_000],
    ["the default limits, by bursts of nine", 100, 1_000, 20, 9, 2_000],
    ["a small burst", 100, 20, 10, 1, 200],
    ["a burst of one", 10, 1, 1, 1, 110],
  ])("is never refused: %s", async (_, requestsPerSecond, burst, isolates, bunch, everyMs) => {
    const limits = quotaLimits({ requestsPerSecond, burst });
    const simulation = new Simulation(limits, Array(isolates).fill(0), () => QUICK);
    let sent = 0;
    for (let isolate = 0; isolate < isolates; isolate++) {
      const phaseMs = (isolate * everyMs) / isolates;
      for (let atMs = phaseMs; atMs < 30_000; atMs += everyMs) {
        for (let i = 0; i < bunch; i++, sent++) simulation.request(simulation.nowMs + atMs + i * 3, isolate);
      }
    }
    await simulation.run();
    expect(simulation.refused).toEqual([]);
    expect(simulation.admitted).toHaveLength(sent);
    expect(simulation.failedOpen).toBe(0);
  });

  it("at any moment, at half of the rate, is never refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ isolate: fc.integer({ min: 0, max: 9 }), gapMs: fc.integer({ min: 20, max: 60 }) }),
          {
            minLength: 50,
            maxLength: 300,
          },
        ),
        async (arrivals) => {
          const limits = quotaLimits({ requestsPerSecond: 50, burst: 50 });
          const simulation = new Simulation(limits, Array(10).fill(0), () => QUICK);
          let atMs = simulation.nowMs;
          for (const { isolate, gapMs } of arrivals) simulation.request((atMs += gapMs), isolate);
          await simulation.run();
          expect(simulation.refused).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("the whole rate", () => {
  it("is given under a flood, over any isolates", async () => {
    const limits = quotaLimits({ requestsPerSecond: 100, burst: 1_000 });
    const simulation = new Simulation(limits, Array(5).fill(0), () => QUICK);
    for (let i = 0; i < 5_000; i++) simulation.request(simulation.nowMs + i * 4, i % 5);
    await simulation.run();
    // 20 s: 1,000 + 2,000 may pass.
    expect(simulation.admitted.length).toBeGreaterThan(2_850);
    expect(simulation.admitted.length).toBeLessThanOrEqual(3_000);
  });
});

describe("what an isolate has not used", () => {
  it("comes back before the lease ends", async () => {
    const limits = quotaLimits({ requestsPerSecond: 1, burst: 1_000 });
    const simulation = new Simulation(limits, [0], () => QUICK);
    const startMs = simulation.nowMs;
    for (let i = 0; i < 40; i++) simulation.request(startMs + i * 20, 0);
    await simulation.run();
    const flowedIn = Math.floor((simulation.nowMs - startMs) / 1_000);
    expect(simulation.nowMs - startMs).toBeLessThan(2_000);
    // One or two may be lost with what was kept for the time of a renewal.
    expect(simulation.left(limits).requests).toBeGreaterThanOrEqual(958 + flowedIn);
    expect(simulation.left(limits).requests).toBeLessThanOrEqual(960 + flowedIn);
  });
});

describe("calls of the object", () => {
  it("are few under steady load, and writes fewer", async () => {
    const limits = quotaLimits({ requestsPerSecond: 100, burst: 1_000 });
    const simulation = new Simulation(limits, [0], () => QUICK);
    for (let i = 0; i < 2_700; i++) simulation.request(simulation.nowMs + i * 11, 0);
    await simulation.run();
    expect(simulation.admitted).toHaveLength(2_700);
    expect(simulation.asks / 2_700).toBeLessThan(0.05);
    expect(simulation.writes).toBeLessThan(simulation.asks);
  });

  it("are few without a quota, too", async () => {
    const simulation = new Simulation(null, [0], () => QUICK);
    for (let i = 0; i < 3_000; i++) simulation.request(simulation.nowMs + i * 10, 0);
    await simulation.run();
    expect(simulation.admitted).toHaveLength(3_000);
    expect(simulation.asks / 3_000).toBeLessThan(0.05);
    expect(simulation.writes).toBe(0);
  });

  it("do not grow with a flood", async () => {
    const limits = quotaLimits({ requestsPerSecond: 100, burst: 100 });
    const simulation = new Simulation(limits, [0], () => QUICK);
    for (let i = 0; i < 8_000; i++) simulation.request(simulation.nowMs + i / 2, 0);
    await simulation.run();
    // 4 s: 100 + 400 may pass.
    expect(simulation.admitted.length).toBeGreaterThan(450);
    expect(simulation.asks).toBeLessThan(200);
  });
});
