// Claims under READ COMMITTED, without locks of the session (Hyperdrive has none to give). The row with place 0 of a key
// and word is its lock: it is inserted, or locked where it is there, in the order of keys and words by everybody, and
// stays so until the transaction's end. What is under it is looked at after that, by a statement that sees whatever was
// committed before the lock was had.
import type { Claim, NewClaims } from "../storage.ts";
import type { Run, Value } from "./session.ts";
import { arrayOf } from "./text.ts";

const HOUR_MS = 3_600_000;

/** What a commit claims of one row: `first` stands against all acceptances, `repeated` against its own. */
interface Wanted {
  key: string;
  word: number;
  attempt: number;
  first: number;
  repeated: number;
}

const INPUT = `unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])
  WITH ORDINALITY AS u (hex, word, attempt, first, repeated, i)`;

/** Of each key and word the first acceptance, in the order of all. @returns where they stand that were there already */
const INSERT_HEADS = `WITH heads AS (
    SELECT decode(hex, 'hex') AS key, word, attempt, first | repeated AS bits, i FROM ${INPUT}
  ), inserted AS (
    INSERT INTO claims (key, word, place, attempt, bits, hour)
    SELECT key, word, 0, attempt, bits, $6::integer FROM heads ORDER BY key, word
    ON CONFLICT (key, word, place) DO NOTHING RETURNING key, word
  )
  SELECT h.i FROM heads AS h WHERE NOT EXISTS
    (SELECT FROM inserted AS done WHERE done.key = h.key AND done.word = h.word)`;

const LOCK_HEADS = `SELECT 1 FROM claims AS c
  JOIN unnest($1::text[], $2::integer[]) AS u (hex, word) ON c.key = decode(u.hex, 'hex') AND c.word = u.word
  WHERE c.place = 0 ORDER BY c.key, c.word FOR UPDATE OF c`;

const FORBIDDEN = "((c.bits & u.first) <> 0 OR (c.attempt = u.attempt AND (c.bits & u.repeated) <> 0))";

/** Where all heads are this commit's own only further acceptances can forbid it, whose heads were dropped. */
const IS_FORBIDDEN_BY_OTHERS = `SELECT 1 FROM claims AS c
  JOIN ${INPUT} ON c.key = decode(u.hex, 'hex') AND c.word = u.word WHERE c.place > 0 AND ${FORBIDDEN} LIMIT 1`;

const IS_FORBIDDEN = `SELECT 1 FROM claims AS c
  JOIN ${INPUT} ON c.key = decode(u.hex, 'hex') AND c.word = u.word WHERE ${FORBIDDEN} LIMIT 1`;

/** Adds the bits to the rows of their acceptances, and makes those that are not there. */
const MERGE = `WITH input AS (
    SELECT decode(hex, 'hex') AS key, word, attempt, first | repeated AS bits FROM ${INPUT}
  ), updated AS (
    UPDATE claims AS c SET bits = c.bits | u.bits, hour = greatest(c.hour, $6::integer) FROM input AS u
    WHERE c.key = u.key AND c.word = u.word AND c.attempt = u.attempt
    RETURNING c.key, c.word, c.attempt
  )
  INSERT INTO claims (key, word, place, attempt, bits, hour)
  SELECT u.key, u.word, row_number() OVER (PARTITION BY u.key, u.word ORDER BY u.attempt)
      + (SELECT max(c.place) FROM claims AS c WHERE c.key = u.key AND c.word = u.word), u.attempt, u.bits, $6::integer
  FROM input AS u WHERE NOT EXISTS (SELECT FROM updated AS done
    WHERE done.key = u.key AND done.word = u.word AND done.attempt = u.attempt)`;

