import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backoffMs, deliver } from "../../../agents/metrics/deliver.ts";
import { createIntake, parseRetryAfter } from "../../../agents/metrics/intake.ts";
import { createLog } from "../../../agents/metrics/log.ts";
import { type Batch, BatchQueue, type QueueLimits } from "../../../agents/metrics/queue.ts";
import { accepted, IntakeStandIn, problem, type Script } from "./intake-stand-in.ts";
import { ManualClock } from "./manual-clock.ts";

const key = "weir_test_secret0000000000";
const timeoutMs = 10_000;
let server: IntakeStandIn;

beforeEach(async () => {
  server = await new IntakeStandIn().listen();
});
afterEach(() => server.close());

function batch(id: string, metrics = 1): Batch {
  const one = { name: "cpu", value: 1, labels: { host: id }, timestamp: "2026-11-21T10:00:00.000Z" };
  const body = JSON.stringify({ metrics: Array.from({ length: metrics }, () => one) });
  return { idempotencyKey: id, body, bytes: body.length, metrics };
}

/** A running delivery; `random` is 0.5, so that the backoffs are 250, 500, 1000 … ms. */
function start(limits: QueueLimits = { maxBatches: 100, maxBytes: 1_000_000 }) {
  const clock = new ManualClock();
  const queue = new BatchQueue(limits);
  const stop = new AbortController();
  const kill = new AbortController();
  let output = "";
  const running = deliver({
    queue,
    clock,
    intake: createIntake({ url: server.url, key, timeoutMs, fetch, clock }),
    random: () => 0.5,
    log: createLog(key, (text) => (output += text)),
    stop: stop.signal,
    kill: kill.signal,
  });
  return {
    clock,
    queue,
    kill,
    output: () => output,
    /** Stops and resolves when all that could be delivered was. */
    finish: () => {
      stop.abort();
      return running;
    },
  };
}

const failFirst =
  (count: number, answer: ReturnType<Script>): Script =>
  (_, index) =>
    index < count ? answer : accepted;

describe("a batch that may pass", () => {
  it("is sent again under the same key, not before Retry-After, and said once", async () => {
    server.script = failFirst(2, problem(503, "kafka_unavailable", "Kafka is away", { "retry-after": "7" }));
    const agent = start();
    agent.queue.push(batch("a"));
    await agent.clock.untilSleeping(7_250);
    agent.clock.advance(7_249);
    expect(server.received).toHaveLength(1);
    agent.clock.advance(1);
    await agent.clock.untilSleeping(7_500);
    agent.clock.advance(7_500);
    await server.untilReceived(3);
    expect(await agent.finish()).toEqual({ delivered: 1 });
    expect(server.batches.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["a", "a", "a"]);
    expect(new Set(server.batches.map(({ body }) => body)).size).toBe(1);
    expect(agent.output().match(/503 kafka_unavailable/g)).toHaveLength(1);
    expect(agent.output()).toContain("accepts metrics again");
  });

  it.each([
    ["429", problem(429, "over_quota", "slow down")],
    ["500", problem(500, "internal", "")],
    ["a cut connection", "cut"],
    ["a 207 with one record to retry", { status: 207, body: { results: [{ index: 3, status: "retry" }] } }],
  ] as const)("is sent again after %s", async (_, answer) => {
    server.script = failFirst(1, answer);
    const agent = start();
    agent.queue.push(batch("a"));
    await agent.clock.untilSleeping(250);
    agent.clock.advance(250);
    await server.untilReceived(2);
    expect(await agent.finish()).toEqual({ delivered: 1 });
    expect(server.batches.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["a", "a"]);
  });

  it("is given up at the deadline when the server hangs, and sent again", async () => {
    server.script = failFirst(1, "hang");
    const agent = start();
    agent.queue.push(batch("a"));
    await server.untilReceived(1);
    agent.clock.advance(timeoutMs);
    await agent.clock.untilSleeping(250);
    expect(agent.output()).toContain("no answer within 10 s");
    agent.clock.advance(250);
    await server.untilReceived(2);
    expect(await agent.finish()).toEqual({ delivered: 1 });
  });

  it("keeps its place: batches go oldest first", async () => {
    server.script = failFirst(1, problem(503, "overloaded", ""));
    const agent = start();
    for (const id of ["a", "b", "c"]) agent.queue.push(batch(id));
    await agent.clock.untilSleeping(250);
    agent.clock.advance(250);
    await server.untilReceived(4);
    await agent.finish();
    expect(server.batches.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["a", "a", "b", "c"]);
  });
});

