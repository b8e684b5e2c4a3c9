// The consumers' part of the page of metrics. It is no count of an isolate: it is read from storage, and from the logs'
// ends, when it is asked for. Labels are few by their nature: topics, signals, groups, partitions; a tenant is never one.
import type { MetricSpec, SignalLabel } from "./metric-names.ts";

/** Series of a family as prometheus-text.ts takes them: the labels' values with tabs between → figures. */
type Series = Map<string, number[]>;

const topic = { max: 100 };
const signal = { max: 10 };
const group = { max: 100 };
const partition = { max: 100_000 };

const specs = (processingBoundsMs: readonly number[]) =>
  ({
    kafka_messages_received_total: {
      type: "counter",
      help: "Messages that the storing group has read and committed; failure: a dead letter came of them. The event type is the topic's signal. What it reads again after a reset counts again.",
      labels: { topic, event_type: signal, status: ["success", "failure"] },
    },
    kafka_message_process_time_seconds: {
      type: "histogram",
      help: "A message's share of the time from the fetch of its batch to the commit.",
      labels: { topic, event_type: signal },
      buckets: processingBoundsMs.map((ms) => ms / 1_000),
    },
    kafka_consumer_lag_ms: {
      type: "gauge",
      help: "How long the oldest message of the storing group's newest batch had waited since its receipt, the longest of the topic's partitions; 0 where all is read.",
      labels: { topic },
    },
    weir_consumer_lag_records: {
      type: "gauge",
      help: "Messages in the log that a group has not read.",
      labels: { group, topic, partition },
    },
    weir_consumer_records_total: {
      type: "counter",
      help: "Records that a group has read and settled, whatever became of them.",
      labels: { group, topic },
    },
    weir_consumer_commits_total: {
      type: "counter",
      help: "Commits of a group.",
      labels: { group, topic },
    },
    weir_consumer_dead_letters_total: {
      type: "counter",
      help: "Dead letters that a group has written.",
      labels: { group, topic },
    },
    weir_windows_watermark_seconds: {
      type: "gauge",
      help: "Event time up to which a partition is taken to be complete, seconds since 1970: windows that end before it have been told.",
      labels: { group, topic, partition },
    },
  }) as const satisfies Record<string, MetricSpec>;

type ConsumerMetric = keyof ReturnType<typeof specs>;

/** Of one partition and reader, as added up since it began. */
export interface ReadPartition {
  group: string;
  topic: string;
  signal: SignalLabel;
  partition: number;
  /** By it the metrics without a group are told. */
  isStoring: boolean;
  messages: number;
  failedMessages: number;
  records: number;
  deadLetters: number;
  commits: number;
  busyMs: number;
  /** Messages by time; the last bucket is above all bounds. */
  processing: readonly number[];
  lagMs: number;
}

export interface PartitionFigure {
  group: string;
  topic: string;
  partition: number;
  value: number;
}

export interface ConsumerReading {
  processingBoundsMs: readonly number[];
  partitions: readonly ReadPartition[];
  /** Messages not read; a partition whose end is not known is left out. */
  lags: readonly PartitionFigure[];
  /** Epoch ms; those not known yet left out. */
  watermarks: readonly PartitionFigure[];
}

export interface Family {
  name: string;
  spec: MetricSpec;
  series: Series;
}

export function consumerFamilies(reading: ConsumerReading): Family[] {
  const known: Record<ConsumerMetric, MetricSpec> = specs(reading.processingBoundsMs);
  const families = new Map<ConsumerMetric, Series>();
  const seriesOf = (name: ConsumerMetric, labels: readonly (string | number)[]) => {
    const series = families.get(name) ?? new Map<string, number[]>();
    families.set(name, series);
    const key = labels.join("\t");
    const figures = series.get(key) ?? [];
    series.set(key, figures);
    return figures;
  };
  const add = (name: ConsumerMetric, labels: readonly (string | number)[], values: readonly number[]) => {
    const figures = seriesOf(name, labels);
    for (const [i, value] of values.entries()) figures[i] = (figures[i] ?? 0) + value;
  };
  const unread = new Map(reading.lags.map((lag) => [placeOf(lag), lag.value]));
  for (const one of reading.partitions) {
    add("weir_consumer_records_total", [one.group, one.topic], [one.records]);
    add("weir_consumer_commits_total", [one.group, one.topic], [one.commits]);
    add("weir_consumer_dead_letters_total", [one.group, one.topic], [one.deadLetters]);
    if (!one.isStoring) continue;
    const received = [one.topic, one.signal];
    add("kafka_messages_received_total", [...received, "success"], [one.messages - one.failedMessages]);
    add("kafka_messages_received_total", [...received, "failure"], [one.failedMessages]);
    add("kafka_message_process_time_seconds", received, [...one.processing, one.busyMs / 1_000]);
    const lag = seriesOf("kafka_consumer_lag_ms", [one.topic]);
    lag[0] = Math.max(lag[0] ?? 0, unread.get(placeOf(one)) === 0 ? 0 : one.lagMs);
  }
  for (const lag of reading.lags)
    add("weir_consumer_lag_records", [lag.group, lag.topic, lag.partition], [lag.value]);
  for (const { value, ...place } of reading.watermarks)
    add("weir_windows_watermark_seconds", [place.group, place.topic, place.partition], [value / 1_000]);
  return (Object.keys(known) as ConsumerMetric[]).flatMap((name) => {
    const series = families.get(name);
    return series ? [{ name, spec: known[name], series }] : [];
  });
}

const placeOf = ({ group, topic, partition }: { group: string; topic: string; partition: number }) =>
  `${group}\t${topic}\t${partition}`;
