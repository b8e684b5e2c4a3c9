// A plan whose rows have gone through the processors (lib/processors): what is stored is what they made of it, with what
// they give to windows and to the `.processed` topics. A record whose handler fails is dead, and the batch is planned
// again without it: a dead record takes no claim. Pure, like the plan.
import { Buffer } from "node:buffer";
import { processedMessages } from "../processors/processed-messages.ts";
import type { DeadRow, ProcessedMessage, ProcessedRows } from "../processors/process-rows.ts";
import type { PartitionId, Position, Rows } from "../storage/storage.ts";
import type { Sample } from "../windows/sample.ts";
import { deadMessage, deadRecord } from "./dead-letter.ts";
import { idOf, rowsOf, type DecodedMessage } from "./decode.ts";
import type { Plan } from "./plan.ts";

export type ProcessRows = (rows: Rows) => ProcessedRows;

export interface ProcessedPlan extends Plan {
  /** Beside those of the rows. */
  samples: Sample[];
}

export interface ProcessPlace extends PartitionId {
  position: Position;
  /** Null: nothing is sent. */
  processedTopics: Readonly<Record<ProcessedMessage["signal"], string>> | null;
  nowMs: number;
}

/** As of records that cannot be read (decode.ts): with more, the message is kept once, whole. */
const MAX_DEAD_PER_MESSAGE = 100;

/** A handler that gives the same for the same record needs one. */
const MAX_TRIES = 10;

/** @param process undefined: rows are stored as they came */
export function processPlan(
  messages: readonly DecodedMessage[],
  planOf: (messages: readonly DecodedMessage[]) => Plan,
  process: ProcessRows | undefined,
  place: ProcessPlace,
): ProcessedPlan {
  let plan = planOf(messages);
  if (!process) return { ...plan, samples: [] };
  let processed = process(plan.rows);
  if (processed.dead.length > 0) {
    // All copies are tried: one that was left out takes the place of one that is dead.
    let left = withDead(messages, process(rowsOf(messages)).dead);
    for (let tries = 1; ; tries++) {
      plan = planOf(left);
      processed = process(plan.rows);
      if (processed.dead.length === 0) break;
      if (tries === MAX_TRIES) throw new Error("handlers fail now on this record, now on that");
      left = withDead(left, processed.dead);
    }
  }
  const { rows, samples } = processed;
  const outgoing = outboxOf(processed, messages, place);
  return { ...plan, rows, samples, outbox: [...plan.outbox, ...outgoing] };
}

function outboxOf(
  { processed }: ProcessedRows,
  messages: readonly DecodedMessage[],
  { group, topic, partition, position, processedTopics, nowMs }: ProcessPlace,
): Plan["outbox"] {
  if (processed.length === 0 || processedTopics === null) return [];
  const byOffset = new Map(messages.map((decoded) => [decoded.message.offset, decoded]));
  const { epoch, incarnation } = position;
  return processedMessages(processed, {
    source: `${group}/${epoch}/${topic}/${incarnation}/${partition}`,
    partition: `${topic}/${incarnation}/${partition}`,
    topics: processedTopics,
    messageAt: (offset) => {
      const { message, origin } = byOffset.get(offset) as DecodedMessage;
      const { key, timestampMs } = message;
      return {
        key: key === null ? null : Buffer.from(key.buffer, key.byteOffset, key.length).toString("base64"),
        received: new Date(origin?.receivedMs ?? timestampMs ?? nowMs).toISOString(),
        origin,
      };
    },
  });
}

/** The same messages with these records dead. */
function withDead(messages: readonly DecodedMessage[], dead: readonly DeadRow[]): DecodedMessage[] {
  const byOffset = new Map<number, Map<number, DeadRow["fault"]>>();
  for (const { offset, index, fault } of dead) {
    const faults = byOffset.get(offset);
    if (faults) faults.set(index, fault);
    else byOffset.set(offset, new Map([[index, fault]]));
  }
  return messages.map((decoded) => {
    const faults = byOffset.get(decoded.message.offset);
    return faults ? withFaults(decoded, faults) : decoded;
  });
}

function withFaults(decoded: DecodedMessage, faults: ReadonlyMap<number, DeadRow["fault"]>): DecodedMessage {
  const { message, tenant, rows, dead } = decoded;
  const isTold = decoded.whole === undefined && dead.length + faults.size <= MAX_DEAD_PER_MESSAGE;
  const failed = rows
    .filter(({ index }) => faults.has(index))
    .map(({ index, record }) => {
      const fault = faults.get(index) as DeadRow["fault"];
      const letter = isTold ? deadRecord(message, tenant, index, record, fault) : undefined;
      return { index, id: idOf(record), letter };
    });
  const others = isTold ? dead : dead.map((one) => ({ ...one, letter: undefined }));
  return {
    ...decoded,
    rows: rows.filter(({ index }) => !faults.has(index)),
    dead: [...others, ...failed],
    whole: isTold ? undefined : (decoded.whole ?? wholeOf(decoded, faults)),
  };
}

function wholeOf(
  { message, tenant, rows, dead }: DecodedMessage,
  faults: ReadonlyMap<number, DeadRow["fault"]>,
) {
  const [first] = faults.values();
  const fault = first as DeadRow["fault"];
  const error = `${dead.length + faults.size} of ${rows.length + dead.length} records; one of them: ${fault.error}`;
  return deadMessage(message, tenant, { ...fault, error });
}
