// One page of a topic's messages, over all its partitions or some: newest first, or oldest first to follow along.
// Bounded in messages and in bytes. Kafka orders within a partition only: between partitions the timestamps decide
// where the transport tells them, else they take turns. A partition that fails is told beside the others' messages.
import { KafkaError } from "./errors.ts";
import type { Direction, MessageCursor } from "./message-cursor.ts";
import type { FetchedRecord, KafkaTransport } from "./transport.ts";

export interface PageOptions {
  topic: string;
  partitions: readonly number[];
  /** Where to begin: a cursor, or without one. `newer` begins at an end of the log or at an offset. */
  begin:
    | MessageCursor
    | { direction: "older" }
    | { direction: "newer"; from: "earliest" | "latest" | number };
  limit: number;
  /** Of all rows together; one row always comes when there is one, however long it is. */
  maxBytes: number;
  /** Makes a row of a message; its length in bytes is what counts. */
  render(partition: number, record: FetchedRecord): { text: string; bytes: number };
  /** An offset near each partition's end, where one is known: makes it cheaper to find. */
  hints?: ReadonlyMap<number, number>;
}

export interface MessagePage {
  rows: string[];
  faults: { partition: number; error: KafkaError }[];
  /** Undefined at the log's start. Reading newer messages always goes on. */
  next: MessageCursor | undefined;
}

/** What a partition gives to a page: rows in the page's order, and where reading goes on after all of them. */
interface Gathered {
  partition: number;
  rows: Row[];
  after: number;
  /** Nothing lies beyond `after` in this direction. */
  isDone: boolean;
  fault?: KafkaError;
}

interface Row {
  offset: number;
  timestampMs: number | undefined;
  text: string;
  bytes: number;
}

/** Bytes asked of Kafka at first, when it is not known how large the messages are, and at least. */
const FIRST_FETCH_BYTES = 32 * 1024;
const MAX_FETCH_BYTES = 1024 * 1024;
/** What a record takes beside its bytes, and some more, so that the wanted number mostly comes at once. */
const RECORD_OVERHEAD_BYTES = 100;
/** Messages looked at first when reading towards the start; large ones then take little memory. */
const FIRST_WINDOW = 8;
/** Reads of one partition for one page; gaps of a compacted log may need many. */
const MAX_READS = 40;
/** Partitions that share a page's bytes; more of them may gather more, though the page takes no more. */
const SHARES = 8;

/** @throws KafkaError when every partition fails */
export async function readMessagePage(transport: KafkaTransport, options: PageOptions): Promise<MessagePage> {
  const { begin, partitions } = options;
  const reader = new PartitionReader(transport, options);
  const gathered = await Promise.all(
    partitions.map(async (partition): Promise<Gathered | { partition: number; error: KafkaError }> => {
      try {
        return await reader.gather(partition);
      } catch (error) {
        if (error instanceof KafkaError) return { partition, error };
        throw error;
      }
    }),
  );
  const good = gathered.filter((one) => "rows" in one);
  const failed = gathered.filter((one) => "error" in one);
  if (good.length === 0 && failed[0]) throw failed[0].error;

  const { rows, taken } = merge(good, begin.direction, options);
  const positions = new Map<number, number | undefined>();
  for (const { partition } of failed) keepPosition(positions, begin, partition);
  let isMore = begin.direction === "newer";
  for (const { partition, rows: own, after, isDone } of good) {
    const left = own[taken.get(partition) ?? 0];
    if (left) positions.set(partition, begin.direction === "older" ? left.offset + 1 : left.offset);
    else positions.set(partition, after);
    if (left || !isDone) isMore = true;
  }
  const gaps = good.flatMap(({ partition, fault }) => (fault ? [{ partition, error: fault }] : []));
  return {
    rows,
    faults: [...failed, ...gaps],
    next: isMore ? { direction: begin.direction, positions } : undefined,
  };
}

