// What becomes of a commit's rows between plan and store: logs are parsed and enriched, events go through their handlers.
// Pure, so that a batch that is planned again gives the same. A record is never dropped: one whose handler fails comes
// back as it was, and is told in `dead`, for the batch to be planned again without it.
import type { Event } from "../telemetry/event.ts";
import type { Log } from "../telemetry/log.ts";
import type { RecordOf, Signal } from "../telemetry/signal.ts";
import { parseTimestamp } from "../telemetry/time.ts";
import type { Sample } from "../windows/sample.ts";
import { seriesId } from "../windows/series.ts";
import { MAX_OUTCOMES, runHandler, type EventHandler, type Handled } from "./event-handler.ts";
import { processLog } from "./process-log.ts";
import type { Services } from "./services.ts";

/** A record with its place in Kafka: as lib/storage has it. */
export interface PlacedRecord<S extends Signal> {
  tenant: string;
  offset: number;
  index: number;
  record: RecordOf[S];
}

export type PlacedRecords = { [S in Signal]: PlacedRecord<S>[] };

export interface ProcessOptions {
  services: Services;
  /** By `event_type`. */
  handlers: ReadonlyMap<string, EventHandler>;
  /** Whether logs go to `logs.processed`. */
  logsProcessed: boolean;
}

export interface DeadRow {
  offset: number;
  index: number;
  fault: { errorType: "handler_failed"; error: string; attempts: number };
}

/** What one message of the log gives to a `.processed` topic. */
export interface ProcessedMessage {
  signal: "logs" | "events";
  tenant: string;
  /** Of the message. */
  offset: number;
  /** Of a log its place in the message; of an event from a handler a number that stays the same. */
  entries: { index: number; record: Log | Event }[];
}

export interface ProcessedRows {
  rows: PlacedRecords;
  dead: DeadRow[];
  /** What handlers give to windows. */
  samples: Sample[];
  processed: ProcessedMessage[];
}

/** Without a pause between: what a handler does follows from the event. */
const ATTEMPTS = 3;

export function processRows(rows: PlacedRecords, options: ProcessOptions): ProcessedRows {
  const result: ProcessedRows = { rows, dead: [], samples: [], processed: [] };
  const logs = rows.logs.map((row) => ({ ...row, record: processLog(row.record, options) }));
  if (options.logsProcessed) {
    for (const { tenant, offset, index, record } of logs) {
      // The raw topic has the whole OTLP record; here it would be an attribute to every reader.
      const { detail: _, ...entry } = record;
      messageOf(result, "logs", tenant, offset).entries.push({ index, record: entry });
    }
  }
  const events =
    options.handlers.size === 0 ? rows.events : rows.events.map((row) => handle(row, options, result));
  result.rows = { ...rows, logs, events };
  return result;
}

function handle(
  row: PlacedRecord<"events">,
  { handlers }: ProcessOptions,
  result: ProcessedRows,
): PlacedRecord<"events"> {
  const { tenant, offset, index, record } = row;
  const handler = handlers.get(record.event_type);
  if (!handler) return row;
  let handled = runHandler(handler, record, { tenant });
  for (let attempt = 1; !handled.ok && attempt < ATTEMPTS; attempt++) {
    handled = runHandler(handler, record, { tenant });
  }
  if (!handled.ok) {
    const { error } = handled;
    result.dead.push({ offset, index, fault: { errorType: "handler_failed", error, attempts: ATTEMPTS } });
    return row;
  }
  addSamples(result.samples, row, handled.value);
  const { events } = handled.value;
  if (events.length > 0) {
    const { entries } = messageOf(result, "events", tenant, offset);
    for (const [i, derived] of events.entries()) {
      entries.push({ index: index * MAX_OUTCOMES + i, record: derived });
    }
  }
  return { ...row, record: handled.value.event };
}

function addSamples(
  samples: Sample[],
  { tenant, offset, index, record }: PlacedRecord<"events">,
  { metrics }: Handled,
): void {
  const moment = parseTimestamp(record.timestamp);
  if (!moment.ok) return;
  const time = { ms: moment.value.ms, ns: moment.value.subMs };
  for (const { name, labels, value } of metrics) {
    if (typeof value !== "number") continue;
    const series = seriesId(tenant, name, labels);
    samples.push({ tenant, name, labels, series, time, offset, index, value: { kind: "number", value } });
  }
}

/** Rows of one message stand beside each other. */
function messageOf(
  { processed }: ProcessedRows,
  signal: ProcessedMessage["signal"],
  tenant: string,
  offset: number,
): ProcessedMessage {
  const last = processed.at(-1);
  if (last?.signal === signal && last.tenant === tenant && last.offset === offset) return last;
  const message: ProcessedMessage = { signal, tenant, offset, entries: [] };
  processed.push(message);
  return message;
}
