import { describe, expect, it } from "vitest";
import {
  evaluateAbsence,
  evaluateDeployment,
  evaluateSamples,
  type DeploymentFacts,
  type SeriesSample,
} from "../../../lib/alerts/evaluate.ts";
import type { Expression } from "../../../lib/alerts/expression.ts";
import { fingerprintOf, step, type AlertInstance } from "../../../lib/alerts/instance.ts";
import { parseExpression } from "../../../lib/alerts/parse-expression.ts";
import { ProduceLatency } from "../../../lib/alerts/produce-latency.ts";

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const current = { throughMs: NOW, isCurrent: true };
const nanos = (ms: number) => `${ms}000000`;

function read(text: string): Expression {
  const parsed = parseExpression(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

function sample(agoMs: number, value: number, violatedAgoMs?: number, labels = {}): SeriesSample {
  return {
    labels,
    time: nanos(NOW - agoMs),
    value,
    violatedTime: violatedAgoMs === undefined ? null : nanos(NOW - violatedAgoMs),
    violatedValue: violatedAgoMs === undefined ? null : 99,
  };
}

describe("a rule on raw values", () => {
  const hot = read("cpu > 80");
  const judged = (one: SeriesSample, instances: AlertInstance[] = [], state = current) =>
    evaluateSamples(hot, [one], new Map(instances.map((all) => [all.fingerprint, all])), state, NOW)
      .observations[0];

  it("goes by the newest value", () => {
    expect(judged(sample(1_000, 90, 1_000))).toMatchObject({ isViolated: true, value: 90 });
    expect(judged(sample(1_000, 80))).toMatchObject({ isViolated: false });
  });

  it("sees a spike between two judgements, once", () => {
    const spike = sample(1_000, 20, 5_000);
    const first = judged(spike);
    expect(first).toMatchObject({ isViolated: true, value: 99 });
    const after = step("r", undefined, first, 0, NOW)?.after as AlertInstance;
    expect(after.state).toBe("firing");
    expect(judged(spike, [after])).toMatchObject({ isViolated: false, value: 20 });
    expect(judged(sample(1_000, 20, 4_999), [after])).toMatchObject({ isViolated: true });
  });

  it("takes no notice of a violation that comes more than an hour late", () => {
    expect(judged(sample(1_000, 20, 60 * MINUTE))).toMatchObject({ isViolated: true });
    expect(judged(sample(1_000, 20, 60 * MINUTE + 1))).toMatchObject({ isViolated: false });
  });

  it("lets go of a series that sends no more, but not while its reader stands still", () => {
    const old = sample(6 * MINUTE, 90, 6 * MINUTE);
    const seen = step("r", undefined, judged(old), 0, NOW)?.after as AlertInstance;
    expect(judged(old, [seen])).toMatchObject({ isViolated: false });
    expect(judged(old, [seen], { throughMs: NOW - 5 * MINUTE, isCurrent: false })).toMatchObject({
      isViolated: true,
    });
  });

  it("groups: one series that violates is enough", () => {
    const samples = [
      sample(1_000, 10, undefined, { host: "a", core: "0" }),
      sample(2_000, 90, 2_000, { host: "a", core: "1" }),
      sample(1_000, 10, undefined, { host: "b", core: "0" }),
    ];
    const { observations } = evaluateSamples(read("cpu by (host) > 80"), samples, new Map(), current, NOW);
    expect(observations).toMatchObject([
      { labels: { host: "a" }, isViolated: true, value: 90 },
      { labels: { host: "b" }, isViolated: false },
    ]);
    const one = evaluateSamples(read("cpu by (zone) > 80"), samples, new Map(), current, NOW).observations;
    expect(one).toMatchObject([{ labels: { zone: "" }, isViolated: true }]);
  });
});

describe("absence", () => {
  const gone = (text: string, samples: SeriesSample[], state = current, sinceMs = NOW - 60 * MINUTE) =>
    evaluateAbsence(read(text), 10 * MINUTE, samples, state, sinceMs);

  it("is of the metric as a whole, counted from the rule's making where it never was there", () => {
    expect(gone("absent(hb, 10m)", []).observations).toMatchObject([
      { labels: {}, isViolated: true, value: 3_600 },
    ]);
    expect(gone("absent(hb, 10m)", [], current, NOW - MINUTE).observations).toMatchObject([
      { isViolated: false },
    ]);
    const one = [
      sample(11 * MINUTE, 1, undefined, { host: "a" }),
      sample(MINUTE, 1, undefined, { host: "b" }),
    ];
    expect(gone("absent(hb, 10m)", one).observations).toMatchObject([{ isViolated: false }]);
  });

  it("is of each group that was there", () => {
    const some = [
      sample(11 * MINUTE, 1, undefined, { host: "a" }),
      sample(MINUTE, 1, undefined, { host: "b" }),
    ];
    expect(gone("absent(hb, 10m) by (host)", some).observations).toMatchObject([
      { labels: { host: "a" }, isViolated: true, value: 660 },
      { labels: { host: "b" }, isViolated: false },
    ]);
  });

  it("is not claimed by a reader that has not read the newest; presence is", () => {
    const behind = { throughMs: NOW, isCurrent: false };
    expect(gone("absent(hb, 10m)", [], behind)).toEqual({ observations: [], isComplete: false });
    expect(gone("absent(hb, 10m)", [sample(MINUTE, 1)], behind).observations).toMatchObject([
      { isViolated: false },
    ]);
    const never = { throughMs: 0, isCurrent: false };
    expect(gone("absent(hb, 10m)", [sample(11 * MINUTE, 1)], never).observations).toEqual([]);
    const halfway = { throughMs: NOW - 5 * MINUTE, isCurrent: true };
    expect(gone("absent(hb, 10m)", [sample(11 * MINUTE, 1)], halfway).observations).toMatchObject([
      { isViolated: false },
    ]);
  });
});

describe("a rule of the deployment", () => {
  const facts: DeploymentFacts = {
    lag: async () => [
      { group: "weir-storage", lag: 20_000 },
      { group: "weir-alerting@2", lag: 5 },
      { group: "other", lag: null },
    ],
    deadLetters: async (rangeMs) => rangeMs / MINUTE,
    produceP99Ms: async () => null,
    spillAgeMs: async () => 0,
  };
  const judged = async (text: string) => {
    const expression = read(text);
    return await evaluateDeployment(expression, expression.subject as never, facts);
  };

  it("looks at each group's lag; what is not known is not known", async () => {
    expect(await judged("lag() > 10000")).toEqual({
      observations: [
        { labels: { group: "weir-storage" }, value: 20_000, isViolated: true },
        { labels: { group: "weir-alerting@2" }, value: 5, isViolated: false },
      ],
      isComplete: false,
    });
    expect((await judged("lag(weir-alerting) > 1")).observations).toHaveLength(1);
    expect(await judged("produce_p99() > 100ms")).toEqual({ observations: [], isComplete: false });
    expect(await judged("dead_letters(5m) > 4")).toMatchObject({
      observations: [{ value: 5, isViolated: true }],
    });
    expect(await judged("spill_age() > 5m")).toMatchObject({
      observations: [{ isViolated: false }],
      isComplete: true,
    });
  });
});

describe("the produce times", () => {
  const at = (counts: number[]) => ({ boundsMs: [10, 100, 1_000], counts });

  it("are those of the last five minutes, to the bucket", () => {
    const latency = new ProduceLatency();
    expect(latency.p99(at([1_000, 0, 0, 500]), NOW)).toBeNull();
    expect(latency.p99(at([1_000, 0, 0, 500]), NOW + 1_000)).toBe(0);
    expect(latency.p99(at([1_098, 1, 1, 500]), NOW + 2_000)).toBe(100);
    expect(latency.p99(at([1_099, 10, 1, 501]), NOW + 3_000)).toBe(1_000);
    expect(latency.p99(at([1_099, 10, 1, 600]), NOW + 4_000)).toBe(2_000);
    // What is older than the span is forgotten.
    expect(latency.p99(at([1_099, 10, 1, 600]), NOW + 6 * MINUTE)).toBeNull();
  });

  it("begin anew where the counters do", () => {
    const latency = new ProduceLatency();
    latency.p99(at([1_000, 0, 0, 0]), NOW);
    expect(latency.p99(at([1, 0, 0, 0]), NOW + 1_000)).toBeNull();
    expect(latency.p99(at([2, 0, 0, 0]), NOW + 2_000)).toBe(10);
  });
});

it("names groups of labels alike", () => expect(fingerprintOf({ zone: "" })).not.toBe(fingerprintOf({})));
