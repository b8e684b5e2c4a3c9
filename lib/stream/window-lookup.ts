// Stored windows of many places, asked for in as few calls as their sizes allow: a state has 30 characters or 300,000, and
// an isolate has 128 MB for all it does.
import type {
  PartitionSource,
  StoredWindow,
  StreamStore,
  WindowLookup,
  WindowPlace,
} from "../storage/storage.ts";
import type { WindowDefinition } from "../windows/definition.ts";

/** What one call is to bring, about. */
const CALL_CHARS = 2_000_000;
/** What is asked for while nothing is known of the sizes. */
const FIRST_CALL = 500;

export interface FoundPart {
  lookups: readonly WindowLookup[];
  rows: StoredWindow[];
}

/** Each part is one call; those of whoever stops early are not made. */
export async function* lookUpInParts(
  store: Pick<StreamStore, "windows">,
  source: PartitionSource,
  lookups: readonly WindowLookup[],
): AsyncGenerator<FoundPart> {
  let chars = 0;
  for (let at = 0; at < lookups.length;) {
    const size = at === 0 ? FIRST_CALL : roomFor(chars / at);
    const part = lookups.slice(at, at + size);
    // oxlint-disable-next-line no-await-in-loop -- how many are asked for follows from what came before
    const rows = await store.windows(source, part);
    at += part.length;
    for (const { state } of rows) chars += state.length;
    yield { lookups: part, rows };
  }
}

/** How many of this size one call may bring. */
export function roomFor(chars: number): number {
  return Math.max(1, Math.floor(CALL_CHARS / Math.max(chars, 1)));
}

export const lookupOf = (
  { tenant, name, series }: Pick<WindowPlace, "tenant" | "name" | "series">,
  { id }: WindowDefinition,
  fromMs: number,
  toMs: number,
): WindowLookup => ({ tenant, name, series, window: id, fromMs, toMs });

/** The series has its tenant and name in it. */
export const keyOf = ({
  series,
  window,
  startMs,
}: Pick<WindowPlace, "series" | "window" | "startMs">): string => `${series}/${window}/${startMs}`;
