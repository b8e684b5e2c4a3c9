// What a log's message says, by its form: a JSON object, logfmt, an access log, syslog. The first characters tell which
// one it may be, so that a plain text costs next to nothing. Every form is read once, from its beginning to its end.
import { mayBeAccessLog, parseAccessLog } from "./access-log.ts";
import type { Fields } from "./fields.ts";
import { parseJsonMessage } from "./json-message.ts";
import { parseLogfmt } from "./logfmt.ts";
import { Reader } from "./reader.ts";
import { mayBeBareSyslog, parseSyslog } from "./syslog.ts";

export interface Parsed {
  format: "json" | "logfmt" | "access" | "syslog";
  fields: Fields;
  /** What messages of its kind have in common; undefined: the field that holds the text, or the message. */
  text?: string;
}

/** A name that is longer is none. */
const MAX_FIRST_NAME = 64;

/** @returns undefined for a plain text */
export function parseMessage(reader: Reader): Parsed | undefined {
  reader.skipSpaces();
  const { text, at } = reader;
  if (text[at] === "<" || mayBeBareSyslog(text)) return parseSyslogMessage(reader);
  return parseLine(reader);
}

function parseLine(reader: Reader): Parsed | undefined {
  const { text, at } = reader;
  switch (text[at]) {
    case "{":
      return parseJsonMessage(reader);
    case undefined:
    case "[":
    case '"':
    case "=":
      return undefined;
    default:
      if (beginsWithPair(reader)) return parseLogfmt(reader);
      return at === 0 && mayBeAccessLog(text) ? parseAccessLog(reader) : undefined;
  }
}

/** `name=`, and what is none of a name before it. */
function beginsWithPair({ text, at }: Reader): boolean {
  const end = Math.min(text.length, at + MAX_FIRST_NAME);
  for (let i = at; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x3d) return i > at;
    const isName =
      (unit >= 0x61 && unit <= 0x7a) ||
      (unit >= 0x40 && unit <= 0x5a) ||
      (unit >= 0x2d && unit <= 0x39) ||
      unit === 0x5f;
    if (!isName) return false;
  }
  return false;
}

/** Its content may have a form of its own, whose fields come beside the header's. */
function parseSyslogMessage(reader: Reader): Parsed | undefined {
  const syslog = parseSyslog(reader);
  if (!syslog) return undefined;
  const { fields, content } = syslog;
  // rsyslog's and journald's mark of structured content (CEE).
  const inner = new Reader(content.startsWith("@cee:") ? content.slice("@cee:".length).trimStart() : content);
  const parsed = parseLine(inner);
  reader.steps += inner.steps;
  if (!parsed) return { format: "syslog", fields, text: content };
  for (const [name, value] of parsed.fields.values) fields.keep(name, value as string | number | boolean);
  // A program knows its level better than the socket it writes to.
  for (const [role, spoken] of parsed.fields.roles) {
    if (role !== "host" && role !== "service") fields.roles.set(role, spoken);
  }
  fields.isCut ||= parsed.fields.isCut;
  return { format: "syslog", fields, ...(parsed.text === undefined ? {} : { text: parsed.text }) };
}
