// Reads by offset through consumer instances, for proxies that have nothing better (Karapace, Confluent, Strimzi):
// assigned by hand, never by a group's subscription, which loses messages with a lost answer. An instance stays for as
// long as the transport, is moved only when it does not stand where the read begins, and is deleted by `close`.
//
// No proxy but Confluent's drops idle instances by itself, and a crash skips `close`: each partition has only a few
// names for instances, and when they are taken one is deleted and made anew, so what is left over stays bounded.
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import { fromHttpStatus, type RestAnswer, type RestClient } from "./rest-http.ts";
import { readBounds, type Bounds } from "./rest-v2-metadata.ts";
import { BINARY, fromWire, V2 } from "./rest-v2-records.ts";
import type { FetchedRecord, FetchRequest } from "./transport.ts";

const TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** How long a read goes on while messages are there and the proxy shows none. */
const READ_DEADLINE_MS = 8_000;
/** Karapace waits about that long after a move until it has anything (its own comment says 500 ms). */
const POLL_MS = 500;
const MAX_POLL_MS = 2_000;
/** Confluent answers nothing where the first message is larger than asked for. */
const MIN_POLL_BYTES = 1 << 20;
const MAX_POLL_BYTES = 1 << 26;
/** Names of instances of one partition: enough for its readers at one time. */
const SLOTS = 4;
/** Made in one read, where others or a restart take them away. */
const MAX_INSTANCES = 3;
const SETTLE_MS = [50, 100, 200, 400, 800];

export interface InstanceOptions {
  /** Begins the names of the groups that the instances belong to; they never commit. */
  group: string;
  /** Strimzi's bridge: another name for one setting, and no limit on bytes: it drops what is beyond. */
  isBridge: () => Promise<boolean>;
  now: () => number;
  random: () => number;
  sleep: (ms: number) => Promise<void>;
}

/** What is known of one partition. */
interface Place {
  path: string | undefined;
  isAssigned: boolean;
  /** Offset that the instance reads next; undefined: not known. */
  position: number | undefined;
  /** The log reached at least to here. */
  end: number;
  /** Reads of one partition take turns. */
  turn: Promise<unknown>;
}

export interface InstanceReader {
  fetch(request: FetchRequest): Promise<FetchedRecord[]>;
  close(): Promise<void>;
}

