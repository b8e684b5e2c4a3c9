// The balance: records go their ways in a model of the world, and the ledger must say yes, and no as soon as one is lost,
// doubled or not counted beyond what is uncertain.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balance, verdictOf, type LedgerSources } from "../../../lib/query/ledger.ts";
import { SIGNALS, type Signal } from "../../../lib/telemetry/signal.ts";

type Fate = "stored" | "late" | "dead" | "deduplicated" | "expired" | "spilled" | "waiting";

/** One acceptance of a record, and what became of it. */
interface Way {
  tenant: string;
  signal: Signal;
  fate: Fate;
  /** `accepted`: as it should be. `unconfirmed`: its answer was lost. `lost-count`: its isolate ended untold. */
  told: "accepted" | "unconfirmed" | "lost-count";
  isForeign: boolean;
  copies: number;
}

const COMMITTED = new Set<Fate>(["stored", "late", "dead", "deduplicated", "expired"]);

const way = (fates: readonly Fate[]): fc.Arbitrary<Way> =>
  fc.record({
    tenant: fc.constantFrom("a", "b"),
    signal: fc.constantFrom(...SIGNALS),
    fate: fc.constantFrom(...fates),
    told: fc.constantFrom("accepted" as const, "accepted", "accepted", "unconfirmed", "lost-count"),
    isForeign: fc.constantFrom(false, false, false, true),
    copies: fc.nat(2),
  });

function sourcesOf(ways: readonly Way[], lostAtMost?: number): LedgerSources {
  const own = ways.filter(({ isForeign, fate }) => !isForeign || !COMMITTED.has(fate));
  const foreign = ways.filter(({ isForeign, fate }) => isForeign && COMMITTED.has(fate));
  const lost = own.filter(({ told }) => told === "lost-count").length;
  return {
    accepted: own.map(({ tenant, signal, told }) => ({
      tenant,
      signal,
      accepted: told === "accepted" ? 1 : 0,
      unconfirmed: told === "unconfirmed" ? 1 : 0,
    })),
    lostAtMost: lostAtMost ?? lost,
    committed: [...own, ...foreign]
      .filter(({ fate }) => COMMITTED.has(fate))
      .map((one) => ({
        tenant: one.tenant,
        signal: one.signal,
        stored: 0,
        late: 0,
        dead: 0,
        deduplicated: 0,
        expired: 0,
        redelivered: one.copies,
        foreign: foreign.includes(one) ? 1 : 0,
        [one.fate]: 1,
      })),
    spilled: own
      .filter(({ fate }) => fate === "spilled")
      .map(({ tenant, signal }) => ({ tenant, signal, records: 1 })),
    waiting: own
      .filter(({ fate }) => fate === "waiting")
      .map(({ tenant, signal }) => ({ tenant, signal, records: 1 })),
    discarded: [],
    expiredUnread: new Set(),
    isQuiet: true,
  };
}

const SETTLED: readonly Fate[] = ["stored", "late", "dead", "deduplicated", "expired"];
const told = (sources: LedgerSources) => verdictOf(sources, balance(sources));

describe("the balance", () => {
  it("holds, whatever becomes of records and their counts", () => {
    fc.assert(
      fc.property(fc.array(way(SETTLED), { maxLength: 60 }), (ways) => {
        expect(told(sourcesOf(ways))).toEqual({ settled: true, balanced: true });
      }),
    );
  });

  it("claims nothing while records are on their way, and its difference is theirs already", () => {
    const any: readonly Fate[] = [...SETTLED, "spilled", "waiting"];
    fc.assert(
      fc.property(fc.array(way(any), { minLength: 1, maxLength: 60 }), (ways) => {
        const sources = sourcesOf(ways);
        for (const { spilled, waiting, difference, uncertain, balanced, settled } of balance(sources)) {
          expect(settled).toBe(spilled === 0 && waiting === 0);
          expect(balanced).toBe(settled ? true : null);
          expect(difference).toBeLessThanOrEqual(0);
          expect(difference).toBeGreaterThanOrEqual(-(uncertain.lost_counts_at_most + uncertain.unconfirmed));
        }
      }),
    );
  });

  it("does not hold where one accepted record is missing", () => {
    fc.assert(
      fc.property(fc.array(way(SETTLED), { minLength: 1, maxLength: 60 }), fc.nat(), (ways, pick) => {
        // Without uncertainty, which may hide as many.
        const sure = ways.map((one) => ({ ...one, told: "accepted" as const, isForeign: false }));
        const sources = sourcesOf(sure);
        const missing = pick % sources.committed.length;
        const committed = sources.committed.filter((_, i) => i !== missing);
        expect(told({ ...sources, committed })).toEqual({ settled: true, balanced: false });
      }),
    );
  });

  it("does not hold where one is stored twice, or more were lost to the counts than an isolate may hold", () => {
    fc.assert(
      fc.property(fc.array(way(SETTLED), { minLength: 1, maxLength: 60 }), fc.nat(), (ways, pick) => {
        const sure = ways.map((one) => ({ ...one, told: "accepted" as const }));
        const sources = sourcesOf(sure);
        const twice = sources.committed[pick % sources.committed.length] ?? expect.fail();
        const committed = [...sources.committed, { ...twice, foreign: 0 }];
        expect(told({ ...sources, committed }).balanced).toBe(false);
        expect(told({ ...sources, committed, lostAtMost: 1 }).balanced).toBe(true);
      }),
    );
  });
});

describe("what is not known", () => {
  const one: Way = {
    tenant: "a",
    signal: "logs",
    fate: "stored",
    told: "accepted",
    isForeign: false,
    copies: 0,
  };
  const whole = sourcesOf([one]);

  it.each(["accepted", "spilled", "waiting"] as const)("without %s there is no difference", (part) => {
    const sources = { ...whole, [part]: undefined };
    expect(balance(sources)).toMatchObject([
      { [part]: null, difference: null, settled: false, balanced: null },
    ]);
    expect(told(sources)).toEqual({ settled: false, balanced: null });
    // Of a part that is not known the lines may be missing, too.
    expect(verdictOf(sources, [])).toEqual({ settled: false, balanced: null });
  });

  it("nothing is claimed where records were accepted while it was read", () => {
    const sources = { ...whole, isQuiet: false };
    expect(balance(sources)).toMatchObject([{ difference: 0, settled: false, balanced: null }]);
    expect(told(sources)).toEqual({ settled: false, balanced: null });
  });

  it("records that expired unread are not held against it, other missing ones are", () => {
    const sources = { ...whole, committed: [], expiredUnread: new Set<Signal>(["logs"]) };
    expect(balance(sources)).toMatchObject([{ difference: 1, settled: true, balanced: null }]);
    const others = { ...sources, expiredUnread: new Set<Signal>(["metrics"]) };
    expect(balance(others)).toMatchObject([{ difference: 1, settled: true, balanced: false }]);
  });

  it("tells what clients threw away beside it, also where nothing else is known", () => {
    const discarded = [{ tenant: "a", signal: "metrics" as const, quantity: 12 }];
    expect(balance({ ...whole, discarded })).toMatchObject([
      { signal: "logs", client_discarded: 0 },
      { signal: "metrics", client_discarded: 12, difference: 0, balanced: true },
    ]);
  });
});
