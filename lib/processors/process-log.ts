// A log with what its message says: the fields as attributes, level, trace, service and host where the client gave none,
// what is known of its service, and a fingerprint that messages of one kind share. The message and the time stay as they
// came, and nothing that the client gave is replaced. Never throws; the same log gives the same result.
import type { JsonValue } from "../telemetry/json-value.ts";
import { normalizeLevel, type Log } from "../telemetry/log.ts";
import { cutText, type Fields, type Spoken } from "./fields.ts";
import { fingerprint } from "./fingerprint.ts";
import { parseMessage } from "./parse-message.ts";
import { Reader } from "./reader.ts";
import type { Services } from "./services.ts";

export interface LogOptions {
  services: Services;
}

/** What a log without a level is kept with (lib/telemetry/log.ts): whether it was given cannot be told. */
const DEFAULT_LEVEL = "INFO";

/** What counts as a level, and under which name. */
const LEVELS = new Map([
  ...[
    "TRACE",
    "DEBUG",
    "INFO",
    "NOTICE",
    "WARN",
    "ERROR",
    "CRITICAL",
    "ALERT",
    "EMERG",
    "FATAL",
    "PANIC",
  ].map((level) => [level, level] as const),
  ["VERBOSE", "TRACE"],
  ["DBUG", "DEBUG"],
  ["INFORMATION", "INFO"],
  ["INFORMATIONAL", "INFO"],
  ["EROR", "ERROR"],
  ["SEVERE", "ERROR"],
]);

/** As pino and bunyan write them. */
const LEVEL_NUMBERS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

export function processLog(log: Log, { services }: LogOptions): Log {
  const processed: Log = { ...log };
  const parsed = parseMessage(new Reader(log.message));
  const otlp = logRecordOf(log);
  const found = parsed?.fields.values ?? new Map<string, JsonValue>();
  let text = log.message;
  if (parsed) {
    const { fields, format } = parsed;
    lift(processed, fields, otlp);
    fields.mark("log.format", format);
    if (fields.isCut) fields.mark("log.fields_cut", true);
    text = (parsed.text ?? String(fields.roles.get("text")?.value ?? "")) || text;
  }
  if (otlp) addTrace(found, otlp);
  const metadata = processed.service === undefined ? undefined : services.get(processed.service);
  if (metadata) for (const name in metadata) addIfFree(found, name, metadata[name] as JsonValue);
  if (text !== "") addIfFree(found, "fingerprint", fingerprint(text));
  // What the client gave is first, and stays. Added to an object one by one they take five times as long.
  const all = new Map<string, JsonValue>();
  for (const name in log.attributes) all.set(name, log.attributes[name] as JsonValue);
  for (const [name, value] of found) addIfFree(all, name, value);
  processed.attributes = Object.fromEntries(all);
  return processed;
}

/** What has a place of its own goes there, where that is free; else it remains a field like any other. */
function lift(log: Log, fields: Fields, otlp: LogRecord | undefined): void {
  const { attributes } = log;
  const isLevelGiven = otlp?.severityNumber !== undefined || otlp?.severityText !== undefined;
  const take = (spoken: Spoken) => fields.values.delete(spoken.name);
  const { roles } = fields;
  const level = roles.get("level");
  const name = level && levelOf(level.value);
  if (level && name !== undefined && log.level === DEFAULT_LEVEL && !isLevelGiven) {
    log.level = name;
    take(level);
  }
  for (const role of ["service", "host"] as const) {
    const spoken = roles.get(role);
    if (!spoken || log[role] !== undefined || !isName(spoken.value)) continue;
    log[role] = cutText(spoken.value);
    take(spoken);
  }
  const parent = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(
    String(roles.get("traceparent")?.value).slice(0, 64),
  );
  for (const [role, digits, ofParent] of [
    ["trace_id", 32, parent?.[1]],
    ["span_id", 16, parent?.[2]],
  ] as const) {
    const spoken = roles.get(role);
    const own = idOf(spoken?.value, digits);
    const id = own ?? idOf(ofParent, digits);
    if (id === undefined || Object.hasOwn(attributes, role)) continue;
    if (spoken && own !== undefined) take(spoken);
    fields.values.set(role, id);
  }
}

/** Heroku's router has a `service=18ms`. */
function isName(value: string | number): value is string {
  return typeof value === "string" && value !== "" && !/^\d+(?:\.\d+)?[a-zµ]{0,2}$/.test(value);
}

/** As OpenTelemetry writes ids: so many hexadecimal digits, in lower case, and not all of them zeros. */
function idOf(value: string | number | undefined, digits: number): string | undefined {
  if (typeof value !== "string" || value.length !== digits) return undefined;
  return /^[0-9a-fA-F]+$/.test(value) && !/^0+$/.test(value) ? value.toLowerCase() : undefined;
}

function levelOf(value: string | number): string | undefined {
  if (typeof value === "number") return value % 10 === 0 ? LEVEL_NUMBERS[value / 10 - 1] : undefined;
  return value.length > 20 ? undefined : LEVELS.get(normalizeLevel(value));
}

type LogRecord = Partial<Record<string, JsonValue>>;

/** The whole OTLP record, where the log came as one. */
function logRecordOf({ detail }: Log): LogRecord | undefined {
  const otlp = detail?.otlp as LogRecord | undefined;
  const record = otlp?.logRecord;
  return typeof record === "object" && record !== null && !Array.isArray(record) ? record : undefined;
}

function addTrace(found: Map<string, JsonValue>, { traceId, spanId }: LogRecord): void {
  if (typeof traceId === "string" && traceId !== "") found.set("trace_id", traceId);
  if (typeof spanId === "string" && spanId !== "") found.set("span_id", spanId);
}

function addIfFree(found: Map<string, JsonValue>, name: string, value: JsonValue): void {
  if (!found.has(name)) found.set(name, value);
}
