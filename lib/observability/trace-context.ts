// W3C Trace Context, level 1: what a caller's `traceparent` says, our own span in that trace, and the headers that pass it
// on. What does not follow the specification is ignored, and a new trace begins (its section 4.3, "Processing Model").
import { Buffer } from "node:buffer";

export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** Our span, 16 hexadecimal digits: the parent of whatever we call. */
  spanId: string;
  isSampled: boolean;
  /** The caller's `tracestate`, as it came; absent where there is none or it cannot be read. */
  state?: string;
}

export interface TraceHeaders {
  traceparent: string;
  tracestate?: string;
}

export type RandomBytes = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;

/** `version-traceid-parentid-flags`; a later version may add fields after another dash (section 3.2.4). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Section 3.3.1.3: a key of one part or `tenant@system`, then printable ASCII without comma and equals sign. */
const STATE_KEY = "(?:[a-z][a-z0-9_\\-*/]{0,255}|[a-z0-9][a-z0-9_\\-*/]{0,240}@[a-z][a-z0-9_\\-*/]{0,13})";
const STATE_MEMBER = new RegExp(
  `^${STATE_KEY}=[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]$`,
);
const MAX_STATE_MEMBERS = 32;

/** Section 3.3.1.5 asks for 512 at the least; we pass no more on. */
const MAX_STATE_CHARS = 512;

interface Parent {
  traceId: string;
  isSampled: boolean;
}

/** Our span of the trace that the request belongs to; of a new one where it names none. */
export function traceOf(headers: Headers, random: RandomBytes): TraceContext {
  const parent = parseTraceparent(headers.get("traceparent"));
  const spanId = randomId(8, random);
  // Not sampled: we keep no spans of our own, so there is nothing that a later participant would miss.
  if (!parent) return { traceId: randomId(16, random), spanId, isSampled: false };
  const state = parseTracestate(headers.get("tracestate"));
  return { ...parent, spanId, ...(state === undefined ? {} : { state }) };
}

export function traceHeaders(trace: TraceContext): TraceHeaders {
  const { traceId, spanId, isSampled, state } = trace;
  const traceparent = `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
  return state === undefined ? { traceparent } : { traceparent, tracestate: state };
}

export function parseTraceparent(header: string | null): Parent | undefined {
  const [, version, traceId, parentId, flags, more] = TRACEPARENT.exec(header ?? "") ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (version === "ff" || isZero(traceId) || isZero(parentId)) return undefined;
  if (version === "00" && more !== undefined) return undefined;
  // Of the flags level 1 knows the lowest bit alone; the others are not passed on.
  return { traceId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** One member that cannot be read spoils the whole list (section 4.3, step 5); empty members are allowed. */
export function parseTracestate(header: string | null): string | undefined {
  if (header === null || header.length > MAX_STATE_CHARS) return undefined;
  const members = header
    .split(",")
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((member) => member !== "");
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf("="))));
  const isReadable =
    members.length > 0 &&
    members.length <= MAX_STATE_MEMBERS &&
    keys.size === members.length &&
    members.every((member) => STATE_MEMBER.test(member));
  return isReadable ? members.join(",") : undefined;
}

function randomId(bytes: number, random: RandomBytes): string {
  for (;;) {
    const id = Buffer.from(random(new Uint8Array(bytes))).toString("hex");
    if (!isZero(id)) return id;
  }
}

const isZero = (id: string) => /^0+$/.test(id);
