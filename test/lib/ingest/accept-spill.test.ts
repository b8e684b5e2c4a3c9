// Where messages go while Kafka is away, or was a moment ago: by shard, in order, and nothing is claimed that neither
// Kafka nor the spillway has.
import { describe, expect, it } from "vitest";
import { KAFKA_DEADLINE_MS, produceMessages, RETRY_BEFORE_SPILL } from "../../../lib/ingest/accept.ts";
import type { Prepared, Verdict } from "../../../lib/ingest/prepared.ts";
import type { Appended, SpillMessage, SpillReason } from "../../../lib/ingest/spill/spill-port.ts";
import { HEALTHY, type KafkaClusterState } from "../../../lib/kafka/cluster-state.ts";
import { KafkaError, type KafkaErrorCode } from "../../../lib/kafka/errors.ts";
import type { Timer } from "../../../lib/kafka/timer.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../../../lib/kafka/transport.ts";

const utf8 = { encode: (text: string) => new TextEncoder().encode(text), decode: textOf };
const OPEN: KafkaClusterState = { breaker: "open", retryAtMs: 1, spilled: [] };
const KEPT: Appended = { outcome: "kept" };
const DIRECT: Appended = { outcome: "direct" };
const FULL: Appended = { outcome: "full", reason: "has 10 of 10 bytes", retryAfterMs: 30_000 };
const AWAY: Appended = { outcome: "failed", message: "no answer" };

function textOf(bytes: Uint8Array | null | undefined): string {
  return new TextDecoder().decode(bytes ?? undefined);
}

/** Messages whose keys begin with their shard: `1a` is of shard 1. One record each, in the order of the messages. */
const prepared = (keys: readonly string[], bytes = 10): Prepared => ({
  messages: keys.map((key, index) => ({ key, value: new Uint8Array(bytes).fill(index), indices: [index] })),
  records: keys.length,
  rejections: new Map(),
  counts: { scrubbed: [], seriesOver: 0, seriesUnasked: 0 },
});

interface World {
  isCounted?: boolean;
  state?: KafkaClusterState;
  partitions?: number | KafkaError;
  kafka?: (records: readonly ProduceRecord[], call: number) => ProduceOutcome[] | Promise<never>;
  spillway?: (shard: number, why: SpillReason) => Appended;
  timer?: Timer;
}

const written = (records: readonly ProduceRecord[]): ProduceOutcome[] =>
  records.map(({ partition }, i) => ({ ok: true, partition: partition ?? -1, offset: i }));
const failing = (code: KafkaErrorCode) => (records: readonly ProduceRecord[]) =>
  records.map((): ProduceOutcome => ({ ok: false, error: new KafkaError(code, "no") }));

/** Time passes by waiting alone. */
function clock() {
  let nowMs = 0;
  const sleep = (ms: number) => {
    nowMs += ms;
    return Promise.resolve();
  };
  return { now: () => nowMs, sleep, random: () => 1 };
}

async function accept(what: Prepared, world: World = {}) {
  /** Keys, in the order in which they came. */
  const produced: string[][] = [];
  const appended: { shard: number; why: SpillReason; keys: string[]; messages: readonly SpillMessage[] }[] =
    [];
  const transport = {
    produce: (_topic: string, records: readonly ProduceRecord[]) => {
      produced.push(records.map(({ key }) => utf8.decode(key)));
      return Promise.resolve((world.kafka ?? written)(records, produced.length));
    },
  } as unknown as KafkaTransport;
  const timing = clock();
  const outcome = await produceMessages(what, {
    transport,
    topic: "logs.raw",
    isCounted: world.isCounted ?? true,
    partitions: world.partitions ?? 3,
    tenant: "acme",
    signal: "logs",
    receivedMs: 17,
    spill: {
      state: world.state ?? HEALTHY,
      port: {
        shardOf: (key) => Number(utf8.decode(key).charAt(0)),
        append: (shard, messages, why) => {
          appended.push({ shard, why, keys: messages.map(({ key }) => utf8.decode(key)), messages });
          return Promise.resolve((world.spillway ?? (() => KEPT))(shard, why));
        },
      },
    },
    retry: RETRY_BEFORE_SPILL,
    timing,
    timer: world.timer ?? { now: timing.now, after: () => () => {} },
  });
  const statuses = outcome.verdicts.map(({ status }) => status);
  return { ...outcome, statuses, produced, appended };
}

const retryOf = (verdict: Verdict | undefined) =>
  verdict?.status === "retry"
    ? { reason: verdict.reason, code: verdict.error.code, retryAfterMs: verdict.retryAfterMs }
    : verdict;

describe("while all is well", () => {
  it("Kafka has it all, and the spillway hears nothing of it", async () => {
    const { statuses, appended, accepted, spilled, calls } = await accept(prepared(["0a", "1a"]));
    expect(statuses).toEqual(["ok", "ok"]);
    expect(appended).toEqual([]);
    expect({ accepted, spilled, calls }).toEqual({ accepted: 2, spilled: 0, calls: { ok: 1, failed: 0 } });
  });
});

