// A key over its rate is spread, one below it is not, and a retry finds its partition again.
import { describe, expect, it } from "vitest";
import { HotKeys, type RecordIdentity } from "../../../lib/ingest/hot-keys.ts";
import { partitionOf } from "../../../lib/kafka/partitioner.ts";

const PARTITIONS = 12;
const identity = (batch: string, index = 0): RecordIdentity => ({ tenant: "acme", batch, index });

/** One record each millisecond at this rate, for so long; the keys of the last second. */
function drive(keys: HotKeys, key: string, perSecond: number, seconds: number, bytes = 100): Set<string> {
  const last = new Set<string>();
  const count = perSecond * seconds;
  for (let i = 0; i < count; i++) {
    const nowMs = (i / perSecond) * 1000;
    const given = keys.keyFor(key, identity(`b-${i}`), { records: 1, bytes }, PARTITIONS, nowMs);
    if (nowMs >= (seconds - 1) * 1000) last.add(given);
  }
  return last;
}

describe("a key", () => {
  it("below its rate stays as it is", () => {
    expect(drive(new HotKeys(), "api:web-1", 900, 40)).toEqual(new Set(["api:web-1"]));
  });

  it("over its rate of records is spread by how far it is over, up to the partitions", () => {
    expect(drive(new HotKeys(), "k", 1_500, 60).size).toBe(2);
    expect(drive(new HotKeys(), "k", 3_000, 60).size).toBe(4);
    expect(drive(new HotKeys({ recordsPerSecond: 10 }), "k", 1_000, 60).size).toBe(PARTITIONS);
  });

  it("lies on as many partitions as it is spread over, whatever it is called", () => {
    for (let name = 0; name < 50; name++) {
      const spread = drive(new HotKeys({ recordsPerSecond: 10 }), `service-${name}`, 35, 60);
      expect(spread.size).toBe(4);
      const partitions = new Set([...spread].map((key) => partitionOf(Buffer.from(key), PARTITIONS)));
      expect(partitions.size).toBe(4);
    }
  });

  it("over its rate of bytes is spread, too", () => {
    expect(drive(new HotKeys(), "k", 100, 60, 15_000).size).toBe(2);
  });

  it("comes together again once it has cooled down, and not too soon", () => {
    const keys = new HotKeys({ recordsPerSecond: 100 });
    drive(keys, "k", 300, 60);
    expect(keys.hotCount()).toBe(1);
    const at = (seconds: number) =>
      Array.from({ length: 64 }, (_, i) =>
        keys.keyFor("k", identity(`late-${i}`), { records: 0, bytes: 0 }, PARTITIONS, seconds * 1000),
      );
    // Three times its rate needs four; at 1.8 times two would do, but they stay four until one would.
    expect(new Set(at(65)).size).toBe(4);
    expect(new Set(at(120))).toEqual(new Set(["k"]));
    expect(keys.hotCount()).toBe(0);
  });

  it("is not spread over one partition", () => {
    const keys = new HotKeys({ recordsPerSecond: 1 });
    for (let i = 0; i < 1_000; i++) {
      expect(keys.keyFor("k", identity(`b${i}`), { records: 9, bytes: 1 }, 1, i)).toBe("k");
    }
  });
});

describe("a retry", () => {
  it("gets the same salt for the same record, in any isolate that spreads as far", () => {
    const [one, other] = [new HotKeys({ recordsPerSecond: 10 }), new HotKeys({ recordsPerSecond: 10 })];
    drive(one, "k", 100, 60);
    drive(other, "k", 110, 60);
    for (let i = 0; i < 500; i++) {
      const record = identity("again", i * 61);
      const load = { records: 0, bytes: 0 };
      expect(one.keyFor("k", record, load, PARTITIONS, 60_000)).toBe(
        other.keyFor("k", record, load, PARTITIONS, 60_000),
      );
    }
  });

  it("of another tenant or batch is salted by itself", () => {
    const keys = new HotKeys({ recordsPerSecond: 10 });
    drive(keys, "k", 100, 60);
    const load = { records: 0, bytes: 0 };
    const salts = (tenant: string) =>
      Array.from({ length: 64 }, (_, i) =>
        keys.keyFor("k", { tenant, batch: `b${i}`, index: 0 }, load, PARTITIONS, 60_000),
      );
    expect(salts("acme")).not.toEqual(salts("other"));
  });
});

describe("records of one request", () => {
  it("that stand together share a message, and many of them are spread", () => {
    const keys = new HotKeys({ recordsPerSecond: 10 });
    drive(keys, "k", 200, 60);
    const keyAt = (index: number) =>
      keys.keyFor("k", identity("one", index), { records: 0, bytes: 0 }, PARTITIONS, 60_000);
    expect(new Set(Array.from({ length: 128 }, (_, i) => keyAt(i))).size).toBe(1);
    expect(new Set(Array.from({ length: 10_000 }, (_, i) => keyAt(i))).size).toBe(PARTITIONS);
  });
});

describe("the rates", () => {
  it("are bounded, and a hot key is not forgotten for a flood of others", () => {
    const keys = new HotKeys({ recordsPerSecond: 10, maxKeys: 100 });
    let last = "";
    for (let i = 0; i < 60_000; i++) {
      if (i % 10 === 0) last = keys.keyFor("hot", identity(`b${i}`), { records: 1, bytes: 1 }, PARTITIONS, i);
      else if (i % 50 === 1)
        keys.keyFor(`flood-${i}`, identity("f"), { records: 1, bytes: 1 }, PARTITIONS, i);
    }
    expect(last).toMatch(/^hot#/);
  });

  it("take a clock that goes back for one that stands", () => {
    const keys = new HotKeys({ recordsPerSecond: 10 });
    keys.keyFor("k", identity("b"), { records: 50, bytes: 1 }, PARTITIONS, 10_000);
    expect(keys.keyFor("k", identity("b"), { records: 51, bytes: 1 }, PARTITIONS, 0)).toMatch(/^k#/);
  });
});
