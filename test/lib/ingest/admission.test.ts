// The gate: what gets in, what is told to come again, and that nothing is weighed for ever.
import { describe, expect, it } from "vitest";
import { AdmissionGate } from "../../../lib/ingest/admission.ts";
import { MAX_BODY_BYTES, MAX_DECODED_BYTES } from "../../../lib/telemetry/limits.ts";

const MIB = 1024 * 1024;

describe("the gate", () => {
  it("lets in what fits, and no more", () => {
    const gate = new AdmissionGate(() => 0, 10 * MIB);
    const tickets = [4 * MIB, 4 * MIB].map((bytes) => gate.enter(bytes));
    expect(tickets.every(Boolean)).toBe(true);
    expect(gate.enter(4 * MIB)).toBeUndefined();
    const small = gate.enter(2 * MIB);
    expect(small).toBeDefined();
    tickets[0]?.leave();
    expect(gate.enter(4 * MIB)).toBeDefined();
  });

  it("always lets in one that would be alone", () => {
    const gate = new AdmissionGate(() => 0, 1_000);
    const ticket = gate.enter(MAX_BODY_BYTES)!;
    expect(ticket.weigh(MAX_DECODED_BYTES)).toBe(true);
    expect(gate.enter(1)).toBeUndefined();
    ticket.leave();
    expect(gate.weight).toBe(0);
    expect(gate.enter(MAX_BODY_BYTES)).toBeDefined();
  });

  it("counts a body of unknown length as the largest, until it is known", () => {
    const gate = new AdmissionGate(() => 0, 2 * MAX_BODY_BYTES);
    const first = gate.enter(undefined)!;
    expect(gate.weight).toBe(MAX_BODY_BYTES);
    expect(first.weigh(1_000)).toBe(true);
    expect(gate.weight).toBeLessThan(10_000);
  });

  it("refuses a body that turns out too large beside the others, and keeps what it weighed", () => {
    const gate = new AdmissionGate(() => 0, 48 * MIB);
    const other = gate.enter(1_000)!;
    expect(other.weigh(10 * MIB)).toBe(true);
    const bomb = gate.enter(1_000)!;
    expect(bomb.weigh(10 * MIB)).toBe(false);
    bomb.leave();
    expect(gate.weight).toBe(40 * MIB);
    other.leave();
    expect(gate.weight).toBe(0);
  });

  it("is left once: a second time does nothing", () => {
    const gate = new AdmissionGate(() => 0, 10 * MIB);
    const [first, second] = [gate.enter(MIB)!, gate.enter(MIB)!];
    first.leave();
    first.leave();
    expect(gate.weight).toBe(MIB);
    second.leave();
    expect(gate.weight).toBe(0);
  });

  it("forgets requests that ended without a word", () => {
    let nowMs = 0;
    const gate = new AdmissionGate(() => nowMs, 5 * MIB);
    const lost = gate.enter(5 * MIB)!;
    nowMs = 59_999;
    expect(gate.enter(MIB)).toBeUndefined();
    nowMs = 60_000;
    expect(gate.enter(5 * MIB)).toBeDefined();
    lost.leave();
    expect(lost.weigh(MIB)).toBe(true);
    expect(gate.weight).toBe(5 * MIB);
  });

  it("takes many small requests at once, and the largest one beside some", () => {
    const gate = new AdmissionGate(() => 0);
    for (let i = 0; i < 200; i++) expect(gate.enter(27_000)?.weigh(27_000)).toBe(true);
    const quiet = new AdmissionGate(() => 0);
    expect(quiet.enter(27_000)?.weigh(27_000)).toBe(true);
    expect(quiet.enter(MAX_BODY_BYTES)?.weigh(MAX_DECODED_BYTES)).toBe(true);
  });
});