export function createInstanceReader(client: RestClient, options: InstanceOptions): InstanceReader {
  const places = new Map<string, Place>();

  const sendTo = async (method: "POST" | "DELETE", path: string, body?: object, timeoutMs = TIMEOUT_MS) =>
    await client.call({
      method,
      path,
      accept: V2,
      contentType: V2,
      ...(body && { body: JSON.stringify(body) }),
      timeoutMs,
    });

  async function create(topic: string, partition: number): Promise<string> {
    const what = `making a consumer for ${topic}/${partition}`;
    const group = `/consumers/${encodeURIComponent(`${options.group}.read.${topic}.${partition}`)}`;
    const isBridge = await options.isBridge();
    const firstSlot = Math.floor(options.random() * SLOTS);
    // Another name where one is taken; then that one is made free: whoever has it, if anybody has, makes another.
    for (const [slot, isLast] of [
      [firstSlot, false],
      [firstSlot + 1, false],
      [firstSlot + 1, true],
    ] as const) {
      const name = `weir-${slot % SLOTS}`;
      if (isLast) await sendTo("DELETE", `${group}/instances/${name}`);
      // No setting makes an instance end by itself: consumer.request.timeout.ms is how long a read may wait.
      const answer = await sendTo("POST", group, {
        name,
        format: "binary",
        "auto.offset.reset": "earliest",
        ...(isBridge ? { "enable.auto.commit": false } : { "auto.commit.enable": "false" }),
        "fetch.min.bytes": 1,
      });
      if (answer.status === 409) continue;
      if (answer.status >= 300) throw fromHttpStatus(answer, what);
      const created = z.object({ instance_id: z.string() }).safeParse(answer.json);
      if (!created.success) throw new KafkaError("bad_answer", `${what}: no instance_id in the answer`);
      // base_uri may be relative, or name a host that only the proxy's neighbours reach: the path is known without it.
      return `${group}/instances/${encodeURIComponent(created.data.instance_id)}`;
    }
    throw new KafkaError("unavailable", `${what}: others keep taking its names`);
  }

  /** Sends to the instance, and notes when it is there no longer. */
  async function sendToInstance(place: Place, part: string, body: object): Promise<RestAnswer> {
    const answer = await sendTo("POST", `${place.path}/${part}`, body);
    if (answer.status === 404) throw gone(place);
    return answer;
  }

  /** Makes the instance where there is none, and moves it to `offset` unless it stands there. */
  async function stand(place: Place, topic: string, partition: number, offset: number): Promise<boolean> {
    if (place.path !== undefined && place.position === offset) return false;
    const what = `moving a consumer to ${topic}/${partition}:${offset}`;
    place.position = undefined;
    if (place.path === undefined) {
      place.path = await create(topic, partition);
      place.isAssigned = false;
    }
    if (!place.isAssigned) {
      const assigned = await sendToInstance(place, "assignments", { partitions: [{ topic, partition }] });
      if (assigned.status >= 300) throw fromHttpStatus(assigned, what);
      place.isAssigned = true;
    }
    for (let attempt = 0; ; attempt++) {
      const moved = await sendToInstance(place, "positions", { offsets: [{ topic, partition, offset }] });
      if (moved.status < 300) break;
      const delayMs = SETTLE_MS[attempt];
      // librdkafka (Karapace) refuses to move while an assignment is under way: 40903.
      if (moved.status !== 409) throw fromHttpStatus(moved, what);
      if (delayMs === undefined)
        throw new KafkaError("unavailable", `${what}: the assignment does not settle`);
      await options.sleep(delayMs);
    }
    place.position = offset;
    return true;
  }

  async function poll(place: Place, request: FetchRequest, waitMs: number, maxBytes: number) {
    const { topic, partition, offset } = request;
    const what = `reading ${topic}/${partition} from ${offset}`;
    const limit = (await options.isBridge()) ? "" : `&max_bytes=${maxBytes}`;
    const answer = await client.call({
      method: "GET",
      path: `${place.path}/records?timeout=${waitMs}${limit}`,
      accept: BINARY,
      timeoutMs: waitMs + TIMEOUT_MS,
    });
    if (answer.status === 404) throw gone(place);
    if (answer.status !== 200) throw fromHttpStatus(answer, what);
    return fromWire(answer.json, partition, offset, what);
  }

  /** @throws KafkaError `offset_out_of_range`: an instance would go to the log's start without a word */
  async function checkBounds(place: Place, { topic, partition, offset }: FetchRequest): Promise<Bounds> {
    const bounds = await readBounds(client, topic, partition);
    place.end = bounds.end;
    if (offset >= bounds.start && offset <= bounds.end) return bounds;
    throw new KafkaError(
      "offset_out_of_range",
      `reading ${topic}/${partition} from ${offset}: it holds ${bounds.start} to ${bounds.end}`,
    );
  }

  async function read(place: Place, request: FetchRequest): Promise<FetchedRecord[]> {
    const { topic, partition, offset, waitMs } = request;
    const isInside = place.path !== undefined && place.position === offset && offset < place.end;
    if (!isInside && (await checkBounds(place, request)).end === offset && waitMs <= 0) return [];
    const deadlineMs = options.now() + waitMs + READ_DEADLINE_MS;
    let pollMs = offset < place.end ? POLL_MS : Math.max(1, waitMs);
    let pollBytes = Math.max(request.maxBytes, MIN_POLL_BYTES);
    let hasMoved = false;
    for (;;) {
      hasMoved = (await stand(place, topic, partition, offset)) || hasMoved;
      const records = await poll(place, request, pollMs, pollBytes);
      const [first] = records;
      // Karapace cuts an answer at max_bytes and forgets the messages behind the cut: a gap counts after a move only.
      const isTrusted = hasMoved || first?.offset === offset;
      if (first && isTrusted) {
        if (first.offset > offset) await checkBounds(place, request);
        place.position = (records.at(-1)?.offset ?? 0) + 1;
        return records;
      }
      const { end } = await checkBounds(place, request);
      if (end === offset) return [];
      if (options.now() >= deadlineMs) {
        throw new KafkaError(
          "timeout",
          `reading ${topic}/${partition} from ${offset}: the log reaches ${end}, and the proxy shows nothing`,
        );
      }
      // Nothing, though messages are there: a first read after a move may be too early, or max_bytes too small.
      if (!hasMoved) place.position = undefined;
      else await options.sleep(Math.min(pollMs / 4, 250));
      pollMs = Math.min(Math.max(pollMs, POLL_MS) * 2, MAX_POLL_MS);
      pollBytes = Math.min(pollBytes * 8, MAX_POLL_BYTES);
    }
  }

  async function readAgainWhereGone(place: Place, request: FetchRequest): Promise<FetchedRecord[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await read(place, request);
      } catch (error) {
        // Whatever the proxy has handed out by now, the next read says anew where it begins.
        place.position = undefined;
        if (!(error instanceof InstanceGone) || attempt === MAX_INSTANCES) throw error;
      }
    }
  }

  return {
    async fetch(request) {
      const key = `${request.topic}/${request.partition}`;
      const place = places.get(key) ?? newPlace();
      places.set(key, place);
      const result = place.turn.then(() => readAgainWhereGone(place, request));
      place.turn = result.catch(() => undefined);
      return await result;
    },

    async close() {
      const paths = [...places.values()].flatMap(({ path }) => path ?? []);
      places.clear();
      // A failure to tidy up hides no answer: the name is used again.
      await Promise.all(
        paths.map((path) => sendTo("DELETE", path, undefined, CLOSE_TIMEOUT_MS).catch(() => undefined)),
      );
    },
  };
}

function newPlace(): Place {
  return { path: undefined, isAssigned: false, position: undefined, end: 0, turn: Promise.resolve() };
}

class InstanceGone extends KafkaError {}

function gone(place: Place): InstanceGone {
  place.path = undefined;
  return new InstanceGone(
    "unavailable",
    "the proxy does not know the consumer it made; are there several proxies behind KAFKA_REST_URL, without sticky sessions?",
  );
}
