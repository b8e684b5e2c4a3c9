// Spreads a key that is over its rate over several partitions: its records get the key `key#0`, `key#1`, … by a salt,
// of which those are used that lie on partitions of their own. The order per key is given up for as long as the key is
// hot; no result depends on it, since windows are partials by partition, merged at read. The salt comes from the
// record's identity, so a retry gives a record the same one; where the rate as this isolate sees it has changed
// meanwhile, only the grouping differs, and dedupe does not look at it.
import { murmur2, partitionOf } from "../kafka/partitioner.ts";

export interface HotKeyOptions {
  recordsPerSecond: number;
  bytesPerSecond: number;
  /** Keys whose rates are kept; the one that was silent longest leaves first. */
  maxKeys: number;
}

/** What one partition of a small broker takes with ease, as one isolate sees it. */
const DEFAULTS: HotKeyOptions = { recordsPerSecond: 1_000, bytesPerSecond: 1_000_000, maxKeys: 10_000 };

export interface RecordIdentity {
  tenant: string;
  batch: string;
  /** Place in the request. */
  index: number;
}

export interface Load {
  records: number;
  bytes: number;
}

/** What was counted is worth 1/e after this: a burst of a second does not make a key hot, a minute of it does. */
const MEMORY_MS = 10_000;

/** Neighbours in a request share their salt: one message for each of them would cost a proxy more than the spread saves. */
const NEIGHBOURS = 128;

/** How long a key goes without becoming the youngest again; to do it each time costs more than the look-up. */
const TOUCH_MS = 1_000;

interface Rate extends Load {
  atMs: number;
  touchedMs: number;
  fanout: number;
  /** Found so far; of one number of partitions. */
  spread?: Spread;
}

interface Spread {
  partitions: number;
  salts: number[];
}

/** Held by an isolate and shared by its requests; plain data only. */
export class HotKeys {
  readonly #options: HotKeyOptions;
  readonly #rates = new Map<string, Rate>();

  constructor(options: Partial<HotKeyOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /**
   * Counts the load and names the key to write it with. Not for a key that a client chose for its order.
   * @param partitions of the topic: the most that a key is spread over
   */
  keyFor(key: string, identity: RecordIdentity, load: Load, partitions: number, nowMs: number): string {
    // Walls: one tenant's rate must not take the order from another's key of the same name.
    const rate = this.#count(`${identity.tenant}\n${key}`, load, nowMs);
    const fanout = Math.min(this.#fanoutOf(rate), partitions);
    if (fanout < 2) return key;
    if (rate.spread?.partitions !== partitions) rate.spread = { partitions, salts: [] };
    return `${key}#${saltsOf(rate.spread, key, fanout)[placeOf(identity, fanout)]}`;
  }

  /** Keys that are spread at present. */
  hotCount(): number {
    let hot = 0;
    for (const { fanout } of this.#rates.values()) if (fanout > 1) hot++;
    return hot;
  }

  #count(key: string, { records, bytes }: Load, nowMs: number): Rate {
    const known = this.#rates.get(key);
    if (!known) {
      if (this.#rates.size >= this.#options.maxKeys) this.#forgetOldest();
      const rate = { records, bytes, atMs: nowMs, touchedMs: nowMs, fanout: 1 };
      this.#rates.set(key, rate);
      return rate;
    }
    // A clock that goes back counts as one that stands.
    const left = nowMs > known.atMs ? Math.exp((known.atMs - nowMs) / MEMORY_MS) : 1;
    known.records = known.records * left + records;
    known.bytes = known.bytes * left + bytes;
    known.atMs = Math.max(known.atMs, nowMs);
    if (nowMs - known.touchedMs >= TOUCH_MS) {
      known.touchedMs = nowMs;
      this.#rates.delete(key);
      this.#rates.set(key, known);
    }
    return known;
  }

  /** Powers of two, up at once and down only at half of what would do: a rate at the edge does not make it waver. */
  #fanoutOf(rate: Rate): number {
    const { recordsPerSecond, bytesPerSecond } = this.#options;
    const seconds = MEMORY_MS / 1000;
    const over = Math.max(rate.records / seconds / recordsPerSecond, rate.bytes / seconds / bytesPerSecond);
    const needed = over <= 1 ? 1 : 2 ** Math.ceil(Math.log2(over));
    if (needed > rate.fanout || over < rate.fanout / 4) rate.fanout = needed;
    return rate.fanout;
  }

  #forgetOldest(): void {
    for (const oldest of this.#rates.keys()) {
      this.#rates.delete(oldest);
      return;
    }
  }
}

const utf8 = new TextEncoder();

function placeOf({ tenant, batch, index }: RecordIdentity, fanout: number): number {
  const text = `${tenant}\n${batch}\n${Math.floor(index / NEIGHBOURS)}`;
  return (murmur2(utf8.encode(text)) & 0x7fffffff) % fanout;
}

/** Numbers from 0 whose partitions differ, `fanout` of them, at most as many as there are partitions; found once for a key. */
function saltsOf({ partitions, salts }: Spread, key: string, fanout: number): number[] {
  if (salts.length >= fanout) return salts;
  const partitionFor = (salt: number) => partitionOf(utf8.encode(`${key}#${salt}`), partitions);
  const taken = new Set(salts.map(partitionFor));
  for (let salt = (salts.at(-1) ?? -1) + 1; salts.length < fanout; salt++) {
    const partition = partitionFor(salt);
    if (taken.has(partition)) continue;
    taken.add(partition);
    salts.push(salt);
  }
  return salts;
}
