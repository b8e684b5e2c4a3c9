// Syslog: RFC 5424, and RFC 3164 with or without its priority (as files under /var/log have it). Names of fields are those
// of OpenTelemetry's mapping (logs data model, appendix A). What the message itself says is read by the caller.
import { Fields } from "./fields.ts";
import type { Reader } from "./reader.ts";

/** RFC 5424, table 2, in Weir's names. */
const SEVERITIES = ["EMERG", "ALERT", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG"] as const;

/** RFC 5424, table 1. */
const MAX_PRIORITY = 191;

const MONTHS = new Set("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" "));

/** `Oct 11 22:14:15 `, the day with a space before it where it has one digit. */
const TIME_3164 = /^[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d $/;
const TIME_3164_CHARS = 16;

/** RFC 3164, 4.1.3 has 32; programs' names are longer today. */
const MAX_TAG_CHARS = 64;

/** Where the message begins: its byte order mark is no part of it. */
const BYTE_ORDER_MARK = "\uFEFF";

export interface Syslog {
  fields: Fields;
  /** What is behind the header. */
  content: string;
}

/** Whether a text without a priority may be one. */
export function mayBeBareSyslog(text: string): boolean {
  return text[3] === " " && text[6] === " " && text[9] === ":" && MONTHS.has(text.slice(0, 3));
}

export function parseSyslog(reader: Reader): Syslog | undefined {
  const fields = new Fields();
  if (!reader.take("<")) return read3164(reader, fields);
  const priority = readPriority(reader);
  if (priority === undefined) return undefined;
  fields.roles.set("level", { name: "severity", value: SEVERITIES[priority & 7] as string });
  fields.set("syslog.facility", priority >>> 3);
  const version = /^[1-9]\d{0,2} /.exec(reader.text.slice(reader.at, reader.at + 4))?.[0];
  if (version !== undefined) return read5424(reader, fields, version);
  // Without a time the rest is the message (RFC 3164, 4.3.3).
  return read3164(reader, fields) ?? { fields, content: reader.rest() };
}

function readPriority(reader: Reader): number | undefined {
  const digits = /^(\d{1,3})>/.exec(reader.text.slice(reader.at, reader.at + 4))?.[1];
  if (digits === undefined || Number(digits) > MAX_PRIORITY) return undefined;
  reader.at += digits.length + 1;
  return Number(digits);
}

/** `1 2003-10-11T22:14:15.003Z host app procid msgid [id name="value"] message` */
function read5424(reader: Reader, fields: Fields, version: string): Syslog | undefined {
  reader.at += version.length;
  fields.set("syslog.version", Number(version));
  const time = reader.word();
  // "-", or a date; anything else only looked like a version.
  if (time !== "-" && !/^\d{4}-\d\d-\d\dT/.test(time)) return undefined;
  const [host, app, process, id] = [reader.word(), reader.word(), reader.word(), reader.word()];
  if (host !== "-") fields.roles.set("host", { name: "host.name", value: host });
  if (app !== "-") fields.roles.set("service", { name: "service.name", value: app });
  if (process !== "-") fields.set("syslog.procid", process);
  if (id !== "-") fields.set("syslog.msgid", id);
  if (!reader.take("-")) while (reader.take("[")) if (!readElement(reader, fields)) return undefined;
  if (!reader.isDone && !reader.take(" ")) return undefined;
  const content = reader.rest();
  return { fields, content: content.startsWith(BYTE_ORDER_MARK) ? content.slice(1) : content };
}

/** Behind `[`. In a value `"`, `\` and `]` are escaped, nothing else (6.3.3). */
function readElement(reader: Reader, fields: Fields): boolean {
  const id = readUntil(reader, " ]");
  while (reader.take(" ")) {
    const name = readUntil(reader, "= ]");
    if (name === "" || !reader.take("=")) return false;
    const value = reader.quoted();
    if (value === undefined) return false;
    fields.keep(`syslog.${id}.${name}`, value);
  }
  return reader.take("]");
}

function readUntil(reader: Reader, ends: string): string {
  const start = reader.at;
  while (!reader.isDone && !ends.includes(String.fromCharCode(reader.peek()))) reader.at++;
  return reader.text.slice(start, reader.at);
}

function read3164(reader: Reader, fields: Fields): Syslog | undefined {
  if (!TIME_3164.test(reader.text.slice(reader.at, reader.at + TIME_3164_CHARS))) return undefined;
  reader.at += TIME_3164_CHARS;
  const host = reader.word();
  if (host !== "") fields.roles.set("host", { name: "host.name", value: host });
  const head = reader.text.slice(reader.at, reader.at + MAX_TAG_CHARS);
  // `su:`, `sshd[4721]:`, `CRON[1]:`
  const tag = /^([\w./-]{1,48})(?:\[([^\]\s]{1,12})\])?: ?/.exec(head);
  if (tag) {
    const [whole, program = "", process] = tag;
    fields.roles.set("service", { name: "service.name", value: program });
    if (process !== undefined) fields.set("syslog.procid", process);
    reader.at += whole.length;
  }
  return { fields, content: reader.rest() };
}
