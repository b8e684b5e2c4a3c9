// A short share of the chaos suite: each fault once on D1 and local-kafka, some on PostgreSQL and on a real Kafka, and
// the mechanisms without which it must fail. `npm run test:chaos` runs as many seeds as one likes.
import { beforeAll, describe, expect, it } from "vitest";
import { realKafka } from "../support/real-kafka.ts";
import { realPostgres } from "../support/postgres.ts";
import { FAULT_NAMES } from "./fault-names.ts";
import type { SentRequest } from "./lane.ts";
import { minimise } from "./minimise.ts";
import { runMutations } from "./mutations.ts";
import { planActs } from "./plan.ts";
import { formatRun } from "./report.ts";
import { buildForRuns, runSeed, type RunOptions, type RunResult } from "./run.ts";
import { makeRequest } from "./requests.ts";
import type { Flip } from "./alert-probe.ts";
import { checkChains, checkOwn, type Recorded } from "./verify-alerts.ts";
import { checkOrder } from "./verify-order.ts";

const RUN: RunOptions = {
  seed: 1,
  records: 12_000,
  storage: "d1",
  kafka: "local",
  faults: FAULT_NAMES,
  only: undefined,
  mutation: undefined,
};
const TIMEOUT_MS = 240_000;
const ignored = () => undefined;

async function expectKept(options: RunOptions): Promise<void> {
  const result = await runSeed(options, ignored);
  expect(result.violations, formatRun(result)).toEqual([]);
  expect(result.stored).toBeGreaterThan(0);
}

describe("a run", () => {
  beforeAll(buildForRuns);

  it("keeps every promise through every fault, each once", { timeout: TIMEOUT_MS }, async () => {
    await expectKept({ ...RUN, only: FAULT_NAMES.map((_, number) => number) });
  });

  it.skipIf(!realPostgres.available)(
    `keeps them on PostgreSQL ${realPostgres.why}`,
    { timeout: TIMEOUT_MS },
    async () => {
      const faults = ["race", "store-outage", "store-after", "lost-answer"] as const;
      await expectKept({ ...RUN, seed: 2, records: 3_000, storage: "postgres", faults });
    },
  );

  it.skipIf(!realKafka.available)(
    `keeps them on a real Kafka ${realKafka.why}`,
    { timeout: TIMEOUT_MS },
    async () => {
      const faults = ["kafka-kill", "lost-answer", "topic-anew", "partitions"] as const;
      await expectKept({ ...RUN, seed: 3, records: 3_000, kafka: "real", faults });
    },
  );

  it("fails when a mechanism is left out", { timeout: TIMEOUT_MS }, async () => {
    const caught = await runMutations({ ...RUN, records: 1_200 }, ignored, [
      "alert-fence",
      "claims",
      "edge-counter",
      "outbox",
    ]);
    expect(caught.filter(({ checks }) => checks.length === 0)).toEqual([]);
  });
});

describe("a plan", () => {
  it("is of its seed alone, and an act of its number", () => {
    const options = { seed: 7, records: 200_000, faults: FAULT_NAMES, only: undefined };
    const acts = planActs(options);
    expect(planActs(options)).toEqual(acts);
    expect(planActs({ ...options, records: 40_000 })).toEqual(acts.slice(0, 10));
    expect(planActs({ ...options, only: [5, 2] })).toEqual([acts[5], acts[2]]);
    expect(planActs({ ...options, seed: 8 })).not.toEqual(acts);
  });

  it("has every fault once before any twice", () => {
    const options = {
      seed: 7,
      records: 1,
      faults: FAULT_NAMES,
      only: FAULT_NAMES.map((_, number) => number),
    };
    expect(
      planActs(options)
        .map(({ fault }) => fault)
        .toSorted(),
    ).toEqual(FAULT_NAMES.toSorted());
  });

  it("makes the same request of the same number, and parts of it", () => {
    const lane = { seed: 1, lane: 4, kind: "own-ids" } as const;
    const whole = makeRequest(lane, 3);
    expect(makeRequest(lane, 3)).toEqual(whole);
    const records = JSON.parse(whole.body) as unknown[];
    expect(JSON.parse(makeRequest(lane, 3, [1]).body)).toEqual([records[1]]);
  });
});

