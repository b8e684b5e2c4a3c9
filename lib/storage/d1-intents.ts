// Intents on D1, beside the stream store's own statements: what guards them goes before those of a commit, what closes
// them behind, into the same batch, which is one transaction.
import { claimGuards } from "./d1-claims.ts";
import { built, withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { faultOf } from "./d1-fault.ts";
import { jsonChunks } from "./d1-json.ts";
import { createD1StreamStore } from "./d1-stream.ts";
import type { BlockRef, Intent, IntentControl } from "./intent-control.ts";
import {
  StorageError,
  type Claim,
  type NewClaims,
  type PartitionCommit,
  type PartitionId,
} from "./storage.ts";

/** Of D1's 2,000,000 bytes a value; the text is ASCII. */
const MAX_PART_CHARS = 1_000_000;

const OF_PARTITION = "group_id = ?1 AND topic = ?2 AND partition = ?3";
const OPEN = `SELECT 1 FROM intents WHERE ${OF_PARTITION}`;

/** Each writes a row that a constraint refuses, or none. */
const NONE_OPEN = `INSERT INTO fence (ok) SELECT 0 WHERE EXISTS (${OPEN})`;
const STILL_OPEN = `INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS (${OPEN} AND token = ?4)`;
const AT_FROM = `INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS
  (SELECT 1 FROM offsets WHERE ${OF_PARTITION} AND next_offset = ?4 AND incarnation = ?5 AND epoch = ?6
    AND watermark_ms = ?7)`;
const UNREAD = `INSERT INTO fence (ok) SELECT 0 WHERE EXISTS (SELECT 1 FROM offsets WHERE ${OF_PARTITION})`;
const HELD = `INSERT INTO fence (ok, conflict) SELECT 1, 1 FROM json_each(?1) AS n CROSS JOIN intent_claims AS c
  WHERE c.key = unhex(n.value ->> 0) AND c.word = n.value ->> 1 AND (c.bits & (n.value ->> 3)) <> 0`;
const HELD_OWN = `${HELD} AND c.attempt = n.value ->> 2`;

const ADD =
  "INSERT INTO intents (group_id, topic, partition, token, tried_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
const ADD_PART =
  "INSERT INTO intent_parts (group_id, topic, partition, part, body) VALUES (?1, ?2, ?3, ?4, ?5)";
const HOLD = `INSERT INTO intent_claims (group_id, topic, partition, key, word, attempt, bits)
  SELECT ?1, ?2, ?3, unhex(n.value ->> 0), n.value ->> 1, n.value ->> 2, n.value ->> 3 FROM json_each(?4) AS n WHERE true
  ON CONFLICT DO UPDATE SET bits = bits | excluded.bits`;
const FIND = `SELECT i.tried_at_ms, p.body FROM intents AS i JOIN intent_parts AS p USING (group_id, topic, partition)
  WHERE ${OF_PARTITION} ORDER BY p.part`;
const RETRY = `UPDATE intents SET tried_at_ms = max(tried_at_ms, ?5) WHERE ${OF_PARTITION} AND token = ?4`;
const COUNT_ROWS = `UPDATE offsets SET records_total = records_total + ?4 WHERE ${OF_PARTITION}`;
/** Behind the deletion of the intent itself, and only where that took place. */
const CLOSE = [
  `DELETE FROM intent_claims WHERE ${OF_PARTITION} AND NOT EXISTS (${OPEN})`,
  `DELETE FROM intent_parts WHERE ${OF_PARTITION} AND NOT EXISTS (${OPEN})`,
];

export function createD1IntentControl(db: D1): IntentControl {
  const stream = createD1StreamStore(db);

  /** A commit of the stream store with more in its transaction. */
  const commitWith = async (commit: PartitionCommit, before: D1Statement[], after: D1Statement[]) => {
    const batch = async (statements: D1Statement[]) => await db.batch([...before, ...statements, ...after]);
    return await createD1StreamStore({ prepare: (sql) => db.prepare(sql), batch }).commit(commit);
  };
  const openIntent = async (id: PartitionId): Promise<Intent | undefined> => {
    const { results } = await withDeadline("reading an intent", () => of(db, FIND, id).all());
    const [first] = results;
    if (!first) return undefined;
    const stored = JSON.parse(results.map(({ body }) => String(body)).join("")) as StoredIntent;
    const { from, receivedMs, ...intent } = stored;
    const claims = { ...intent.commit.claims, receivedMs: receivedMs ?? undefined };
    const commit = { ...intent.commit, claims, from: from ?? undefined };
    return { ...intent, commit, triedAtMs: Number(first.tried_at_ms) };
  };

  return {
    ...stream,
    // A position that has moved is a fence, whatever is held: so that is judged last.
    commit: async (commit) =>
      await commitWith(commit, [of(db, NONE_OPEN, commit)], heldGuards(db, commit.claims)),
    openIntent,

    async begin(intent) {
      const what = "beginning a block";
      const { block, commit, triedAtMs } = intent;
      const { from, claims } = commit;
      const statements = built(what, () => [
        from
          ? of(db, AT_FROM, block, from.nextOffset, from.incarnation, from.epoch, from.watermarkMs)
          : of(db, UNREAD, block),
        of(db, NONE_OPEN, block),
        ...claimGuards(db, claims),
        ...heldGuards(db, claims),
        of(db, ADD, block, block.token, triedAtMs),
        ...partsOf(intent).map((body, part) => of(db, ADD_PART, block, part, body)),
        ...chunksOf([...claims.first, ...claims.repeated]).map((chunk) => of(db, HOLD, block, chunk)),
      ]);
      try {
        await withDeadline(what, () => db.batch(statements));
        return "begun";
      } catch (error) {
        const fault = faultOf(error);
        if (fault === "fenced" || fault === "conflict") return fault;
        throw error;
      }
    },

    async retry({ block }, atMs) {
      const { meta } = await withDeadline("renewing an intent", () =>
        of(db, RETRY, block, block.token, atMs).all(),
      );
      return meta.changes > 0;
    },

    async finish(block) {
      const intent = await openIntent(block);
      if (intent?.block.token !== block.token) return "fenced";
      const rows = Object.values(intent.block.counts).reduce((sum, count) => sum + count, 0);
      const outcome = await commitWith(
        // What the block holds is written already, whatever is dropped by its age meanwhile.
        { ...intent.commit, rawFloorDay: Number.MAX_SAFE_INTEGER },
        [of(db, STILL_OPEN, block, block.token)],
        [of(db, COUNT_ROWS, block, rows), ...closing(db, block, undefined)],
      );
      // Claims that an open intent holds nobody else can have taken.
      if (outcome === "conflict") throw new StorageError("an open intent was passed by: conflict");
      return outcome;
    },

    async abandon({ block, triedAtMs }) {
      await withDeadline("giving up an intent", () => db.batch(closing(db, block, triedAtMs)));
    },
  };
}

/** As it stands in parts: JSON has no undefined. */
interface StoredIntent extends Omit<Intent, "triedAtMs"> {
  from: PartitionCommit["from"] | null;
  receivedMs: number | null;
}

const of = (db: D1, sql: string, { group, topic, partition }: PartitionId, ...more: (string | number)[]) =>
  db.prepare(sql).bind(group, topic, partition, ...more);

function heldGuards(db: D1, { first, repeated }: NewClaims): D1Statement[] {
  return [
    ...chunksOf(first).map((chunk) => db.prepare(HELD).bind(chunk)),
    ...chunksOf(repeated).map((chunk) => db.prepare(HELD_OWN).bind(chunk)),
  ];
}

const chunksOf = (claims: Claim[]) => [
  ...jsonChunks(claims.map(({ key, word, attempt, bits }) => [key, word, attempt, bits])),
];

/** @param triedAtMs undefined: whenever somebody last set out to write it */
function closing(db: D1, block: BlockRef, triedAtMs: number | undefined): D1Statement[] {
  const close = `DELETE FROM intents WHERE ${OF_PARTITION} AND token = ?4`;
  const closed =
    triedAtMs === undefined
      ? of(db, close, block, block.token)
      : of(db, `${close} AND tried_at_ms = ?5`, block, block.token, triedAtMs);
  return [closed, ...CLOSE.map((sql) => of(db, sql, block))];
}

function partsOf(whole: Intent): string[] {
  const { triedAtMs: _, ...intent } = whole;
  const stored: StoredIntent = {
    ...intent,
    from: intent.commit.from ?? null,
    receivedMs: intent.commit.claims.receivedMs ?? null,
  };
  const text = JSON.stringify(stored).replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += MAX_PART_CHARS) parts.push(text.slice(at, at + MAX_PART_CHARS));
  return parts;
}
