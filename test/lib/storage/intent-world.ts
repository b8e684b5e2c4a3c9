// Two partitions on whose log every kind of copy lies, owners of them, and what must have come of it in the end.
import { expect } from "vitest";
import { createIntentStore, type BlockSink, type IntentStoreDeps } from "../../../lib/storage/intent.ts";
import type { IntentControl } from "../../../lib/storage/intent-control.ts";
import { createMemoryIntentControl } from "../../../lib/storage/memory-intents.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import type { PartitionId, StreamStore } from "../../../lib/storage/storage.ts";
import { readAgain } from "../../../lib/stream/read-again.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import type { Log } from "../../../lib/telemetry/log.ts";
import { createMemoryLog } from "../../support/memory-log.ts";
import { ownPartition, OWNER_TIME_MS } from "../../support/memory-owner.ts";
import type { MemorySink } from "../../support/memory-sinks.ts";
import type { Stage } from "../../support/stage.ts";

export const TOPIC = "logs.raw";
export const SETTLE_MS = 60_000;
export const partition = (number: number): PartitionId => ({ group: "g", topic: TOPIC, partition: number });

/** One message: records of a batch, as one acceptance of it. A record's message text is its identity. */
export function envelope(batch: string, indices: readonly number[], attempt = 1): Uint8Array {
  const received = new Date(OWNER_TIME_MS).toISOString();
  const entries = indices.map((index) => ({
    index,
    record: { timestamp: received, level: "INFO", message: `${batch}/${index}`, attributes: {} },
  }));
  const header = {
    tenant: "acme",
    signal: "logs" as const,
    batch,
    attempt,
    received,
    agentVersion: undefined,
  };
  return packEnvelopes(header, entries).envelopes[0]!.value;
}

/** A log of two partitions on which every kind of copy lies, and how often each record was accepted. */
export function filledLog() {
  const log = createMemoryLog();
  const lay = (number: number, ...args: Parameters<typeof envelope>) =>
    log.append(TOPIC, number, envelope(...args));
  lay(0, "a", [0, 1, 2, 3]);
  lay(0, "b", [0, 1]);
  // A bare record without a time gets that of its decoding.
  log.append(TOPIC, 0, new TextEncoder().encode('{"message":"bare"}'));
  lay(0, "a", [0, 1, 2, 3], 2);
  lay(0, "c", [40, 0, 7]);
  lay(0, "b", [0, 1]);
  // The client's second try, grouped otherwise, and the answer to it lost.
  lay(1, "a", [2, 3, 4], 2);
  lay(1, "c", [0, 40, 8], 5);
  lay(1, "b", [0], 1);
  lay(1, "a", [2, 3, 4], 2);
  lay(1, "d", [0]);
  return log;
}
const IDENTITIES = [
  "a/0",
  "a/1",
  "a/2",
  "a/3",
  "a/4",
  "b/0",
  "b/1",
  "bare",
  "c/0",
  "c/40",
  "c/7",
  "c/8",
  "d/0",
];

export function createWorld({
  sink,
  log = filledLog(),
}: {
  sink: MemorySink;
  log?: ReturnType<typeof filledLog>;
}) {
  const memory = createMemoryStore();
  const control = createMemoryIntentControl(memory);
  const clock = { nowMs: OWNER_TIME_MS };
  const storeOf = (changes: Partial<IntentStoreDeps> = {}): StreamStore =>
    createIntentStore({
      control,
      sink,
      readAgain: (messages, nowMs) =>
        readAgain(log.transport, messages, { signal: "logs", defaultTenant: "dev", nowMs }),
      now: () => clock.nowMs,
      settleMs: SETTLE_MS,
      ...changes,
    });
  const own = (store: StreamStore, number: number, messagesPerCommit = 2) =>
    ownPartition(partition(number), { transport: log.transport, store, messagesPerCommit });
  /** Owners who nothing happens to bring all to its end. */
  const finish = async () => {
    const store = storeOf();
    for (const number of [0, 1, 0, 1]) await own(store, number, 3);
  };
  const seen = () => sink.rows().map(({ record }) => (record as Log).message);
  return { memory, control, clock, log, storeOf, own, finish, seen };
}

/** Nothing lost, nothing twice, and all of it counted. */
export async function expectWhole(world: ReturnType<typeof createWorld>): Promise<void> {
  expect(world.seen().toSorted()).toEqual(IDENTITIES);
  const ledger = await world.memory.stream.ledger("g", undefined);
  const sum = (count: "stored" | "deduplicated" | "redelivered" | "foreign") =>
    ledger.reduce((total, row) => total + row[count], 0);
  // Of 13 identities accepted for the first time, 2 + 2 + 2 again: a/0 to a/3, c/0, c/40; the bare one is foreign.
  expect([sum("stored"), sum("foreign"), sum("deduplicated")]).toEqual([13, 1, 6]);
  const copies = 4 + 2 + 4 + 3 + 2 + 3 + 3 + 1 + 3 + 1;
  expect(sum("redelivered")).toBe(copies - 12 - 6);
  const progress = await world.memory.stream.progress("g");
  expect(progress.map(({ nextOffset }) => nextOffset)).toEqual([6, 5]);
  expect(progress.reduce((total, { recordsTotal }) => total + recordsTotal, 0)).toBe(13);
  for (const { partition: number } of progress) {
    expect(await world.control.openIntent(partition(number))).toBeUndefined();
  }
}

const CONTROL_CALLS = [
  "openIntent",
  "position",
  "begin",
  "retry",
  "finish",
  "abandon",
  "commit",
  "claimed",
] as const;
const SINK_CALLS = ["write", "holds"] as const;

/** A store all of whose calls are steps of one actor. */
export function staged(
  world: ReturnType<typeof createWorld>,
  stage: Stage,
  actor: string,
  sink: BlockSink,
): StreamStore {
  const control: IntentControl = stage.wrap(actor, "control", world.control, CONTROL_CALLS);
  return world.storeOf({ control, sink: stage.wrap(actor, "sink", sink, SINK_CALLS) });
}
