// The consumers' part of the page of metrics, as a parser of the format reads it.
import { describe, expect, it } from "vitest";
import {
  consumerFamilies,
  type ConsumerReading,
  type ReadPartition,
} from "../../../lib/observability/consumer-metrics.ts";
import { renderFamilies } from "../../../lib/observability/prometheus-text.ts";
import { parseExposition } from "./parse-exposition.ts";

const partition = (fields: Partial<ReadPartition> = {}): ReadPartition => ({
  group: "weir-storage",
  topic: "metrics.raw",
  signal: "metrics",
  partition: 0,
  isStoring: true,
  messages: 10,
  failedMessages: 1,
  records: 1_000,
  deadLetters: 4,
  commits: 2,
  busyMs: 50,
  processing: [0, 9, 1],
  lagMs: 70,
  ...fields,
});

const reading = (fields: Partial<ConsumerReading> = {}): ConsumerReading => ({
  processingBoundsMs: [1, 10],
  partitions: [],
  lags: [],
  watermarks: [],
  ...fields,
});

const samples = (given: Partial<ConsumerReading>) =>
  new Map(
    [...parseExposition(renderFamilies(consumerFamilies(reading(given)))).values()].flatMap(({ samples }) =>
      samples.map(({ name, labels, value }) => [`${name}${JSON.stringify(labels)}`, value]),
    ),
  );

describe("the consumers' metrics", () => {
  it("are none where nothing was read", () => {
    expect(renderFamilies(consumerFamilies(reading()))).toBe("");
  });

  it("sum partitions; what has no group is told of the storing one alone", () => {
    const found = samples({
      partitions: [
        partition(),
        partition({
          partition: 1,
          messages: 5,
          failedMessages: 0,
          busyMs: 150,
          processing: [0, 0, 5],
          lagMs: 30,
        }),
        // Built beside it, after a reset: a reader of the same group.
        partition({
          group: "weir-storage@1",
          messages: 2,
          failedMessages: 0,
          busyMs: 0,
          processing: [2, 0, 0],
        }),
        partition({ group: "weir-alerting", isStoring: false, records: 7, lagMs: 9_999 }),
      ],
    });
    const received = { topic: "metrics.raw", event_type: "metrics" };
    const at = (name: string, labels: object) => found.get(`${name}${JSON.stringify(labels)}`);
    expect(at("kafka_messages_received_total", { ...received, status: "success" })).toBe(16);
    expect(at("kafka_messages_received_total", { ...received, status: "failure" })).toBe(1);
    const time = "kafka_message_process_time_seconds";
    expect(at(`${time}_bucket`, { ...received, le: "0.001" })).toBe(2);
    expect(at(`${time}_bucket`, { ...received, le: "0.01" })).toBe(11);
    expect(at(`${time}_bucket`, { ...received, le: "+Inf" })).toBe(17);
    expect(at(`${time}_count`, received)).toBe(17);
    expect(at(`${time}_sum`, received)).toBeCloseTo(0.2);
    expect(at("kafka_consumer_lag_ms", { topic: "metrics.raw" })).toBe(70);
    expect(at("weir_consumer_records_total", { group: "weir-storage", topic: "metrics.raw" })).toBe(2_000);
    expect(at("weir_consumer_records_total", { group: "weir-alerting", topic: "metrics.raw" })).toBe(7);
  });

  it("have no lag where all is read, and the batch's own where that is not known", () => {
    const lag = { group: "weir-storage", topic: "metrics.raw", partition: 0 };
    const lagMs = (value: number | undefined) =>
      samples({
        partitions: [partition()],
        lags: value === undefined ? [] : [{ ...lag, value }],
      }).get('kafka_consumer_lag_ms{"topic":"metrics.raw"}');
    expect(lagMs(0)).toBe(0);
    expect(lagMs(3)).toBe(70);
    expect(lagMs(undefined)).toBe(70);
    const found = samples({ lags: [{ ...lag, value: 12 }], watermarks: [{ ...lag, value: 1_500 }] });
    const labels = '{"group":"weir-storage","topic":"metrics.raw","partition":"0"}';
    expect(found.get(`weir_consumer_lag_records${labels}`)).toBe(12);
    expect(found.get(`weir_windows_watermark_seconds${labels}`)).toBe(1.5);
  });
});
