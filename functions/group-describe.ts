// Consumer groups as they stand: their state by the registry, their positions by the store, the ends by Kafka.
import {
  isReaderOf,
  readerOf,
  type GroupStart,
  type StoredGroup,
  type TopicPlan,
} from "../lib/storage/groups.ts";
import type { Progress } from "../lib/storage/storage.ts";
import type { GroupDefinition } from "../lib/stream/groups-setting.ts";
import { remaining } from "../lib/stream/groups-switch.ts";
import { KafkaError } from "../lib/kafka/errors.ts";
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { ownedPartitions } from "./consume.ts";
import type { Deployment } from "./deployment.ts";
import { streamStoreOf } from "./storage.ts";
import { storedGroups } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

/** @returns those of the names that there are. @throws KafkaError, StorageError */
export async function describeGroups(
  env: Env,
  deployment: Deployment,
  isWanted: (name: string) => boolean,
): Promise<object[]> {
  const groups = deployment.groups.filter(({ name }) => isWanted(name));
  const stored = await storedGroups(env, deployment);
  const transport = openTransport(env, deployment);
  try {
    const [owned, progress] = await Promise.all([
      ownedPartitions(env, deployment),
      streamStoreOf(env).progress(deployment.config.KAFKA_CONSUMER_GROUP),
    ]);
    const ends = new LogEnds(transport);
    return await Promise.all(
      groups.map(async (group) => {
        const row = stored.find(({ name }) => name === group.name);
        const places = uniquePlaces(owned.filter(({ name }) => name === group.name));
        const ofGroup = progress.filter((one) => isReaderOf(one.group, group.name));
        return await describeGroup(group, row, places, ofGroup, ends);
      }),
    );
  } finally {
    await transport.close();
  }
}

function startText(start: GroupStart): string {
  return typeof start === "string" ? start : new Date(start.timeMs).toISOString();
}

export const topicTexts = (topics: readonly TopicPlan[]) =>
  topics.map(({ topic, fromTimeMs }) => ({
    topic,
    from_time: fromTimeMs === null ? null : new Date(fromTimeMs).toISOString(),
  }));

interface Place {
  topic: string;
  partition: number;
}

async function describeGroup(
  { name, does, signals, startAt }: GroupDefinition,
  row: StoredGroup | undefined,
  places: readonly Place[],
  progress: readonly Progress[],
  ends: LogEnds,
): Promise<object> {
  const epoch = row?.epoch ?? 0;
  const reader = readerOf(name, epoch);
  const partitions = await Promise.all(
    places.map(async ({ topic, partition }) => {
      const committed =
        progress.find((one) => one.group === reader && one.topic === topic && one.partition === partition)
          ?.nextOffset ?? null;
      const { start, end, error } = await ends.of(topic, partition, committed ?? undefined);
      const lag = end === null ? null : Math.max(0, end - (committed ?? start ?? end));
      return { topic, partition, committed, end, lag, ...(error === undefined ? {} : { error }) };
    }),
  );
  const isKnown = partitions.every(({ lag }) => lag !== null);
  return {
    group: name,
    does,
    signals,
    epoch,
    state: row?.isPaused === true ? "paused" : "running",
    start: startText(row?.start ?? startAt),
    lag: isKnown ? partitions.reduce((sum, { lag }) => sum + (lag ?? 0), 0) : null,
    partitions,
    building: row?.building ? describeBuilding(name, row.building, progress, reader) : null,
  };
}

function describeBuilding(
  name: string,
  { epoch, isHandingOver, begunAtMs, topics }: NonNullable<StoredGroup["building"]>,
  progress: readonly Progress[],
  oldReader: string,
): object {
  const { messages, apart } = remaining(progress, oldReader, readerOf(name, epoch), topics);
  return {
    epoch,
    state: isHandingOver ? "handing_over" : "reading",
    since: new Date(begunAtMs).toISOString(),
    messages_left: messages,
    partitions_left: apart,
    topics: topicTexts(topics),
  };
}

/** While a group is built, two readers read each partition. */
function uniquePlaces(owned: readonly Place[]): Place[] {
  return owned.filter(
    ({ topic, partition }, i) =>
      owned.findIndex((one) => one.topic === topic && one.partition === partition) === i,
  );
}

interface Ends {
  start: number | null;
  end: number | null;
  error?: string;
}

/** Each partition is asked for once, however many groups read it. */
class LogEnds {
  readonly #transport: KafkaTransport;
  readonly #asked = new Map<string, Promise<Ends>>();

  constructor(transport: KafkaTransport) {
    this.#transport = transport;
  }

  async of(topic: string, partition: number, nearOffset: number | undefined): Promise<Ends> {
    const place = `${topic}/${partition}`;
    const asked = this.#asked.get(place) ?? this.#ask(topic, partition, nearOffset);
    this.#asked.set(place, asked);
    return await asked;
  }

  async #ask(topic: string, partition: number, nearOffset: number | undefined): Promise<Ends> {
    try {
      const start = await this.#transport.earliestOffset(topic, partition, nearOffset);
      return { start, end: await this.#transport.latestOffset(topic, partition, nearOffset ?? start) };
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return { start: null, end: null, error: `${error.code}: ${error.message}` };
    }
  }
}