/** A partition that failed goes on where it was to begin; the cursor leaves out what begins at the log's start. */
function keepPosition(
  positions: MessageCursor["positions"],
  begin: PageOptions["begin"],
  partition: number,
): void {
  if ("positions" in begin) {
    if (begin.positions.has(partition)) positions.set(partition, begin.positions.get(partition));
  } else if (!("from" in begin) || begin.from === "latest") positions.set(partition, undefined);
  else if (begin.from !== "earliest") positions.set(partition, begin.from);
}

/** Takes rows from the partitions in the page's order, until it is full or the order would no longer be known. */
function merge(
  gathered: readonly Gathered[],
  direction: Direction,
  { limit, maxBytes }: PageOptions,
): { rows: string[]; taken: Map<number, number> } {
  const taken = new Map<number, number>();
  const rows: string[] = [];
  const isTimed = gathered.every((one) => one.rows.every(({ timestampMs }) => timestampMs !== undefined));
  const sign = direction === "older" ? -1 : 1;
  let bytes = 0;
  while (rows.length < limit) {
    let best: { partition: number; row: Row; rank: number } | undefined;
    for (const { partition, rows: own, isDone } of gathered) {
      const count = taken.get(partition) ?? 0;
      const row = own[count];
      // What lies below might be newer than the other partitions' next: the next page tells.
      if (!row && !isDone && direction === "older") return { rows, taken };
      if (!row) continue;
      const rank = isTimed ? sign * (row.timestampMs ?? 0) : count;
      // Of equals, the page of newer messages has the lower partition first, and the other is its reverse.
      if (!best || rank < best.rank || (rank === best.rank && direction === "older"))
        best = { partition, row, rank };
    }
    if (!best || (rows.length > 0 && bytes + best.row.bytes > maxBytes)) break;
    rows.push(best.row.text);
    bytes += best.row.bytes;
    taken.set(best.partition, (taken.get(best.partition) ?? 0) + 1);
  }
  return { rows, taken };
}

class PartitionReader {
  readonly #transport: KafkaTransport;
  readonly #options: PageOptions;
  readonly #maxBytes: number;
  /** By partition: bytes of a message, on the average of the last answer. */
  readonly #meanBytes = new Map<number, number>();

  constructor(transport: KafkaTransport, options: PageOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#maxBytes = Math.ceil(options.maxBytes / Math.min(options.partitions.length, SHARES));
  }

  async gather(partition: number): Promise<Gathered> {
    const { begin } = this.#options;
    if (begin.direction === "newer") return await this.#gatherNewer(partition, await this.#start(partition));
    if (!("positions" in begin)) return await this.#gatherOlder(partition, await this.#end(partition));
    // Added after the first page was read: all that is in it is newer.
    if (!begin.positions.has(partition)) return { partition, rows: [], after: 0, isDone: true };
    return await this.#gatherOlder(partition, begin.positions.get(partition) ?? (await this.#end(partition)));
  }

  async #start(partition: number): Promise<number> {
    const { begin } = this.#options;
    if ("from" in begin) {
      if (begin.from === "latest") return await this.#end(partition);
      return begin.from === "earliest" ? await this.#earliest(partition) : begin.from;
    }
    const positions = "positions" in begin ? begin.positions : new Map<number, undefined>();
    if (positions.has(partition)) return positions.get(partition) ?? (await this.#end(partition));
    // Added since: nothing of it was read.
    return await this.#earliest(partition);
  }

  async #gatherNewer(partition: number, start: number): Promise<Gathered> {
    const { limit } = this.#options;
    const found: Gathered = { partition, rows: [], after: start, isDone: false };
    let bytes = 0;
    for (let reads = 0; reads < MAX_READS && found.rows.length < limit && bytes < this.#maxBytes; reads++) {
      let records: FetchedRecord[];
      try {
        records = await this.#fetch(partition, found.after, limit - found.rows.length);
      } catch (error) {
        if (!isOutOfRange(error) || found.fault || found.rows.length > 0) throw error;
        const earliest = await this.#earliest(partition);
        if (earliest <= start) throw error;
        const gone = `the messages from ${start} to ${earliest - 1} are no longer kept`;
        found.fault = new KafkaError("offset_out_of_range", gone);
        found.after = earliest;
        continue;
      }
      if (records.length === 0) break;
      for (const record of records) {
        if (found.rows.length >= limit || bytes >= this.#maxBytes) break;
        const row = this.#row(partition, record);
        found.rows.push(row);
        bytes += row.bytes;
        found.after = record.offset + 1;
      }
    }
    return found;
  }

