// What a commit sends of windows, and when: a result at the window's end, a final one after the lateness, and one for
// each later commit that changes what was sent. Results of one tenant travel as JSON arrays; each has an id of its own.
import { Buffer } from "node:buffer";
import type { OutboxEntry, PartitionSource, StoredWindow, WindowPlace } from "../storage/storage.ts";
import type { WindowDefinition } from "../windows/definition.ts";
import { decodePartial, isGrowing } from "../windows/partial-codec.ts";
import type { WindowPartial } from "../windows/partial.ts";
import { resultOf, type WindowResult } from "../windows/result.ts";

/** Of one row of the outbox: it is read and sent as a whole. */
const MAX_ENTRY_RESULTS = 500;
/** Of which each may be three bytes: a message takes 700,000. */
const MAX_ENTRY_CHARS = 200_000;

export interface NextResult {
  dueMs: number | null;
  revision: number;
  /** Whether a result is to be sent now. */
  send: boolean;
  isFinal: boolean;
}

/**
 * What comes next of a window once the watermark stands at `watermarkMs`. A window of which something was sent is due
 * after its end while that is all there is to tell, and by its end while it holds more.
 * @param isChanged by this commit
 * @param hasRoom for one more result
 */
export function nextResult(
  { endMs, dueMs, revision }: Pick<StoredWindow, "endMs" | "dueMs" | "revision">,
  isChanged: boolean,
  watermarkMs: number,
  latenessMs: number,
  hasRoom: boolean,
): NextResult {
  const isTold = !isChanged && revision > 0 && (dueMs === null || dueMs > endMs);
  if (watermarkMs < endMs) return { dueMs: endMs, revision, send: false, isFinal: false };
  if (!hasRoom) return { dueMs: isTold ? dueMs : endMs, revision, send: false, isFinal: false };
  const isFinal = watermarkMs >= endMs + latenessMs;
  return {
    dueMs: isFinal ? null : endMs + latenessMs,
    revision: isTold ? revision : revision + 1,
    send: isFinal || !isTold,
    isFinal,
  };
}

export interface ResultContext {
  source: PartitionSource;
  processedTopic: string | null;
  watermarkMs: number;
  nextOffset: number;
  maxResults: number;
}

export interface ResultWindow extends WindowPlace {
  endMs: number;
  revision: number;
  definition: WindowDefinition;
  labels: Record<string, string> | undefined;
  isFinal: boolean;
  /** Null: it was merged into another one, and there is nothing to tell of it any more. Undefined: see `growing`. */
  figures: WindowResult | null | undefined;
  /** What grows, and may begin in the window before: see {@link complete}. Others' figures are made at once. */
  growing: Held | undefined;
}

/** A partial, or the state that is stored of it. */
type Held = WindowPartial | string;

/** The results of one commit. */
export class ResultBatch {
  readonly #context: ResultContext;
  readonly #results: ResultWindow[] = [];

  constructor(context: ResultContext) {
    this.#context = context;
  }

  /** How many more it takes. */
  get left(): number {
    return this.#context.maxResults - this.#results.length;
  }

  add(
    { tenant, name, series, window, startMs, endMs, revision }: StoredWindow,
    held: Held,
    definition: WindowDefinition,
    isFinal: boolean,
    labels: Record<string, string> | undefined,
  ): void {
    const growing = definition.kind !== "session" && grows(held) ? held : undefined;
    const figures = growing === undefined ? resultOf(partialOf(held), startMs, endMs) : undefined;
    const place = { tenant, name, series, window, startMs };
    this.#results.push({ ...place, endMs, revision, definition, labels, isFinal, figures, growing });
  }

  /** A session that was told of and is part of another one now: it has no row that could be due, so it is told at once. */
  addRemoved(
    place: WindowPlace,
    { endMs, revision }: { endMs: number; revision: number },
    definition: WindowDefinition,
    labels: Record<string, string>,
  ): void {
    const rest = { endMs, definition, labels, isFinal: true, figures: null, growing: undefined };
    this.#results.push({ ...place, ...rest, revision: revision + 1 });
  }

  unlabelled(): ResultWindow[] {
    return this.#results.filter(({ labels }) => labels === undefined);
  }

  /** @param labels by series */
  label(labels: ReadonlyMap<string, Record<string, string>>): void {
    for (const one of this.#results) one.labels ??= labels.get(one.series);
  }

  /** Those that are to be completed. */
  growing(): ResultWindow[] {
    return this.#results.filter(({ growing }) => growing !== undefined);
  }

  /** Its rows of the outbox. */
  entries(): OutboxEntry[] {
    const { source, processedTopic, nextOffset, watermarkMs } = this.#context;
    if (processedTopic === null) return [];
    const { group, epoch, topic, incarnation, partition } = source;
    const where = `${group}/${epoch}/${topic}/${incarnation}/${partition}`;
    const texts = this.#results.map((one) => ({ tenant: one.tenant, text: textOf(one, where, partition) }));
    // No other commit has the offset and the watermark both.
    return arraysOf(texts, `${where}/processed/${nextOffset}/${watermarkMs}`, processedTopic);
  }
}

/** @param previous the window before it, from which growth counts; undefined: there is none */
export function complete(one: ResultWindow, previous: Held | undefined): void {
  const { growing, startMs, endMs } = one;
  if (growing === undefined) return;
  const before = previous === undefined ? undefined : partialOf(previous);
  one.figures = resultOf(partialOf(growing), startMs, endMs, before);
  one.growing = undefined;
}

const partialOf = (held: Held): WindowPartial => (typeof held === "string" ? decodePartial(held) : held);

const grows = (held: Held): boolean =>
  typeof held === "string" ? isGrowing(held) : held.counter !== undefined || held.seen !== undefined;

/** JSON texts of one tenant each, as arrays of its own, in as few rows as their bounds allow. */
export function arraysOf(
  texts: readonly { tenant: string; text: string }[],
  idPrefix: string,
  topic: string,
): OutboxEntry[] {
  const entries: OutboxEntry[] = [];
  const open = new Map<string, { texts: string[]; chars: number }>();
  const close = (tenant: string, { texts: ofTenant }: { texts: string[] }) => {
    const key = Buffer.from(tenant).toString("base64");
    entries.push({ id: `${idPrefix}/${entries.length}`, topic, key, value: `[${ofTenant.join(",")}]` });
    open.delete(tenant);
  };
  for (const { tenant, text } of texts) {
    let array = open.get(tenant);
    if (array && (array.texts.length >= MAX_ENTRY_RESULTS || array.chars + text.length > MAX_ENTRY_CHARS)) {
      close(tenant, array);
      array = undefined;
    }
    if (!array) open.set(tenant, (array = { texts: [], chars: 0 }));
    array.texts.push(text);
    array.chars += text.length + 1;
  }
  for (const [tenant, array] of open) close(tenant, array);
  return entries;
}

function textOf(one: ResultWindow, where: string, partition: number): string {
  const { tenant, name, labels = {}, series, window, startMs, endMs, revision, isFinal, figures } = one;
  const end = figures === null ? "/removed" : isFinal ? "/final" : "";
  return JSON.stringify({
    id: `${where}/${series}/${window}/${startMs}/${revision}${end}`,
    tenant,
    name,
    labels,
    series,
    window,
    kind: one.definition.kind,
    window_start: new Date(startMs).toISOString(),
    window_end: new Date(endMs).toISOString(),
    ...figures,
    partition,
    revision,
    final: isFinal,
    ...(figures === null ? { removed: true } : {}),
  });
}
