import { describe, expect, it } from "vitest";
import { parseLedger } from "../../dashboard/data/ledger.ts";
import type { Scenario } from "./fixture-server.ts";
import { ledger } from "./pipeline-answers.ts";

const read = (scenario: Scenario) => parseLedger(ledger(scenario))!;

describe("the ledger", () => {
  it.each([
    ["normal", "balanced"],
    ["behind", "unsettled"],
    ["unbalanced", "unbalanced"],
    ["empty", "empty"],
  ] as const)("of %s is %s", (scenario, verdict) => {
    expect(read(scenario).verdict).toBe(verdict);
  });

  it("is unknown where it is settled and still cannot be told", () => {
    expect(parseLedger({ ...ledger("normal"), balanced: null })?.verdict).toBe("unknown");
    expect(parseLedger({ lines: [] })?.verdict).toBe("unsettled");
  });

  it("is one sum of all lines, of which only what there is is told", () => {
    expect(read("normal")).toMatchObject({
      accepted: 168_557,
      parts: [{ term: "stored", records: 168_557 }],
      difference: 0,
      faults: [],
    });
    expect(read("dead-letters").parts).toEqual([
      { term: "stored", records: 48_228 },
      { term: "dead", records: 1_183 },
      { term: "deduplicated", records: 2 },
    ]);
  });

  it("does not take what was not counted for 0", () => {
    const { parts, difference } = read("outage");
    expect(difference).toBeUndefined();
    expect(parts).toContainEqual({ term: "waiting", records: undefined });
  });

  it("has no difference while it is unsettled: that of records on their way would look like a loss", () => {
    const line = { tenant: "a", signal: "logs", accepted: 4, stored: 9, difference: -5, balanced: null };
    expect(parseLedger({ settled: false, balanced: null, lines: [line] })).toMatchObject({
      verdict: "unsettled",
      accepted: 4,
      difference: undefined,
    });
  });

  it("names the lines that are out of balance, though two of them cancel out", () => {
    expect(read("unbalanced").faults).toEqual(["logs of acme: 12 accepted records nowhere to be found"]);
    const line = { tenant: "a", signal: "logs", accepted: 9, stored: 8, balanced: false };
    const lines = [
      { ...line, difference: 1 },
      { ...line, tenant: "b", difference: -1 },
    ];
    expect(parseLedger({ balanced: false, settled: true, lines })).toMatchObject({
      verdict: "unbalanced",
      difference: 0,
      faults: [
        "logs of a: 1 accepted record nowhere to be found",
        "logs of b: 1 record more than were accepted",
      ],
    });
  });

  it("is not read out of something else", () => {
    expect(parseLedger([])).toBeUndefined();
    expect(parseLedger({ balanced: true })).toBeUndefined();
  });
});