  /** A log is read forwards only: towards its start it goes by windows, each read forwards and put in front. */
  async #gatherOlder(partition: number, end: number): Promise<Gathered> {
    const rows: Row[] = [];
    let high = end;
    let low = 0;
    let bytes = 0;
    let window = FIRST_WINDOW;
    const { limit } = this.#options;
    for (let reads = 0; reads < MAX_READS; reads++) {
      if (high <= low || rows.length >= limit || bytes >= this.#maxBytes) break;
      const from = Math.max(low, high - Math.min(window, limit - rows.length));
      try {
        const { kept, isCut } = await this.#window(partition, from, high, this.#maxBytes - bytes);
        for (const row of kept.toReversed()) {
          rows.push(row);
          bytes += row.bytes;
        }
        high = isCut ? (kept[0]?.offset ?? from) : from;
        window *= 4;
      } catch (error) {
        if (!isOutOfRange(error)) throw error;
        const earliest = await this.#earliest(partition, high - 1);
        if (earliest <= from) throw error;
        low = earliest;
      }
    }
    return { partition, rows, after: Math.max(high, 0), isDone: high <= low };
  }

  /** The messages of `from` ≤ offset < `to`; of more than `maxBytes` the last ones, one at least. */
  async #window(
    partition: number,
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<{ kept: Row[]; isCut: boolean }> {
    const kept: Row[] = [];
    let bytes = 0;
    let isCut = false;
    for (let at = from; at < to;) {
      const records = await this.#fetch(partition, at, to - at);
      const last = records.at(-1);
      if (!last) break;
      for (const record of records) {
        if (record.offset >= to) break;
        const row = this.#row(partition, record);
        kept.push(row);
        bytes += row.bytes;
        while (bytes > maxBytes && kept.length > 1) {
          bytes -= kept.shift()?.bytes ?? 0;
          isCut = true;
        }
      }
      at = last.offset + 1;
    }
    return { kept, isCut };
  }

  #row(partition: number, record: FetchedRecord): Row {
    const { text, bytes } = this.#options.render(partition, record);
    return { offset: record.offset, timestampMs: record.timestampMs, text, bytes };
  }

  /** @param wanted messages: about so many are asked for, since all that comes must be carried and decoded */
  async #fetch(partition: number, offset: number, wanted: number): Promise<FetchedRecord[]> {
    const { topic } = this.#options;
    const mean = this.#meanBytes.get(partition);
    const likely = mean === undefined ? 0 : wanted * (mean + RECORD_OVERHEAD_BYTES);
    const maxBytes = Math.min(Math.max(FIRST_FETCH_BYTES, Math.ceil(likely)), MAX_FETCH_BYTES);
    const records = await this.#transport.fetch({ topic, partition, offset, maxBytes, waitMs: 0 });
    if (records.length > 0) this.#meanBytes.set(partition, bytesOf(records) / records.length);
    return records;
  }

  async #end(partition: number): Promise<number> {
    const { topic, hints } = this.#options;
    return await this.#transport.latestOffset(topic, partition, hints?.get(partition));
  }

  async #earliest(partition: number, near?: number): Promise<number> {
    const { topic, hints } = this.#options;
    return await this.#transport.earliestOffset(topic, partition, near ?? hints?.get(partition));
  }
}

function bytesOf(records: readonly FetchedRecord[]): number {
  return records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0);
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof KafkaError && error.code === "offset_out_of_range";
}
