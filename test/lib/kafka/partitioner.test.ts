// Weir must put a key where every Java producer puts it: vectors made by the Java client itself.
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { murmur2, partitionOf } from "../../../lib/kafka/partitioner.ts";
import golden from "../../fixtures/partitioner/vectors.json" with { type: "json" };

describe("the partitioner", () => {
  it(`agrees with the Java client on ${golden.vectors.length} keys`, () => {
    expect(golden.vectors.length).toBeGreaterThan(200);
    for (const vector of golden.vectors) {
      const key = Buffer.from(vector.key, "base64");
      expect(murmur2(key), `murmur2 of ${vector.key}`).toBe(vector.murmur2);
      const partitions = golden.counts.map((count) => partitionOf(key, count));
      expect(partitions, `partitions of ${vector.key}`).toEqual(vector.partitions);
    }
  });

  it("reads a key that lies inside a larger buffer", () => {
    const buffer = Buffer.from("xxapi:web-1yy");
    const inside = new Uint8Array(buffer.buffer, buffer.byteOffset + 2, 9);
    expect(murmur2(inside)).toBe(murmur2(Buffer.from("api:web-1")));
  });
});
