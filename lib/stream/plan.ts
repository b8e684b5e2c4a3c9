// From decoded messages to what one commit does: which record copies are stored, which are dead, which were received
// before, and how all of them are counted. Pure. The usual plan knows of no claims and takes every record for new; the
// store refuses it where that is wrong, and the batch is planned again by what is known then.
import { dayOf } from "../storage/day.ts";
import type { Claim, LedgerEntry, PartitionCommit, Rows } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import { ClaimBook, isTaken, judge, wordIn, type Verdict, type Word } from "./claim-book.ts";
import { deadLetterEntry, type DeadLetterPlace } from "./dead-letter.ts";
import { idOf, type AnyRow, type DeadRecord, type DecodedMessage } from "./decode.ts";
import { batchIdentity, deadKey, idAttempt, idKey, type BatchIdentity, type ClaimScope } from "./identity.ts";
import { lateEntries, textOfDay, textOfMs } from "./late.ts";
import type { Building } from "./run.ts";

export interface PlanContext extends DeadLetterPlace {
  /** Empty: nothing is known. */
  known: readonly Claim[];
  /** Where records go whose raw rows are kept no more. */
  lateTopic: string;
  rawFloorDay: number;
  /** For how many days anything is kept. */
  keptDays?: number | undefined;
  building?: LeftOut | undefined;
  /** Of rows that are left out, by their place: what became of them before. */
  fates?: ReadonlyMap<string, Fate> | undefined;
}

export type LeftOut = Pick<Building, "fromTimeMs" | "takesAllFrom">;

/** In the epochs before: `stored`, by whichever of its copies, or `dead` in all. */
export type Fate = "stored" | "dead";

export interface Plan extends Pick<PartitionCommit, "rows" | "deadLetters" | "claims" | "ledger" | "outbox"> {
  /** Of all claims that have to do with it. */
  keys: string[];
  /** Event time of the newest row; undefined: there is none. */
  newestMs: number | undefined;
}

export function planBatch(messages: readonly DecodedMessage[], context: PlanContext): Plan {
  const { nowMs } = context;
  const sieve = new Sieve(context);
  const rows: Rows = { metrics: [], logs: [], events: [], traces: [] };
  const plan: Pick<Plan, "deadLetters" | "outbox"> = { deadLetters: [], outbox: [] };
  const scope = { group: context.group, epoch: context.position.epoch };
  const book = new ClaimBook(context.known);
  const ledger = new Ledger();
  let receivedMs: number | undefined;
  let copies: Copies | undefined;
  for (const decoded of messages) {
    const { tenant, signal, origin } = decoded;
    const entry = ledger.of(tenant, signal);
    const into = rows[signal] as AnyRow[];
    if (origin) {
      // A clock ahead of ours must not have claims dropped early.
      receivedMs = Math.max(receivedMs ?? 0, Math.min(origin.receivedMs, nowMs));
      copies = new Copies(decoded, scope, book, copies);
      for (const row of decoded.rows) {
        const id = idOf(row.record);
        if (sieve.leavesOut(row)) {
          copies.leaveOut(row.index, id, context.fates?.get(placeOf(row)));
          continue;
        }
        const verdict = copies.judge(row.index, id);
        if (verdict !== "first") entry[verdict]++;
        else if (sieve.takes(row, entry)) into.push(row);
      }
      planDead(plan, decoded, context, entry, copies);
    } else {
      for (const row of decoded.rows) if (!sieve.leavesOut(row) && sieve.takes(row, entry)) into.push(row);
      entry.foreign += decoded.rows.length;
      planDead(plan, decoded, context, entry, undefined);
    }
  }
  plan.outbox.push(...lateEntries(sieve.late, context));
  return {
    rows,
    ...plan,
    claims: book.newClaims(receivedMs),
    ledger: ledger.entries(),
    keys: book.keys(),
    newestMs: sieve.newestMs,
  };
}

/** Where a row stands in its partition. */
export const placeOf = ({ offset, index }: Pick<AnyRow, "offset" | "index">) => `${offset}/${index}`;

