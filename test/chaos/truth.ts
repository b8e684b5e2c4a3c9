// What the driver knows of a run beside its lanes: what it wrote past Weir, the logs of topics that were deleted, and the
// steps that nobody came to.
import { readLog, type LoggedMessage } from "./kafka-log.ts";
import type { World } from "./world.ts";

export interface ForeignMessage {
  topic: string;
  ids: string[];
  /** Weir cannot read it. */
  isDead: boolean;
}

/** No lane has it. */
const FOREIGN_LANE = 999;

export class Truth {
  readonly foreign: ForeignMessage[] = [];
  readonly unreached: string[] = [];
  /** Topics that were deleted and made anew: their owners stop, and a person has them go on. */
  readonly remade = new Set<string>();
  /** Every making of a topic, the last one included once the run is over. */
  readonly logs: { topic: string; messages: LoggedMessage[] }[] = [];
  readonly #seed: number;
  #foreignIds = 0;
  readonly #begun: { name: string; atMs: number }[] = [];
  /** When nothing could be judged, for what the driver did. */
  readonly #unjudged: { fromMs: number; toMs: number }[] = [];

  constructor(seed: number) {
    this.#seed = seed;
  }

  nextForeignId(): string {
    return `w${this.#seed}.${FOREIGN_LANE}.0.${this.#foreignIds++};`;
  }

  /** An act begins now. */
  begin(name: string): void {
    this.#begun.push({ name, atMs: performance.now() });
  }

  /** Nobody can be asked to judge alerts in time from now on, until {@link judgeable}. */
  unjudgeable(): void {
    this.#unjudged.push({ fromMs: performance.now(), toMs: Infinity });
  }

  judgeable(): void {
    const last = this.#unjudged.at(-1);
    if (last?.toMs === Infinity) last.toMs = performance.now();
  }

  /** For how long of this time, up to its end, alerts could be judged. */
  judgedMs(fromMs: number, toMs: number): number {
    const before = this.#unjudged.findLast((one) => one.fromMs <= toMs && one.toMs > fromMs);
    return Math.max(0, toMs - Math.max(fromMs, before?.toMs ?? 0));
  }

  /** Which act was on. */
  actAt(ms: number): string {
    return this.#begun.findLast(({ atMs }) => atMs <= ms)?.name ?? "before all acts";
  }

  async keepLog({ kafka }: World, topic: string): Promise<void> {
    this.logs.push({ topic, messages: await readLog(kafka.url, topic, kafka.topics.get(topic) ?? 3) });
  }
}
