// What the fixture server answers about the pipeline in each scenario: status, ledger, dead letters.
import type { Scenario } from "./fixture-server.ts";

const topics = ["logs.raw", "metrics.raw", "events.raw", "traces.raw"];

const awayError =
  "no answer from http://kafka-proxy:8082 within 5000 ms; check that the proxy runs and KAFKA_REST_URL is right";

export function kafkaStatus(scenario: Scenario): object {
  const isAway = scenario === "outage";
  const spills: Partial<Record<Scenario, object>> = {
    outage: { messages: 412, records: 18_204, bytes: 5_204_112, oldest_ms: 247_000 },
    recovering: { messages: 31, records: 1_204, bytes: 310_004, oldest_ms: 389_000 },
  };
  return {
    kafka_producer: isAway ? "disconnected" : "connected",
    kafka_consumer: isAway ? "retrying" : "running",
    consumer_topics: topics,
    consumer_handlers: ["weir:logs", "weir:metrics", "weir:events", "weir:traces"],
    transport: "rest-v2",
    acks: "all",
    capabilities: {
      reads: true,
      partitionCounts: "cluster",
      endOffsets: "exact",
      acks: "all",
      values: "bytes",
      recordHeaders: "read-write",
      createTopics: true,
      describeTopics: "replicas",
      groupOffsets: true,
      deleteRecords: true,
    },
    ...(isAway ? { error: awayError, error_code: "timeout" } : { topics_missing: [] }),
    breaker: isAway ? "open" : "closed",
    spill: {
      messages: 0,
      records: 0,
      bytes: 0,
      oldest_ms: null,
      refused: 0,
      error: null,
      ...spills[scenario],
    },
    consumers: topics.flatMap((topic) =>
      [0, 1, 2].map((partition) => ({
        group: "weir",
        topic,
        partition,
        state: isAway ? "retrying" : "running",
        error: isAway ? awayError : null,
        tripped: scenario === "dead-letters" && topic === "events.raw" ? ["orchard"] : [],
      })),
    ),
  };
}

function line(tenant: string, signal: string, accepted: number, rest: object = {}): object {
  return {
    tenant,
    signal,
    accepted,
    stored: accepted,
    late: 0,
    dead: 0,
    deduplicated: 0,
    expired: 0,
    spilled: 0,
    waiting: 0,
    difference: 0,
    uncertain: { lost_counts_at_most: 0, unconfirmed: 0 },
    settled: true,
    balanced: true,
    redelivered: 0,
    foreign: 0,
    client_discarded: 0,
    ...rest,
  };
}

const moving = { settled: false, balanced: null };

export function ledger(scenario: Scenario): object {
  const lines: Partial<Record<Scenario, object[]>> = {
    empty: [],
    behind: [line("acme", "logs", 812_004, { stored: 799_964, waiting: 12_040, ...moving })],
    outage: [
      line("acme", "logs", 128_204, {
        stored: 110_000,
        spilled: 18_204,
        waiting: null,
        difference: null,
        ...moving,
      }),
    ],
    recovering: [line("acme", "logs", 128_204, { stored: 126_900, spilled: 1_204, waiting: 100, ...moving })],
    "dead-letters": [
      line("acme", "logs", 48_213, { stored: 48_208, dead: 3, deduplicated: 2 }),
      line("orchard", "events", 1_200, { stored: 20, dead: 1_180 }),
    ],
    unbalanced: [
      line("acme", "logs", 48_213, { stored: 48_201, difference: 12, balanced: false }),
      line("orchard", "events", 1_200),
    ],
  };
  const of = lines[scenario] ?? [line("acme", "logs", 48_213), line("acme", "metrics", 120_344)];
  const isMoving = ["behind", "outage", "recovering"].includes(scenario);
  return {
    settled: !isMoving,
    balanced: isMoving ? null : scenario !== "unbalanced",
    lines: of,
  };
}

const faults: Array<[reason: string, error: string]> = [
  ["malformed_json", "the value is no JSON: Unexpected token '<' at position 0"],
  [
    "storage_refused",
    "the store refuses the record: value too long for type character varying(64), in the column service_instance_with_a_long_name",
  ],
  ["unknown_schema", "schema version 9 is newer than this reader knows (7)"],
];

export function deadLetters(scenario: Scenario, nowMs: number): object[] {
  if (scenario !== "dead-letters") return [];
  return Array.from({ length: 64 }, (_, index) => {
    const [error_type, error] = faults[index % faults.length]!;
    const offset = 90_412 - index * 7;
    return {
      id: `weir/events.raw/1/${index % 3}/${offset}/${index % 5 === 0 ? -1 : index}`,
      tenant: index % 4 === 2 ? "acme" : "orchard",
      original_topic: "events.raw",
      original_partition: index % 3,
      original_offset: offset,
      original_key: null,
      error,
      error_type,
      replays: 0,
      attempt: 5,
      // So that ages do not change within a minute of a test.
      dlq_timestamp: new Date(nowMs - 30_000 - (index + 1) * 4_320_000).toISOString(),
      partition: index % 3,
      offset,
      index: index % 5 === 0 ? -1 : index,
      group: "weir",
    };
  });
}