describe("when Kafka fails", () => {
  it("all goes to the shards of its keys after some attempts, in order, with what the ledger needs", async () => {
    const what = prepared(["0a", "1a", "0b"]);
    const outcome = await accept(what, { kafka: failing("unavailable") });
    expect(outcome.statuses).toEqual(["spilled", "spilled", "spilled"]);
    expect(outcome.verdicts[0]).toEqual({ status: "spilled", topic: "logs.raw" });
    expect(outcome.produced).toHaveLength(RETRY_BEFORE_SPILL.maxAttempts);
    expect(outcome.appended.map(({ shard, why, keys }) => ({ shard, why, keys }))).toEqual([
      { shard: 0, why: "failed", keys: ["0a", "0b"] },
      { shard: 1, why: "failed", keys: ["1a"] },
    ]);
    expect(outcome.appended[1]?.messages[0]).toEqual({
      topic: "logs.raw",
      key: utf8.encode("1a"),
      value: what.messages[1]?.value,
      tenant: "acme",
      signal: "logs",
      records: 1,
      receivedMs: 17,
    });
    expect(outcome).toMatchObject({ accepted: 3, spilled: 3, unconfirmed: 0, calls: { ok: 0, failed: 1 } });
    expect(outcome.failure?.code).toBe("unavailable");
  });

  it("what stands behind the failure goes there, too, untried", async () => {
    const outcome = await accept(prepared(["0a", "0b", "1a"], 600_000), {
      kafka: (records, call) => (call === 1 ? written(records) : failing("timeout")(records)),
    });
    expect(outcome.statuses).toEqual(["ok", "spilled", "spilled"]);
    expect(outcome.produced.map(([key]) => key)).not.toContain("1a");
    expect(outcome.calls).toEqual({ ok: 1, failed: 1 });
  });

  it("only what failed goes there, where Kafka took the rest", async () => {
    const outcome = await accept(prepared(["0a", "1a"]), {
      kafka: (records) =>
        records.map((record, i) =>
          utf8.decode(record.key) === "0a"
            ? { ok: false, error: new KafkaError("unavailable", "no leader") }
            : { ok: true, partition: 1, offset: i },
        ),
    });
    expect(outcome.statuses).toEqual(["spilled", "ok"]);
    expect(outcome.appended.map(({ keys }) => keys)).toEqual([["0a"]]);
    // Something was written, so Kafka is there.
    expect(outcome.calls).toEqual({ ok: 1, failed: 0 });
  });

  it.each<KafkaErrorCode>(["unknown_topic", "unauthorized", "rejected", "misconfigured"])(
    "by %s nothing is kept: waiting would not help",
    async (code) => {
      const outcome = await accept(prepared(["0a", "1a"], 600_000), { kafka: failing(code) });
      expect(outcome.appended).toEqual([]);
      expect(outcome.statuses).toEqual(["retry", "retry"]);
      expect(retryOf(outcome.verdicts[0])).toMatchObject({ reason: "kafka_unavailable", code });
      expect(outcome).toMatchObject({ unconfirmed: 0, calls: { ok: 0, failed: 0 } });
    },
  );

  it("too large stays a refusal, and what stands beside it is kept", async () => {
    const outcome = await accept(prepared(["0a", "0b"], 600_000), {
      kafka: (records) =>
        failing(utf8.decode(records[0]?.key) === "0a" ? "too_large" : "unavailable")(records),
    });
    expect(outcome.statuses).toEqual(["rejected", "spilled"]);
  });

  it("an answer that does not come is not waited for beyond the deadline", async () => {
    const timing = clock();
    const outcome = await accept(prepared(["0a"]), {
      kafka: () => new Promise<never>(() => {}),
      timer: {
        now: timing.now,
        after(ms, act) {
          expect(ms).toBe(KAFKA_DEADLINE_MS);
          queueMicrotask(act);
          return () => {};
        },
      },
    });
    expect(outcome.statuses).toEqual(["spilled"]);
    expect(outcome).toMatchObject({ calls: { ok: 0, failed: 1 }, failure: { code: "timeout" } });
  });

  it("and the shard is full: spill_full, with the time that it asks", async () => {
    const outcome = await accept(prepared(["0a"]), { kafka: failing("unreachable"), spillway: () => FULL });
    expect(outcome.verdicts.map(retryOf)).toEqual([
      { reason: "spill_full", code: "unreachable", retryAfterMs: 30_000 },
    ]);
    // It may lie in Kafka all the same.
    expect(outcome).toMatchObject({ accepted: 0, unconfirmed: 1 });
  });

  it("and the shard is away: kafka_unavailable", async () => {
    const outcome = await accept(prepared(["0a", "1a"]), {
      kafka: failing("unreachable"),
      spillway: (shard) => (shard === 0 ? AWAY : KEPT),
    });
    expect(outcome.statuses).toEqual(["retry", "spilled"]);
    expect(retryOf(outcome.verdicts[0])).toMatchObject({ reason: "kafka_unavailable", code: "unreachable" });
    expect(outcome).toMatchObject({ accepted: 1, spilled: 1, unconfirmed: 1 });
  });
});

