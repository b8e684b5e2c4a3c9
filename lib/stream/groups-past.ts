// What became, in the epochs before, of the records that a group which is built anew leaves out. What was stored there is
// claimed, so that a copy of it is not stored again; what died there is not, so that its letter may still be replayed.
// Dead letters tell it however old they are. Claims tell more: of copies that have no letter of their own, and of what
// was stored beside others in a message that died as one; they are there for as long as a copy counts as one.
import { groupOfReader, readerOf } from "../storage/groups.ts";
import type { Claim, EpochsBefore, Rows, StreamStore } from "../storage/storage.ts";
import { SIGNALS } from "../telemetry/signal.ts";
import { ClaimBook, isTaken, wordIn } from "./claim-book.ts";
import { idOf, type AnyRow, type DecodedMessage, type Origin } from "./decode.ts";
import { batchIdentity, deadKey, idKey, type ClaimScope } from "./identity.ts";
import { textOfMs } from "./late.ts";
import { leavesOut, placeOf, type Fate } from "./plan.ts";
import { CALL_COST, type Run } from "./run.ts";

export interface Past {
  fates: ReadonlyMap<string, Fate>;
  /** Claims on what is dead by now: what is left out claims nothing that would conflict with them. */
  known: Claim[];
}

const NONE: Past = { fates: new Map(), known: [] };

/** An epoch of the group as it is seen, with its claims' scope. */
interface Before extends ClaimScope {
  /** Text; undefined: all of it is seen. */
  until: string | undefined;
}

interface LeftOutRow {
  row: AnyRow;
  decoded: DecodedMessage;
  origin: Origin;
  /** In its request. */
  place: number;
}

/** @throws StorageError */
export async function readPast(run: Run, messages: readonly DecodedMessage[]): Promise<Past> {
  const { source, deps, memory } = run;
  if (!source.building) return NONE;
  const rows = leftOutRows(messages, leavesOut(source.building));
  const [first, last] = [rows[0], rows.at(-1)];
  if (!first || !last || !memory.position) return NONE;
  const { group, topic, partition } = source;
  const { epoch, incarnation } = memory.position;
  const own: ClaimScope = { group, epoch };
  const place = { ...own, topic, partition, incarnation };
  run.left -= CALL_COST;
  const told = await deps.store.epochsBefore(place, first.row.offset, last.row.offset + 1);
  const befores = told.epochs.map((one): Before => ({
    group: readerOf(groupOfReader(group, epoch), one.epoch),
    epoch: one.epoch,
    until: one.untilMs === null ? undefined : textOfMs(one.untilMs),
  }));
  run.left -= CALL_COST;
  const dead = await claimsUnder(deps.store, rows, [own, ...befores], deadWord);
  const letters = new Set(told.dead.map(letterKey));
  const suspects = rows.filter((one) =>
    befores.some((before) => {
      if (!isSeenIn(before, one)) return false;
      const { offset, index } = one.row;
      const ofEpoch = { epoch: before.epoch, offset };
      const hasLetter = [index, -1].some((at) => letters.has(letterKey({ ...ofEpoch, index: at })));
      return hasLetter || dead.has(before, one);
    }),
  );
  const fates = new Map<string, Fate>();
  if (suspects.length > 0) {
    run.left -= CALL_COST;
    const stored = await claimsUnder(deps.store, suspects, befores, identityWord);
    for (const one of suspects) {
      const isStored = befores.some((before) => isSeenIn(before, one) && stored.has(before, one));
      fates.set(placeOf(one.row), isStored ? "stored" : "dead");
    }
  }
  return { fates, known: dead.claims };
}

/**
 * Event time of the newest row, or its message's receipt where that is earlier. The old reader knew at least as much when
 * it read the message: what is complete by this it has told, and it may be kept back.
 */
export function newestOf(rows: Rows, messages: readonly DecodedMessage[]): number {
  const receivedMs = new Map(
    messages.map(({ message, origin }) => [message.offset, origin?.receivedMs ?? message.timestampMs]),
  );
  let newestMs = 0;
  for (const signal of SIGNALS)
    for (const { offset, record } of rows[signal]) {
      const timeMs = Date.parse(record.timestamp);
      newestMs = Math.max(newestMs, Math.min(timeMs, receivedMs.get(offset) ?? timeMs));
    }
  return newestMs;
}

function leftOutRows(messages: readonly DecodedMessage[], isLeftOut: (row: AnyRow) => boolean): LeftOutRow[] {
  return messages.flatMap((decoded) => {
    const { origin } = decoded;
    if (!origin) return [];
    return decoded.rows
      .filter(isLeftOut)
      .map((row) => ({ row, decoded, origin, place: origin.indices[row.index] as number }));
  });
}

const isSeenIn = ({ until }: Before, { row }: LeftOutRow) =>
  until === undefined || row.record.timestamp < until;

const letterKey = ({ epoch, offset, index }: EpochsBefore["dead"][number]) => `${epoch}/${offset}/${index}`;

/** Where a claim on a row would stand. */
type WordOf = (row: LeftOutRow, scope: ClaimScope) => { key: string; word: number; bit: number };

const deadWord: WordOf = ({ decoded: { tenant, signal }, origin, place }, scope) => ({
  key: deadKey(scope, tenant, signal, origin),
  word: place >>> 5,
  bit: 1 << (place & 31),
});

const identityWord: WordOf = ({ row, decoded: { tenant, signal }, origin, place }, scope) => {
  const id = idOf(row.record);
  if (id !== undefined) return { key: idKey(scope, tenant, signal, id), word: 0, bit: 1 };
  const { key } = batchIdentity(scope, tenant, signal, origin);
  return { key, word: place >>> 5, bit: 1 << (place & 31) };
};

async function claimsUnder(
  store: Pick<StreamStore, "claimed">,
  rows: readonly LeftOutRow[],
  scopes: readonly ClaimScope[],
  wordOf: WordOf,
) {
  const keys = new Set(rows.flatMap((row) => scopes.map((scope) => wordOf(row, scope).key)));
  const claims = await store.claimed([...keys]);
  const book = new ClaimBook(claims);
  return {
    claims,
    has(scope: ClaimScope, row: LeftOutRow): boolean {
      const { key, word, bit } = wordOf(row, scope);
      return isTaken(wordIn(book.batch(key), word), bit);
    },
  };
}