/** @returns whether they were made; otherwise the transaction must be taken back */
export async function claim(run: Run, claims: NewClaims, committedAtMs: number): Promise<boolean> {
  const wanted = inOrder(claims);
  if (wanted.length === 0) return true;
  const hour = Math.floor((claims.receivedMs ?? committedAtMs) / HOUR_MS);
  const heads = wanted.filter((one, i) => !isSameWord(one, wanted[i - 1]));
  const met = await run(INSERT_HEADS, [...parametersOf(heads), hour]);
  if (met.length === 0 && heads.length === wanted.length)
    return (await run(IS_FORBIDDEN_BY_OTHERS, parametersOf(wanted))).length === 0;

  const metHeads = met.flatMap(({ i }) => heads[Number(i) - 1] ?? []).toSorted(byPlace);
  const locked = await run(LOCK_HEADS, [
    arrayOf(metHeads.map(({ key }) => key)),
    arrayOf(metHeads.map(({ word }) => word)),
  ]);
  // Dropped in between, and with them the lock: the batch is planned anew.
  if (locked.length < metHeads.length) return false;

  const isMet = new Set(metHeads);
  const inserted = new Set(heads.filter((head) => !isMet.has(head)));
  // A head that this commit made forbids nothing of the same commit.
  const own = new Set([...inserted].map(({ key, word }) => `${key}/${word}`));
  const [free, judged] = [[] as Wanted[], [] as Wanted[]];
  for (const one of wanted) (own.has(`${one.key}/${one.word}`) ? free : judged).push(one);
  if ((await run(IS_FORBIDDEN, parametersOf(judged))).length > 0) return false;
  if ((await run(IS_FORBIDDEN_BY_OTHERS, parametersOf(free))).length > 0) return false;
  const rest = wanted.filter((one) => !inserted.has(one));
  if (rest.length > 0) await run(MERGE, [...parametersOf(rest), hour]);
  return true;
}

/** Claims for one row as one, in the order in which everybody locks. */
function inOrder({ first, repeated }: NewClaims): Wanted[] {
  const wanted = new Map<string, Wanted>();
  const add = ({ key, word, attempt }: Claim, firstBits: number, repeatedBits: number) => {
    const id = `${key}/${word}/${attempt}`;
    const known = wanted.get(id);
    wanted.set(id, {
      key: key.toLowerCase(),
      word,
      attempt,
      first: ((known?.first ?? 0) | firstBits) >>> 0,
      repeated: ((known?.repeated ?? 0) | repeatedBits) >>> 0,
    });
  };
  for (const one of first) add(one, one.bits, 0);
  for (const one of repeated) add(one, 0, one.bits);
  return [...wanted.values()].toSorted((a, b) => byPlace(a, b) || a.attempt - b.attempt);
}

function byPlace(a: Wanted, b: Wanted): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.word - b.word;
}

function isSameWord(a: Wanted, b: Wanted | undefined): boolean {
  return a.key === b?.key && a.word === b.word;
}

function parametersOf(wanted: readonly Wanted[]): Value[] {
  return [
    arrayOf(wanted.map(({ key }) => key)),
    arrayOf(wanted.map(({ word }) => word)),
    arrayOf(wanted.map(({ attempt }) => attempt)),
    arrayOf(wanted.map(({ first }) => first)),
    arrayOf(wanted.map(({ repeated }) => repeated)),
  ];
}

const CLAIMED = `SELECT encode(key, 'hex') AS key, word, attempt, bit_or(bits) AS bits FROM claims
  WHERE key = ANY (SELECT decode(hex, 'hex') FROM unnest($1::text[]) AS u (hex)) GROUP BY claims.key, word, attempt`;

export async function claimedUnder(run: Run, keys: readonly string[]): Promise<Claim[]> {
  const rows = await run(CLAIMED, [arrayOf([...new Set(keys.map((key) => key.toLowerCase()))])]);
  return rows.map((row) => ({
    key: String(row.key),
    word: Number(row.word),
    attempt: Number(row.attempt),
    bits: Number(row.bits),
  }));
}

/** What is locked is in use, and stays. */
const DROP = `WITH dropped AS (
    DELETE FROM claims WHERE ctid = ANY (ARRAY
      (SELECT ctid FROM claims WHERE hour <= $1::integer LIMIT $2::integer FOR UPDATE SKIP LOCKED))
    RETURNING 1
  ) SELECT count(*) AS dropped FROM dropped`;

/** Drops claims of hours that had ended by `beforeMs`. */
export async function dropClaims(run: Run, beforeMs: number, limit: number): Promise<number> {
  const [row] = await run(DROP, [Math.floor(beforeMs / HOUR_MS) - 1, limit]);
  return Number(row?.dropped ?? 0);
}