describe("a batch that cannot pass", () => {
  it("is dropped on 401, and what to do is said once for many batches", async () => {
    server.script = () => problem(401, "unauthorized", "unknown key");
    const agent = start();
    for (const id of ["a", "b", "c"]) agent.queue.push(batch(id));
    await server.untilReceived(3);
    expect(await agent.finish()).toEqual({ delivered: 0 });
    expect(agent.output().trim().split("\n")).toHaveLength(1);
    expect(agent.output()).toMatch(/401 · unauthorized · unknown key.*Set WEIR_KEY/);
  });

  it("is dropped on another 4xx with the problem's code and detail, and the next goes through", async () => {
    server.script = failFirst(1, problem(413, "too_large", "the body is over 5 MiB"));
    const agent = start();
    agent.queue.push(batch("a"));
    agent.queue.push(batch("b"));
    await server.untilReceived(2);
    expect(await agent.finish()).toEqual({ delivered: 1 });
    expect(agent.output()).toContain("413 · too_large · the body is over 5 MiB");
  });

  it.each([200, 302])("is not taken for delivered on %i, which the intake never answers", async (status) => {
    server.script = () => ({ status, headers: { location: "/elsewhere" } });
    const agent = start();
    agent.queue.push(batch("a"));
    await server.untilReceived(1);
    expect(await agent.finish()).toEqual({ delivered: 0 });
    expect(server.received).toHaveLength(1);
    expect(agent.output()).toContain("Check --url");
  });

  it("does not hold up its batch: rejected records of a 207 are said, not sent again", async () => {
    const results = [
      { index: 0, status: "rejected", reason: "name_too_long", path: "/metrics/0/name", message: "m" },
    ];
    server.script = () => ({ status: 207, body: { results } });
    const agent = start();
    agent.queue.push(batch("a"));
    agent.queue.push(batch("b"));
    await server.untilReceived(2);
    expect(await agent.finish()).toEqual({ delivered: 2 });
    expect(agent.output().match(/name_too_long/g)).toHaveLength(1);
  });
});

describe("what overflowed", () => {
  const away = problem(503, "overloaded", "");

  it("is reported once the server is back, by metrics", async () => {
    server.script = failFirst(1, away);
    const agent = start({ maxBatches: 2, maxBytes: 1_000_000 });
    agent.queue.push(batch("a", 5));
    await agent.clock.untilSleeping(250);
    for (const id of ["b", "c", "d"]) agent.queue.push(batch(id, 5));
    agent.clock.advance(250);
    await server.untilReceived(4);
    await agent.finish();
    expect(server.batches.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["a", "c", "d"]);
    expect(server.reports).toEqual([
      { discarded: [{ reason: "queue_overflow", signal: "metrics", quantity: 10 }] },
    ]);
  });

  it("harms nothing where the server knows no such report", async () => {
    server.script = ({ path }, index) => {
      if (index === 0) return away;
      return path === "/api/v1/client-reports" ? problem(404, "not_found", "") : accepted;
    };
    const agent = start({ maxBatches: 1, maxBytes: 1_000_000 });
    agent.queue.push(batch("a"));
    await agent.clock.untilSleeping(250);
    agent.queue.push(batch("b"));
    agent.clock.advance(250);
    await server.untilReceived(3);
    agent.queue.push(batch("c"));
    await server.untilReceived(4);
    expect(await agent.finish()).toEqual({ delivered: 2 });
    expect(server.reports).toHaveLength(1);
    expect(agent.output()).toContain("1 metrics were dropped");
  });
});

describe("a stop", () => {
  it("makes one last attempt without waiting out the backoff", async () => {
    server.script = failFirst(1, problem(503, "overloaded", "", { "retry-after": "60" }));
    const agent = start();
    agent.queue.push(batch("a"));
    await agent.clock.untilSleeping(60_250);
    expect(await agent.finish()).toEqual({ delivered: 1 });
  });

  it("makes that attempt once, and does not hammer a server that still refuses", async () => {
    server.script = () => problem(503, "overloaded", "");
    const agent = start();
    agent.queue.push(batch("a"));
    await agent.clock.untilSleeping(250);
    expect(await agent.finish()).toEqual({ delivered: 0 });
    expect(server.received).toHaveLength(2);
  });

  it("ends a request that hangs when the flush is over", async () => {
    server.script = () => "hang";
    const agent = start();
    agent.queue.push(batch("a"));
    await server.untilReceived(1);
    const finished = agent.finish();
    agent.kill.abort();
    expect(await finished).toEqual({ delivered: 0 });
    expect(agent.queue.size).toBe(1);
  });
});

describe("the delay before a retry", () => {
  it("grows to 30 s with full jitter, and never undercuts Retry-After, which is capped", () => {
    const ceilings = [0, 1, 5, 6, 60].map((attempt) => backoffMs(attempt, undefined, () => 1));
    expect(ceilings).toEqual([500, 1_000, 16_000, 30_000, 30_000]);
    expect(backoffMs(9, undefined, () => 0)).toBe(0);
    expect(backoffMs(0, 7_000, () => 0)).toBe(7_000);
    expect(backoffMs(0, 86_400_000, () => 0)).toBe(300_000);
  });

  it("reads both forms of Retry-After and ignores nonsense", () => {
    const nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    expect(parseRetryAfter("7", nowMs)).toBe(7_000);
    expect(parseRetryAfter("Sat, 21 Nov 2026 10:00:09 GMT", nowMs)).toBe(9_000);
    expect(parseRetryAfter("-3", nowMs)).toBe(0);
    for (const header of [null, "", "soon", "Infinity"])
      expect(parseRetryAfter(header, nowMs)).toBeUndefined();
  });
});
