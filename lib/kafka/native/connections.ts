// The connections of one client: at most six at once, as many as a Worker may hold. Produce, metadata and the rest
// share one per broker. A fetch has its connection to itself, because a broker answers a connection's requests one
// after the other and may hold a fetch back until data come. What is idle makes room for what is needed.
import { KafkaError } from "../errors.ts";
import { backoffMs } from "./backoff.ts";
import { addressText, Connection, type Address, type ConnectOptions } from "./connection.ts";
import type { Deadline } from "./deadline.ts";

const MAX_CONNECTIONS = 6;
/** Fetches may wait long; they never take the last connections. */
const MAX_FETCHES = 3;

interface Slot {
  address: string;
  isFetch: boolean;
  opening: Promise<Connection>;
  connection: Connection | undefined;
  users: number;
  lastUse: number;
}

interface Waiter {
  look: (() => void) | undefined;
}

export interface Lease {
  connection: Connection;
  release: () => void;
}

export class Connections {
  readonly #options: ConnectOptions;
  readonly #random: () => number;
  readonly #slots = new Set<Slot>();
  /** Failures to connect since the last success, and when the last one was. */
  readonly #failures = new Map<string, { count: number; atMs: number }>();
  /** Callers that found all connections taken; each looks again when one is free. */
  readonly #waiting = new Set<Waiter>();
  #uses = 0;
  #isClosed = false;

  constructor(options: ConnectOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** @throws KafkaError; `timeout` where all connections stay taken */
  async lease(address: Address, isFetch: boolean, deadline: Deadline): Promise<Lease> {
    for (;;) {
      if (this.#isClosed) throw closed();
      const slot = this.#find(addressText(address), isFetch) ?? this.#open(address, isFetch);
      if (slot) return await this.#use(slot, deadline);
      await this.#untilOneIsFree(deadline);
    }
  }

  /** The best to ask first: those at hand, then those not tried, then those that failed longest ago. */
  sortByHope(addresses: readonly Address[]): Address[] {
    const rank = (address: Address) => {
      const text = addressText(address);
      if (this.#find(text, false)?.connection?.isOpen) return -1;
      return this.#failures.get(text)?.atMs ?? 0;
    };
    return addresses.toSorted((a, b) => rank(a) - rank(b));
  }

  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#slots) connection?.destroy(closed());
    this.#slots.clear();
    this.#wake();
  }

  async #use(slot: Slot, deadline: Deadline): Promise<Lease> {
    slot.users++;
    slot.lastUse = ++this.#uses;
    const release = () => {
      slot.users--;
      this.#wake();
    };
    try {
      return { connection: await deadline.race(slot.opening), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #find(address: string, isFetch: boolean): Slot | undefined {
    for (const slot of this.#slots) {
      if (slot.address === address && slot.isFetch === isFetch && (!isFetch || slot.users === 0)) return slot;
    }
    return undefined;
  }

  #open(address: Address, isFetch: boolean): Slot | undefined {
    const fetches = [...this.#slots].filter((slot) => slot.isFetch);
    if (isFetch && fetches.length >= MAX_FETCHES) {
      if (!this.#evict(fetches)) return undefined;
    } else if (this.#slots.size >= MAX_CONNECTIONS && !this.#evict([...this.#slots])) return undefined;
    const slot: Slot = {
      address: addressText(address),
      isFetch,
      opening: this.#connect(address),
      connection: undefined,
      users: 0,
      lastUse: 0,
    };
    this.#slots.add(slot);
    void this.#fill(slot);
    return slot;
  }

  async #fill(slot: Slot): Promise<void> {
    try {
      const connection = await slot.opening;
      slot.connection = connection;
      connection.onClose = () => this.#drop(slot);
      if (!this.#slots.has(slot)) connection.destroy(closed());
      if (!connection.isOpen) this.#drop(slot);
    } catch {
      // Whoever waits for it is told.
      this.#drop(slot);
    }
  }

  async #connect(address: Address): Promise<Connection> {
    const text = addressText(address);
    const failed = this.#failures.get(text);
    if (failed) {
      const waitMs = failed.atMs + backoffMs(failed.count, this.#random) - Date.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, waitMs)));
    }
    try {
      const connection = await Connection.open(address, this.#options);
      this.#failures.delete(text);
      return connection;
    } catch (error) {
      this.#failures.set(text, { count: (failed?.count ?? 0) + 1, atMs: Date.now() });
      throw error;
    }
  }

  #evict(slots: readonly Slot[]): boolean {
    const idle = slots.filter((slot) => slot.users === 0);
    const oldest = idle.toSorted((a, b) => a.lastUse - b.lastUse)[0];
    if (!oldest) return false;
    this.#slots.delete(oldest);
    oldest.connection?.destroy(new KafkaError("unreachable", "made room for another connection"));
    return true;
  }

  #drop(slot: Slot): void {
    this.#slots.delete(slot);
    this.#wake();
  }

  #wake(): void {
    for (const { look } of this.#waiting) look?.();
  }

  async #untilOneIsFree(deadline: Deadline): Promise<void> {
    const waiter: Waiter = { look: undefined };
    this.#waiting.add(waiter);
    try {
      await deadline.race(new Promise<void>((resolve) => (waiter.look = resolve)));
    } finally {
      this.#waiting.delete(waiter);
    }
  }
}

function closed(): KafkaError {
  return new KafkaError("unreachable", "this Kafka client is closed");
}