describe("the check of the order", () => {
  const request = (number: number, startedMs: number, ackedMs: number, isSpilled = false): SentRequest => ({
    lane: 0,
    number,
    ids: [`w1.0.${number}.0;`],
    accepted: [1],
    startedMs,
    ackedMs,
    isSpilled,
  });
  const logOf = (...numbers: number[]) => [
    {
      topic: "logs.raw",
      messages: numbers.map((number, offset) => ({
        partition: 0,
        offset,
        key: "k",
        ids: [`w1.0.${number}.0;`],
        value: null,
      })),
    },
  ];
  const check = (requests: SentRequest[], ...numbers: number[]) => {
    const { faults, swaps } = checkOrder(requests, logOf(...numbers), () => "an act");
    return { faults: faults.length, swaps };
  };

  it("sees a request that overtook one accepted before it was begun", () => {
    const requests = [request(0, 0, 10), request(1, 20, 30)];
    expect(check(requests, 0, 1)).toEqual({ faults: 0, swaps: 0 });
    expect(check(requests, 1, 0)).toEqual({ faults: 1, swaps: 0 });
    // A second copy says nothing of the order.
    expect(check(requests, 0, 1, 0)).toEqual({ faults: 0, swaps: 0 });
  });

  it("allows it where the earlier was spilled less than a lease before", () => {
    expect(check([request(0, 0, 10, true), request(1, 900, 950)], 1, 0)).toEqual({ faults: 0, swaps: 1 });
    expect(check([request(0, 0, 10, true), request(1, 1_600, 1_650)], 1, 0)).toEqual({ faults: 1, swaps: 0 });
  });

  it("asks nothing of a record that lies in two partitions, since either may have had it first", () => {
    const [log] = logOf(1, 0, 0);
    log!.messages[2]!.partition = 1;
    const requests = [request(0, 0, 10), request(1, 20, 30)];
    expect(checkOrder(requests, [log!], () => "an act")).toEqual({ faults: [], swaps: 0 });
  });

  it("asks nothing of requests that were never accepted", () => {
    expect(check([request(0, 0, Infinity), request(1, 20, 30)], 1, 0)).toEqual({ faults: 0, swaps: 0 });
  });
});

describe("the check of alerts", () => {
  const RULE = "r1";
  const rules = new Map([[RULE, "level" as const]]);
  const recorded = (n: number, state: string, value: number, rule = RULE): Recorded => ({
    id: `dev/${rule}/f/${n}`,
    rule,
    state,
    labels: {},
    value,
    at: "",
  });
  const flip = (number: number, value: number, fields: Partial<Flip> = {}): Flip => ({
    number,
    value,
    isAccepted: true,
    isShifted: false,
    isTold: true,
    ...fields,
  });

  it("takes states in turn, and none twice", () => {
    const good = [recorded(1, "pending", 1), recorded(3, "firing", 1), recorded(4, "resolved", 0)];
    // As the API tells them: newest first.
    expect(checkChains(good.toReversed())).toEqual([]);
    expect(checkChains([recorded(9, "firing", 1), recorded(10, "firing", 1)])).toHaveLength(1);
    expect(checkChains([recorded(4, "resolved", 0), ...good])).toHaveLength(1);
    expect(checkChains([recorded(1, "resolved", 0)])).toHaveLength(1);
    expect(checkChains([recorded(1, "firing", 1), recorded(2, "inactive", 1)])).toHaveLength(1);
  });

  it("wants a reason for each, and each told once", () => {
    const flips = [flip(0, 1_000), flip(1, -1_001)];
    const others = (["window", "spike"] as const).map((name) => [name, name] as const);
    const probe = { flips, rules: new Map([...rules, ...others]) };
    const own = [RULE, "window", "spike"].map((rule) => recorded(1, "firing", 1_000, rule));
    expect(checkOwn(own, probe)).toEqual([]);
    expect(checkOwn(own.slice(1), probe)).toHaveLength(1);
    expect(checkOwn([...own, recorded(3, "firing", 1_000)], probe)).toHaveLength(1);
    expect(checkOwn([...own, recorded(3, "firing", 1_002)], probe)).toHaveLength(1);
    expect(checkOwn([...own, recorded(3, "firing", 1_000, "unknown")], probe)).toHaveLength(1);
    expect(checkOwn(own, { ...probe, flips: [...flips, flip(2, 1_002, { isTold: false })] })).toHaveLength(4);
    expect(checkOwn(own, { ...probe, flips: [...flips, flip(2, 1_002, { isShifted: true })] })).toEqual([]);
  });
});

describe("cutting a run down", () => {
  it("leaves the acts that make it fail", async () => {
    const run = async (options: RunOptions): Promise<RunResult> => {
      const acts = planActs(options);
      const isFailing = acts.some(({ number }) => number === 3) && acts.some(({ number }) => number === 6);
      const violations = isFailing ? [{ check: "lost" as const, count: 1, detail: "" }] : [];
      return { options, acts, violations, records: options.records } as unknown as RunResult;
    };
    const failed = await run({ ...RUN, records: 40_000 });
    const short = await minimise(failed, run, { maxRuns: 100, maxMs: 10_000 });
    expect(short.acts.map(({ number }) => number)).toEqual([3, 6]);
  });
});