it("keeps records that are no part of the ledger as none", async () => {
  const outcome = await accept(prepared(["0a"]), { state: OPEN, isCounted: false });
  expect(outcome).toMatchObject({ accepted: 1, spilled: 1 });
  expect(outcome.appended[0]?.messages[0]?.records).toBe(0);
});

describe("behind what is kept", () => {
  const state = { ...HEALTHY, spilled: [0] };

  it("goes what is of the same shard, and the rest to Kafka", async () => {
    const outcome = await accept(prepared(["0a", "1a", "0b", "2a"]), { state });
    expect(outcome.statuses).toEqual(["spilled", "ok", "spilled", "ok"]);
    expect(outcome.appended.map(({ shard, why, keys }) => ({ shard, why, keys }))).toEqual([
      { shard: 0, why: "behind", keys: ["0a", "0b"] },
    ]);
    expect(outcome.produced).toEqual([["1a", "2a"]]);
  });

  it("goes nothing where the shard says that it is empty by now", async () => {
    const outcome = await accept(prepared(["0a", "1a", "0b"]), { state, spillway: () => DIRECT });
    expect(outcome.statuses).toEqual(["ok", "ok", "ok"]);
    expect(outcome.produced).toEqual([["0a", "1a", "0b"]]);
  });

  it("and empty by now, but Kafka fails: then it is kept after all", async () => {
    const outcome = await accept(prepared(["0a"]), {
      state,
      kafka: failing("unavailable"),
      spillway: (_, why) => (why === "behind" ? DIRECT : KEPT),
    });
    expect(outcome.statuses).toEqual(["spilled"]);
    expect(outcome.appended.map(({ why }) => why)).toEqual(["behind", "failed"]);
  });

  it("while the breaker is open goes all, and Kafka is not touched", async () => {
    const outcome = await accept(prepared(["0a", "1a"]), { state: OPEN });
    expect(outcome.statuses).toEqual(["spilled", "spilled"]);
    expect(outcome.produced).toEqual([]);
    expect(outcome).toMatchObject({ calls: { ok: 0, failed: 0 }, failure: undefined });
  });

  it.each([
    ["full", OPEN, FULL, { reason: "spill_full", retryAfterMs: 30_000 }, 0],
    ["holding messages, and away", state, AWAY, { reason: "kafka_unavailable", retryAfterMs: undefined }, 1],
  ] as const)(
    "nothing goes to Kafka where the shard is %s: it would overtake what is held",
    async (_, known, refusal, told, unconfirmed) => {
      const outcome = await accept(prepared(["0a"]), { state: known, spillway: () => refusal });
      expect(outcome.produced).toEqual([]);
      expect(outcome.verdicts.map(retryOf)).toEqual([{ ...told, code: "unavailable" }]);
      expect(outcome).toMatchObject({ accepted: 0, unconfirmed });
    },
  );

  it("the shard is away, and held nothing: Kafka is tried, once, and what it does not take is not kept", async () => {
    const taken = await accept(prepared(["0a"]), { state: OPEN, spillway: () => AWAY });
    expect(taken.statuses).toEqual(["ok"]);
    const refused = await accept(prepared(["0a"]), {
      state: OPEN,
      spillway: () => AWAY,
      kafka: failing("unavailable"),
    });
    expect(refused.produced).toHaveLength(1);
    expect(refused.appended).toHaveLength(1);
    expect(refused.verdicts.map(retryOf)).toEqual([
      { reason: "kafka_unavailable", retryAfterMs: undefined, code: "unavailable" },
    ]);
  });

  it("each shard is asked where what is known is old", async () => {
    const old = { ...HEALTHY, isOld: true };
    const outcome = await accept(prepared(["0a", "1a"]), {
      state: old,
      spillway: (shard) => (shard === 0 ? KEPT : DIRECT),
    });
    expect(outcome.statuses).toEqual(["spilled", "ok"]);
    expect(outcome.produced).toEqual([["1a"]]);
  });
});

describe("without a partition count", () => {
  const partitions = new KafkaError("unreachable", "never seen");

  it.each([HEALTHY, OPEN])("all is kept, whatever is thought of Kafka: %o", async (state) => {
    const outcome = await accept(prepared(["0a", "1a"]), {
      partitions,
      state,
      spillway: (_, why) => (why === "failed" ? KEPT : DIRECT),
    });
    expect(outcome.statuses).toEqual(["spilled", "spilled"]);
    expect(outcome.produced).toEqual([]);
    expect(outcome.failure).toBe(partitions);
  });

  it("and where it cannot be kept it is to be sent again", async () => {
    const outcome = await accept(prepared(["0a", "1a"]), {
      partitions,
      spillway: (shard) => (shard === 0 ? FULL : AWAY),
    });
    expect(outcome.verdicts.map(retryOf)).toMatchObject([
      { reason: "spill_full", code: "unreachable" },
      { reason: "kafka_unavailable", code: "unreachable" },
    ]);
    // Of the second nothing is known.
    expect(outcome.unconfirmed).toBe(1);
  });
});
