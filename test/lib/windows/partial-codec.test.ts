// The stored form: bytes that must not change, and texts that are refused with a clear error.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyPartial, fold, merge, type WindowPartial } from "../../../lib/windows/partial.ts";
import { decodePartial, encodePartial } from "../../../lib/windows/partial-codec.ts";
import { resultOf } from "../../../lib/windows/result.ts";
import { PartialStateError } from "../../../lib/windows/state-bytes.ts";
import { chance, DAY, sample, type TestSample } from "./samples.ts";

function folded(...samples: TestSample[]): WindowPartial {
  const partial = emptyPartial(samples[0]?.partition ?? 0);
  for (const one of samples) fold(partial, one);
  return partial;
}

const at = (ms: number) => ({ time: { ms: DAY + ms, ns: 0 } });

const GOLDEN: Record<string, { partial: WindowPartial; hex: string }> = {
  nothing: { partial: emptyPartial(2), hex: "010002" },
  "one number": {
    partial: folded(sample(0, 12.5, { ...at(0), partition: 2, offset: 300, index: 4 })),
    hex: "01010280e0b8b6bf680002ac0204010000000000002940",
  },
  "one counter": {
    partial: folded(sample(0, { kind: "counter", value: 70 }, { ...at(1), partition: 2, offset: 1 })),
    hex: "01090282e0b8b6bf68000201009802",
  },
  "numbers of both signs": {
    partial: folded(
      sample(0, -3, { ...at(0) }),
      sample(0, 0, { time: { ms: DAY + 5, ns: 999_999 }, offset: 1 }),
      sample(0, 0.1, { ...at(3), offset: 2 }),
      sample(0, 1e300, { ...at(4), offset: 3 }),
    ),
    hex: "01260004020100000000000098bc0133333333333307c001019c7500883ce4b7710a019c7500883ce4377e0102e70101b79102010170018ae0b8b6bf68bf843d00010000",
  },
  "counters and a distribution": {
    partial: folded(
      sample(0, { kind: "counter", value: 10 }, { ...at(0) }),
      sample(0, { kind: "counter", value: 4 }, { ...at(15_000), offset: 1 }),
      sample(0, { kind: "counter", value: 4.5 }, { ...at(30_000), offset: 2 }),
      sample(
        0,
        {
          kind: "distribution",
          count: 3,
          sum: 9,
          min: 1,
          max: 6,
          bins: [
            [2, 2],
            [5, 1],
          ],
        },
        at(1),
      ),
    ),
    hex: "010e000601010000000000803b40042800054802220104010501220100e0b4bcb6bf68000002000100000000000012400680e0b8b6bf6828b0ea0116b0ea01010000000000001240",
  },
  "cumulative distributions": {
    partial: folded(
      ...[3, 5, 9].map((weight, i) =>
        sample(
          0,
          {
            kind: "cumulative_distribution",
            count: weight + 1,
            sum: weight,
            bins: [
              [1, weight],
              [0, 1],
            ],
          },
          at(i * 1_000),
        ),
      ),
    ),
    hex: "0110000680e0b8b6bf68040c0101000300d00f0614010004d00f0a24010008",
  },
};

const hexOf = (text: string) => Buffer.from(text, "base64").toString("hex");
const textOf = (hex: string) => Buffer.from(hex, "hex").toString("base64");

/** @returns why the text is refused, or null where it is read */
function refusal(text: string): string | null {
  try {
    decodePartial(text);
    return null;
  } catch (error) {
    if (!(error instanceof PartialStateError)) throw error;
    expect(error).toMatchObject({
      code: "window_state_unreadable",
      retryable: false,
      name: "PartialStateError",
    });
    return error.message;
  }
}

