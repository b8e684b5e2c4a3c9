// The sink's counting is what keeps the bench honest: it must see a record that was lost, doubled or misfiled.
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { BENCH_SIGNALS, createBodies, RECORDS_PER_REQUEST } from "../../bench/payload.ts";
import { countRecords, faultOf, readProduceRequest } from "../../bench/sink-count.ts";
import { packEnvelopes } from "../../lib/telemetry/envelope.ts";
import { validateRecord } from "../../lib/telemetry/signal.ts";

const nowMs = Date.UTC(2026, 10, 21, 10);

function faultIn(envelope: unknown): string | undefined {
  return faultOf({ partition: 0, value: Buffer.from(JSON.stringify(envelope)) });
}

function envelopeOf(signal: (typeof BENCH_SIGNALS)[number]): Buffer {
  const body: unknown = JSON.parse(createBodies(signal, 1, nowMs)[0]!.toString());
  const records = (body as Record<string, unknown[]>)[signal === "logs" ? "entries" : "metrics"] ?? [];
  const entries = records.map((input, index) => {
    const checked = validateRecord(signal, input, { receivedMs: nowMs, enforceTimeRange: true });
    if (!checked.ok) throw new Error(checked.error.message);
    return { index, record: checked.value };
  });
  const header = { tenant: "dev", signal, batch: "b", attempt: 0, received: "2026-11-21T10:00:00.000Z" };
  const { envelopes } = packEnvelopes({ ...header, agentVersion: undefined }, entries);
  return Buffer.from(envelopes[0]!.value);
}

describe.each(BENCH_SIGNALS)("%s", (signal) => {
  it("has bodies of valid records of about 270 bytes", () => {
    const body = createBodies(signal, 1, nowMs)[0]!;
    expect(countRecords(body)).toBe(RECORDS_PER_REQUEST);
    expect(Math.abs(body.length / RECORDS_PER_REQUEST - 270)).toBeLessThan(15);
  });

  it("counts the same records in the envelope as in the body", () => {
    const value = envelopeOf(signal);
    expect(countRecords(value)).toBe(RECORDS_PER_REQUEST);
    expect(faultOf({ partition: 0, value })).toBeUndefined();
  });
});

it("reads a produce request of the REST API", () => {
  const value = Buffer.from("{}").toString("base64");
  const body = Buffer.from(JSON.stringify({ records: [{ key: "aw==", value, partition: 2 }] }));
  expect(readProduceRequest(body)).toEqual([{ partition: 2, value: Buffer.from("{}") }]);
});

it("tells an envelope whose entries do not fit its indices or the count", () => {
  const entry = { timestamp: "2026-11-21T10:00:00.000Z" };
  expect(faultIn({ indices: [0, 0], entries: [entry, entry] })).toContain("indices");
  expect(faultIn({ indices: [0], entries: [entry, entry] })).toContain("indices");
  expect(faultIn({ indices: [0], entries: [{ message: "no time" }] })).toContain("counted as 0");
});