/** What a group that is built beside another does not build: it stays the other's. Timestamps are compared as texts. */
export function leavesOut(building: LeftOut | undefined): (row: AnyRow) => boolean {
  if (!building) return () => false;
  const from = textOfMs(building.fromTimeMs);
  const takesAllFrom = building.takesAllFrom ?? Infinity;
  return ({ record, offset }) => record.timestamp < from && offset < takesAllFrom;
}

/** Of a commit's rows, where retention has not come to them: each is a table until it does. */
const MAX_OLD_DAYS = 100;

/** Parts records by their own time. */
class Sieve {
  readonly late: AnyRow[] = [];
  readonly leavesOut: (row: AnyRow) => boolean;
  readonly #floor: string;
  /** What is older is not kept for long. */
  readonly #keptFrom: string;
  readonly #oldDays = new Set<string>();
  #newest = "";

  constructor({
    rawFloorDay,
    keptDays = Infinity,
    building,
    nowMs,
  }: Pick<PlanContext, "rawFloorDay" | "keptDays" | "building" | "nowMs">) {
    this.#floor = textOfDay(rawFloorDay);
    this.#keptFrom = keptDays === Infinity ? "" : textOfDay(dayOf(nowMs) - keptDays);
    this.leavesOut = leavesOut(building);
  }