describe("golden bytes", () => {
  it.each(Object.entries(GOLDEN))("%s", (_name, { partial, hex }) => {
    expect(hexOf(encodePartial(partial))).toBe(hex);
    expect(encodePartial(decodePartial(textOf(hex)))).toBe(textOf(hex));
  });

  it("hold one value in less than 60 characters, whatever it is", () => {
    for (const value of [0, 1, -0.1, 1e300, 5e-324, 2 ** 53]) {
      for (const kind of ["number", "counter"] as const) {
        const place = { time: { ms: 4e12, ns: 999_999 }, offset: 2 ** 45, index: 9_999, partition: 999 };
        const partial = folded(sample(0, { kind, value }, place));
        const text = encodePartial(partial);
        expect(text.length).toBeLessThan(60);
        expect(decodePartial(text)).toEqual(partial);
      }
    }
  });
});

it("whatever a histogram says of itself, what is stored of it can be read, and tells numbers", () => {
  const any = fc.oneof(
    fc.double(),
    fc.constantFrom(
      NaN,
      Infinity,
      -1,
      0,
      0.4,
      1e308,
      -1e308,
      2 ** 53 - 1,
      2 ** 53,
      2 ** 60,
      Number.MAX_VALUE,
    ),
  );
  const kinds = fc.constantFrom("distribution" as const, "cumulative_distribution" as const);
  const histograms = fc.record(
    {
      kind: kinds,
      count: any,
      sum: any,
      min: any,
      max: any,
      bins: fc.array(fc.tuple(any, any), { maxLength: 4 }),
    },
    { requiredKeys: ["kind", "count", "sum", "bins"] },
  );
  const counters = any.map((value) => ({ kind: "counter" as const, value }));
  const values = fc.array(fc.oneof(histograms, counters), { maxLength: 100, size: "+2" });
  fc.assert(
    fc.property(values, (given) => {
      const partial = folded(...given.map((value, i) => sample(i, value, { offset: i })));
      const twice = folded();
      merge(twice, partial);
      merge(twice, partial);
      for (const one of [partial, twice]) {
        const text = encodePartial(one);
        expect(encodePartial(decodePartial(text))).toBe(text);
        const told = resultOf(one, 0, 1_000, partial);
        for (const number of Object.values(told)) expect(number).not.toBeNaN();
      }
    }),
    { seed: 41, numRuns: 600 },
  );
});

describe("refused is", () => {
  it.each([
    ["", /ends too early/],
    ["not base64!", /no base64/],
    ["AQ", /no base64/],
    ["AQA=x", /no base64/],
    [textOf("020000"), /of version 2, and only 1 is known/],
    [textOf("000000"), /of version 0/],
    [textOf("014000"), /flags are not known/],
    [textOf("0103"), /ends too early/],
    [textOf("01000000"), /more in it than belongs/],
    [textOf("0100ffffffffffffffffff7f"), /too large/],
    // A sketch of 2^20 bins.
    [textOf("0102000100000000808040"), /longer than it can be/],
    // One value, of a partition that is another one.
    [textOf("010102000003000000"), /do not go together/],
    // NaN.
    [textOf("010100000000000001000000000000f87f"), /a number in it is none/],
    [textOf("010100000000000003"), /of no kind/],
    // A sum of infinity.
    [textOf("010200010101000000000000f07f0000000000"), /its sum is of no numbers/],
  ])("%j", (text, reason) => {
    const told = refusal(text);
    expect(told).toMatch(reason);
    expect(told).toMatch(/^a stored window cannot be read: /);
  });

  it("each text that was cut, and none that was changed does anything but answer or refuse", () => {
    const random = chance(5);
    for (const { hex } of Object.values(GOLDEN)) {
      const bytes = Buffer.from(hex, "hex");
      for (let length = 0; length < bytes.length; length++)
        expect(refusal(bytes.subarray(0, length).toString("base64"))).toEqual(expect.any(String));
      for (let round = 0; round < 2_000; round++) {
        const changed = Buffer.from(bytes);
        const place = Math.floor(random() * changed.length);
        changed[place] = Math.floor(random() * 256);
        const text = changed.toString("base64");
        if (refusal(text) !== null) continue;
        const read = decodePartial(text);
        // What was read is put in order: from then on it stays the same.
        const again = encodePartial(read);
        expect(encodePartial(decodePartial(again))).toBe(again);
        resultOf(read, 0, 1);
      }
    }
  });
});
