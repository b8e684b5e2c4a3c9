// Which windows there are, as users write them (`5m`, `5m/1m`, `session:30s`), and which of them a time belongs to. Windows
// are [start, end) and aligned to the epoch; sessions depend on what is there already (sessions.ts).

export type WindowDefinition = TumblingDefinition | SlidingDefinition | SessionDefinition;

export interface TumblingDefinition {
  id: string;
  kind: "tumbling";
  sizeMs: number;
}

export interface SlidingDefinition {
  id: string;
  kind: "sliding";
  sizeMs: number;
  /** Divides `sizeMs`, at most {@link MAX_OVERLAP} times. */
  slideMs: number;
}

export interface SessionDefinition {
  id: string;
  kind: "session";
  /** Two records that are no further apart belong to one session. */
  gapMs: number;
}

/** Windows that one record belongs to, of one sliding definition. */
const MAX_OVERLAP = 60;
/** A record touches one window of each at least. */
const MAX_DEFINITIONS = 16;
export const DAY_MS = 86_400_000;

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS } as const;
const DURATION = /^([1-9]\d{0,5})([smhd])$/;

/**
 * Reads a list such as `1m,5m,1h,5m/1m,session:30s`. A length is a whole number of s, m, h or d, at most a day; the id is
 * the text in its shortest spelling (`60s` is `1m`).
 */
export function parseWindows(
  text: string,
): { ok: true; value: WindowDefinition[] } | { ok: false; error: string } {
  const definitions: WindowDefinition[] = [];
  for (const word of text.split(",").map((part) => part.trim())) {
    const definition = parseWindow(word);
    if (!definition.ok) return definition;
    if (definitions.some(({ id }) => id === definition.value.id)) {
      return refuse(`"${word}" stands twice (as ${definition.value.id})`);
    }
    definitions.push(definition.value);
  }
  if (definitions.length > MAX_DEFINITIONS)
    return refuse(`at most ${MAX_DEFINITIONS} windows can be kept; these are ${definitions.length}`);
  return { ok: true, value: definitions };
}

/** Reads one definition. */
export function parseWindow(
  text: string,
): { ok: true; value: WindowDefinition } | { ok: false; error: string } {
  if (text.startsWith("session:")) {
    const gapMs = durationOf(text.slice("session:".length));
    if (gapMs === undefined || gapMs > DAY_MS / 2)
      return refuse(`"${text}" is no session window: write session:<gap>, as in session:30s, of 12h at most`);
    return { ok: true, value: { id: `session:${spell(gapMs)}`, kind: "session", gapMs } };
  }
  const [size = "", slide, ...rest] = text.split("/");
  const sizeMs = durationOf(size);
  if (sizeMs === undefined || rest.length > 0)
    return refuse(
      `"${text}" is no window: write a size as in 5m, a size and a slide as in 5m/1m, or session:30s`,
    );
  if (DAY_MS % sizeMs !== 0) return refuse(`"${text}": a day must be a whole number of windows`);
  if (slide === undefined) return { ok: true, value: { id: spell(sizeMs), kind: "tumbling", sizeMs } };
  const slideMs = durationOf(slide);
  if (slideMs === undefined || slideMs >= sizeMs || sizeMs % slideMs !== 0 || sizeMs / slideMs > MAX_OVERLAP)
    return refuse(
      `"${text}": the slide must be shorter than the size and divide it, at most ${MAX_OVERLAP} times`,
    );
  return { ok: true, value: { id: `${spell(sizeMs)}/${spell(slideMs)}`, kind: "sliding", sizeMs, slideMs } };
}

/** Starts of the windows that a time belongs to, the earliest first. */
export function startsOf(definition: TumblingDefinition | SlidingDefinition, ms: number): number[] {
  if (definition.kind === "tumbling") return [Math.floor(ms / definition.sizeMs) * definition.sizeMs];
  const { sizeMs, slideMs } = definition;
  const newest = Math.floor(ms / slideMs) * slideMs;
  const starts: number[] = [];
  for (let start = newest - sizeMs + slideMs; start <= newest; start += slideMs) starts.push(start);
  return starts;
}

export function endOf(definition: TumblingDefinition | SlidingDefinition, startMs: number): number {
  return startMs + definition.sizeMs;
}

/** Length as a text, as in `90s`, `5m`: in the largest unit that divides it. */
export function spell(ms: number): string {
  if (ms % UNITS.d === 0) return `${ms / UNITS.d}d`;
  if (ms % UNITS.h === 0) return `${ms / UNITS.h}h`;
  if (ms % UNITS.m === 0) return `${ms / UNITS.m}m`;
  return `${ms / UNITS.s}s`;
}

/** @returns undefined where it is no length of a day at most */
function durationOf(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  const ms = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return ms <= DAY_MS ? ms : undefined;
}

function refuse(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