  /** Whether the row, received for the first time, is stored; counts it. */
  takes(row: AnyRow, entry: LedgerEntry): boolean {
    const { timestamp } = row.record;
    if (timestamp < this.#floor || this.#isOneDayTooMany(timestamp)) {
      this.late.push(row);
      entry.late++;
      return false;
    }
    entry.stored++;
    if (timestamp > this.#newest) this.#newest = timestamp;
    return true;
  }

  #isOneDayTooMany(timestamp: string): boolean {
    if (timestamp >= this.#keptFrom) return false;
    const day = timestamp.slice(0, DAY_CHARS);
    if (this.#oldDays.has(day)) return false;
    if (this.#oldDays.size === MAX_OLD_DAYS) return true;
    this.#oldDays.add(day);
    return false;
  }

  get newestMs(): number | undefined {
    return this.#newest === "" ? undefined : Date.parse(`${this.#newest.slice(0, MILLIS_CHARS)}Z`);
  }
}

/** `2026-11-21` */
const DAY_CHARS = 10;
/** `2026-11-21T10:00:00.000` */
const MILLIS_CHARS = 23;

/** @param copies undefined: the message has no identity that could be told again */
function planDead(
  plan: Pick<Plan, "deadLetters" | "outbox">,
  { message, origin, dead, whole }: DecodedMessage,
  context: PlanContext,
  entry: LedgerEntry,
  copies: Copies | undefined,
): void {
  if (dead.length === 0 && !whole) return;
  const timeMs = message.timestampMs ?? origin?.receivedMs;
  const addLetter = (letter: NonNullable<typeof whole>) => {
    plan.deadLetters.push(letter);
    plan.outbox.push(deadLetterEntry(letter, context, timeMs));
  };
  let counted = 0;
  for (const record of dead) {
    const verdict = copies?.judgeDead(record) ?? "first";
    if (verdict !== "first") {
      entry[verdict]++;
      continue;
    }
    entry.dead++;
    counted++;
    if (record.letter) addLetter(record.letter);
  }
  // What could not be read at all counts as one.
  if (whole && dead.length === 0) {
    entry.dead++;
    counted++;
  }
  if (whole && counted > 0) addLetter(whole);
  if (!copies) entry.foreign += counted;
}

/** The records of one message, judged against all that is claimed. */
class Copies {
  readonly #decoded: DecodedMessage;
  readonly #origin: NonNullable<DecodedMessage["origin"]>;
  readonly #scope: ClaimScope;
  readonly #book: ClaimBook;
  readonly #batch: BatchIdentity;
  readonly #words: Map<number, Word>;
  /** The word used last: a message's indices mostly stand beside each other. */
  #number = -1;
  #word: Word = { taken: 0, rows: [] };
  #deadWords: Map<number, Word> | undefined;

  /** @param before of another message: those of one request mostly stand beside each other */
  constructor(decoded: DecodedMessage, scope: ClaimScope, book: ClaimBook, before: Copies | undefined) {
    const { tenant, signal, origin } = decoded;
    this.#decoded = decoded;
    this.#origin = origin as NonNullable<typeof origin>;
    this.#scope = scope;
    this.#book = book;
    const isSame =
      before !== undefined &&
      before.#origin.batch === this.#origin.batch &&
      before.#origin.attempt === this.#origin.attempt &&
      before.#decoded.tenant === tenant &&
      before.#decoded.signal === signal;
    this.#batch = isSame ? before.#batch : batchIdentity(scope, tenant, signal, this.#origin);
    this.#words = book.batch(this.#batch.key);
  }

  /** @param index place in the message */
  judge(index: number, id: string | undefined): Verdict {
    const place = this.#placeOf(index);
    if (id !== undefined) {
      const word = this.#idWord(id);
      const bit = 1 << (place & 31);
      const deadWord = this.#deadWordOf(place);
      // Dead when it came first: since then another record has taken the id.
      if (isTaken(deadWord, bit) && isTaken(word, 1)) return "redelivered";
      const verdict = judge(word, idAttempt(this.#batch, place), 1);
      // A copy of it may be on its way to be dead, planned before the id was taken: one of the two has to give way.
      if (verdict === "deduplicated") judge(deadWord, this.#origin.attempt, bit);
      return verdict;
    }
    return judge(this.#wordOf(place), this.#origin.attempt, 1 << (place & 31));
  }

  /** A record that is dead takes no claim to its identity, unless it was received before: then it is a copy of that. */
  judgeDead({ index, id }: Pick<DeadRecord, "index" | "id">): Verdict {
    const place = this.#placeOf(index);
    const isStored =
      id === undefined ? isTaken(this.#wordOf(place), 1 << (place & 31)) : isTaken(this.#idWord(id), 1);
    if (isStored) return this.judge(index, id);
    return judge(this.#deadWordOf(place), this.#origin.attempt, 1 << (place & 31));
  }

  /**
   * A record that the epoch before has stored is claimed, so that a copy of it is known. One that died there is dead here,
   * too: its letter may be replayed yet.
   */
  leaveOut(index: number, id: string | undefined, fate: Fate | undefined): void {
    const place = this.#placeOf(index);
    const isDead = fate === "dead" || isTaken(this.#deadWordOf(place), 1 << (place & 31));
    if (isDead && fate !== "stored") this.judgeDead({ index, id });
    else this.judge(index, id);
  }

  #placeOf(index: number): number {
    return this.#origin.indices[index] as number;
  }

  #wordOf(place: number): Word {
    const number = place >>> 5;
    if (number !== this.#number) {
      this.#number = number;
      this.#word = wordIn(this.#words, number);
    }
    return this.#word;
  }

  #deadWordOf(place: number): Word {
    const { tenant, signal } = this.#decoded;
    this.#deadWords ??= this.#book.batch(deadKey(this.#scope, tenant, signal, this.#origin));
    return wordIn(this.#deadWords, place >>> 5);
  }

  #idWord(id: string): Word {
    const { tenant, signal } = this.#decoded;
    return this.#book.id(idKey(this.#scope, tenant, signal, id));
  }
}

/** What is counted, by tenant and signal. */
class Ledger {
  readonly #entries = new Map<string, Map<Signal, LedgerEntry>>();
  #last: LedgerEntry | undefined;

  of(tenant: string, signal: Signal): LedgerEntry {
    if (this.#last?.tenant === tenant && this.#last.signal === signal) return this.#last;
    let ofTenant = this.#entries.get(tenant);
    if (!ofTenant) this.#entries.set(tenant, (ofTenant = new Map()));
    let entry = ofTenant.get(signal);
    if (!entry) {
      entry = { tenant, signal, stored: 0, dead: 0, late: 0, deduplicated: 0, redelivered: 0, foreign: 0 };
      ofTenant.set(signal, entry);
    }
    return (this.#last = entry);
  }

  /** Those in which anything is counted. */
  entries(): LedgerEntry[] {
    const all = [...this.#entries.values()].flatMap((ofTenant) => [...ofTenant.values()]);
    return all.filter(
      ({ stored, late, dead, deduplicated, redelivered }) =>
        stored + late + dead + deduplicated + redelivered > 0,
    );
  }
}
