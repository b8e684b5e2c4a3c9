// Handlers of events: user code (functions/handlers/) that is run for each stored event of its type. It may change the
// event's data and attributes, and give metrics and further events; it cannot drop an event. What it returns is checked
// like a client's input, and what it throws is the fault of that one event.
import { validateEvent, type Event } from "../telemetry/event.ts";
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import { MAX_MESSAGE_VALUE_BYTES } from "../telemetry/limits.ts";
import { validateMetric, type Metric } from "../telemetry/metric.ts";
import { isPlainObject, type ValidationContext } from "../telemetry/record.ts";
import { ok, type Result } from "../telemetry/result.ts";
import { exceedsBytes } from "../telemetry/text.ts";

/** Metrics, and events, of one event. */
export const MAX_OUTCOMES = 100;

/** Of what a handler throws. */
const MAX_ERROR_CHARS = 300;

export interface EventContext {
  tenant: string;
}

/** A sample of windows, at the event's time. */
export interface HandlerMetric {
  name: string;
  value: number;
  labels?: Record<string, string | number | boolean>;
}

/** Written to `events.processed`. */
export interface HandlerEvent {
  event_type: string;
  data: JsonValue;
  /** The event's own where it is left out. */
  timestamp?: string;
  id?: string;
  key?: string;
  attributes?: JsonObject;
}

export interface HandlerOutcome {
  /** In place of the event's. */
  data?: JsonValue;
  /** Beside the event's; a name that stands there already is replaced. */
  attributes?: JsonObject;
  metrics?: HandlerMetric[];
  events?: HandlerEvent[];
}

export interface EventHandler {
  /**
   * Synchronous, and by the event alone (no clock, no random, no memory): it is run again whenever a commit is, and the
   * results must be the same.
   * @param event a copy
   * @returns undefined: the event is stored as it is
   * @throws whatever makes this event a dead letter (`handler_failed`)
   */
  handle(event: Event, context: EventContext): HandlerOutcome | undefined;
}

/** By `event_type`. */
export type EventHandlers = Readonly<Record<string, EventHandler>>;

export interface Handled {
  event: Event;
  metrics: Metric[];
  events: Event[];
}

/** @returns what it made of the event, or why that is not to be had */
export function runHandler(
  handler: EventHandler,
  event: Event,
  context: EventContext,
): Result<Handled, string> {
  try {
    const outcome: unknown = handler.handle(structuredClone(event), context);
    return outcome === undefined ? ok({ event, metrics: [], events: [] }) : readOutcome(outcome, event);
  } catch (error) {
    return { ok: false, error: textOf(error) };
  }
}

function readOutcome(outcome: unknown, event: Event): Result<Handled, string> {
  if (!isPlainObject(outcome)) return fault("must return an object or undefined");
  if (outcome instanceof Promise) {
    // Nobody waits for it; one that fails must not end the isolate.
    outcome.catch(() => {});
    return fault("must not be asynchronous");
  }
  const { data = event.data, attributes = {}, metrics = [], events = [] } = outcome;
  if (!isPlainObject(attributes)) return fault("attributes must be an object");
  if (!isListOf(metrics) || !isListOf(events)) {
    return fault(`metrics and events must be lists of at most ${MAX_OUTCOMES}`);
  }
  const context: ValidationContext = { receivedMs: 0, enforceTimeRange: false };
  const { timestamp } = event;
  const changed = validateEvent(
    { ...event, data, attributes: { ...event.attributes, ...attributes } },
    context,
  );
  if (!changed.ok) return refusal("", changed.error);
  const handled: Handled = { event: changed.value, metrics: [], events: [] };
  for (const [i, metric] of metrics.entries()) {
    const valid = validateMetric(isPlainObject(metric) ? { ...metric, timestamp } : metric, context);
    if (!valid.ok) return refusal(`metrics[${i}].`, valid.error);
    handled.metrics.push(valid.value);
  }
  for (const [i, derived] of events.entries()) {
    const valid = validateEvent(isPlainObject(derived) ? { timestamp, ...derived } : derived, context);
    if (!valid.ok) return refusal(`events[${i}].`, valid.error);
    handled.events.push(valid.value);
  }
  const isTooLarge = [handled.event, ...handled.events].some((record) =>
    exceedsBytes(JSON.stringify(record), MAX_MESSAGE_VALUE_BYTES),
  );
  return isTooLarge
    ? fault(`must not make more than ${MAX_MESSAGE_VALUE_BYTES} bytes of one event`)
    : ok(handled);
}

function isListOf(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length <= MAX_OUTCOMES;
}

const fault = (error: string): Result<never, string> => ({ ok: false, error });

const refusal = (
  place: string,
  { path, message }: { path: string; message: string },
): Result<never, string> =>
  fault(`${place}${path} ${message}`.trim().slice(0, MAX_ERROR_CHARS).toWellFormed());

/** As text that every store takes; what is thrown may be anything, and may throw itself when it is asked. */
function textOf(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message : String(error);
    return text.replaceAll("\0", "").slice(0, MAX_ERROR_CHARS).toWellFormed();
  } catch {
    return "threw what has no text";
  }
}
