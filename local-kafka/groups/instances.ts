/** The instances of every group, by name, until they leave or have been silent too long. */
import { randomUUID } from "node:crypto";
import { KafkaError } from "../log/kafka-error.ts";
import type { ConsumerSettings, Instance } from "./instance.ts";

const SWEEP_INTERVAL_MS = 1000;

export class Instances {
  readonly #now: () => number;
  readonly #sessionTimeoutMs: number;
  readonly #groups = new Map<string, Map<string, Instance>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor({ now, sessionTimeoutMs }: { now: () => number; sessionTimeoutMs: number }) {
    this.#now = now;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
    this.#sweeper.unref();
  }

  /** Adds an instance and returns its name; undefined when the name is taken. */
  add(group: string, name: string | undefined, settings: ConsumerSettings): string | undefined {
    this.sweep();
    const instance = name ?? `consumer-${randomUUID()}`;
    const instances = this.#groups.get(group) ?? new Map<string, Instance>();
    if (instances.has(instance)) return undefined;
    this.#groups.set(group, instances);
    instances.set(instance, {
      settings,
      autoCommittedMs: this.#now(),
      topics: new Set(),
      assigned: undefined,
      positions: new Map(),
      lastSeenMs: this.#now(),
      turn: Promise.resolve(),
    });
    return instance;
  }

  /** Counts as a sign of life. Throws KafkaError unknown_member_id when there is no such instance. */
  get(group: string, name: string): Instance {
    this.sweep();
    const instance = this.#groups.get(group)?.get(name);
    if (instance === undefined) throw new KafkaError("unknown_member_id");
    instance.lastSeenMs = this.#now();
    return instance;
  }

  drop(group: string, name: string): void {
    const instances = this.#groups.get(group);
    instances?.delete(name);
    if (instances?.size === 0) this.#groups.delete(group);
  }

  /** Those of one group, by name. */
  of(group: string): ReadonlyMap<string, Instance> {
    return this.#groups.get(group) ?? new Map<string, Instance>();
  }

  groupNames(): string[] {
    return [...this.#groups.keys()];
  }

  sweep(): void {
    const oldest = this.#now() - this.#sessionTimeoutMs;
    for (const [group, instances] of this.#groups) {
      for (const [name, { lastSeenMs }] of instances) if (lastSeenMs < oldest) this.drop(group, name);
    }
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#groups.clear();
  }
}
