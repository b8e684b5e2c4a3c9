// Consumer groups on D1. Each change is one batch whose first statement fails it where the group is not what it was
// taken for.
import { withDeadline, type D1, type D1Statement, type D1Value } from "./d1-database.ts";
import { faultOf } from "./d1-fault.ts";
import {
  readerOf,
  type Building,
  type GroupId,
  type GroupStart,
  type GroupStore,
  type StoredGroup,
} from "./groups.ts";

const NEXT_EPOCH = `1 + max((SELECT coalesce(max(last_epoch), 0) FROM consumer_groups),
  (SELECT coalesce(max(epoch), 0) FROM sources))`;

/** Each writes a row that a constraint refuses, or none. */
const IS_FREE = `INSERT INTO fence (ok) SELECT 0
  WHERE ?2 <> coalesce((SELECT epoch FROM consumer_groups WHERE name = ?1), 0) OR ?3 <> ${NEXT_EPOCH}
    OR EXISTS (SELECT 1 FROM consumer_groups WHERE name = ?1 AND building IS NOT NULL)`;
const IS_BUILT = `INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM consumer_groups
  WHERE name = ?1 AND building ->> '$.epoch' = ?2 AND building ->> '$.isHandingOver' = ?3)`;
const IS_BUILDING = `INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM consumer_groups
  WHERE name = ?1 AND building ->> '$.epoch' = ?2)`;
/** ?1 the group, ?2 its old reader: where that stands, in what is still read. */
const OLD_PLACES = `consumer_groups AS g, json_each(g.building, '$.topics') AS p
  JOIN offsets AS o ON o.group_id = ?2 AND o.topic = p.value ->> 'topic'`;
const IS_READ = `g.name = ?1
  AND NOT EXISTS (SELECT 1 FROM json_each(p.value, '$.gonePartitions') AS gone WHERE gone.value = o.partition)`;
const IS_TOLD = `INSERT INTO fence (ok) SELECT 0 WHERE EXISTS (
  SELECT 1 FROM ${OLD_PLACES}
    JOIN sources AS s ON s.topic = o.topic AND s.incarnation = o.incarnation AND s.epoch = o.epoch
    JOIN due_days AS d ON d.source = s.id AND d.partition = o.partition
  WHERE ${IS_READ} AND d.next_due_ms <= o.watermark_ms)`;
/** ?3 the new reader: it stands where the old one ended, or in a later making. */
const IS_EQUAL = `INSERT INTO fence (ok) SELECT 0 WHERE EXISTS (
  SELECT 1 FROM ${OLD_PLACES}
    LEFT JOIN offsets AS n ON n.group_id = ?3 AND n.topic = o.topic AND n.partition = o.partition
  WHERE ${IS_READ} AND (n.next_offset IS NULL OR n.incarnation < o.incarnation
    OR (n.incarnation = o.incarnation AND n.next_offset <> o.next_offset)))`;

const ADD = `INSERT INTO consumer_groups (name, epoch, last_epoch, is_shown) VALUES (?1, 0, 0, ?2)
  ON CONFLICT DO NOTHING`;
const ADD_APART = `INSERT INTO consumer_groups (name, epoch, last_epoch, is_shown)
  SELECT ?1, ${NEXT_EPOCH}, ${NEXT_EPOCH}, ?2 WHERE true ON CONFLICT DO NOTHING`;
const PAUSE = "UPDATE consumer_groups SET is_paused = ?2 WHERE name = ?1";
const STOP = "INSERT INTO stopped_readers (group_id) VALUES (?1) ON CONFLICT DO NOTHING";
const LET_GO = "DELETE FROM stopped_readers WHERE group_id = ?1";
const BEGIN_ANEW = "UPDATE consumer_groups SET epoch = ?2, last_epoch = ?2, start = ?3 WHERE name = ?1";
const BUILD = "UPDATE consumer_groups SET last_epoch = ?2, building = ?3 WHERE name = ?1";
const HAND_OVER = `UPDATE consumer_groups SET building = json_set(building, '$.isHandingOver', json('true'))
  WHERE name = ?1`;
const ABANDON = "UPDATE consumer_groups SET building = NULL WHERE name = ?1";

const IF_SHOWN = "EXISTS (SELECT 1 FROM consumer_groups WHERE name = ?1 AND is_shown = 1)";
/** ?1 the group, ?2 its new epoch. Behind these the building goes. */
const LIMIT_OLD = `UPDATE sources SET visible_until_ms = min(coalesce(visible_until_ms, t.until), t.until)
  FROM (SELECT p.value ->> 'topic' AS topic, p.value ->> 'incarnation' AS incarnation, p.value ->> 'fromTimeMs' AS until
    FROM consumer_groups AS g, json_each(g.building, '$.topics') AS p WHERE g.name = ?1) AS t
  WHERE sources.topic = t.topic AND sources.incarnation = t.incarnation AND t.until IS NOT NULL
    AND sources.epoch <> ?2 AND sources.is_visible = 1 AND ${IF_SHOWN}`;
/** Of all makings that it has read. */
const SHOW_BUILT = `UPDATE sources SET is_visible = 1 WHERE epoch = ?2 AND is_visible = 0 AND ${IF_SHOWN}`;
/** ?3 the new reader: also what it has read nothing of. */
const SHOW_NEW = `INSERT INTO sources (topic, incarnation, epoch, is_visible)
  SELECT DISTINCT topic, incarnation, ?2, 1 FROM offsets WHERE group_id = ?3 AND ${IF_SHOWN}
  ON CONFLICT (topic, incarnation, epoch) DO UPDATE SET is_visible = 1`;
const SWITCH = "UPDATE consumer_groups SET epoch = ?2, start = NULL, building = NULL WHERE name = ?1";

export function createD1GroupStore(db: D1): GroupStore {
  const of = (sql: string, ...values: D1Value[]): D1Statement => db.prepare(sql).bind(...values);
  /** @returns false where a guard refused it */
  const change = async (what: string, statements: D1Statement[]): Promise<boolean> => {
    try {
      await withDeadline(what, () => db.batch(statements));
      return true;
    } catch (error) {
      if (faultOf(error) === "fenced") return false;
      throw error;
    }
  };
  const nextEpoch = async (): Promise<number> => {
    const { results } = await withDeadline("reading epochs", () => of(`SELECT ${NEXT_EPOCH} AS epoch`).all());
    return Number(results[0]?.epoch);
  };
  const begin = async (
    { name, isShown }: GroupId,
    from: number,
    statementsOf: (epoch: number) => D1Statement[],
  ): Promise<number | undefined> => {
    const epoch = await nextEpoch();
    const guards = [of(IS_FREE, name, from, epoch), of(ADD, name, Number(isShown))];
    const isBegun = await change("beginning an epoch", [...guards, ...statementsOf(epoch)]);
    return isBegun ? epoch : undefined;
  };
  const oldReader = async (name: string): Promise<string> => {
    const { results } = await withDeadline("reading a group", () =>
      of("SELECT epoch FROM consumer_groups WHERE name = ?1", name).all(),
    );
    return readerOf(name, Number(results[0]?.epoch ?? 0));
  };

  return {
    async groups() {
      const { results } = await withDeadline("reading groups", () =>
        of("SELECT * FROM consumer_groups ORDER BY name").all(),
      );
      return results.map(toGroup);
    },

    async addApart({ name, isShown }) {
      await change("adding a group", [of(ADD_APART, name, Number(isShown))]);
    },

    async setPaused({ name, isShown }, isPaused) {
      await change("pausing a group", [of(ADD, name, Number(isShown)), of(PAUSE, name, Number(isPaused))]);
    },

    async beginAnew(id, from, start) {
      return await begin(id, from, (epoch) => [
        of(STOP, readerOf(id.name, from)),
        of(BEGIN_ANEW, id.name, epoch, JSON.stringify(start)),
      ]);
    },

    async beginBuilding(id, from, topics, nowMs) {
      return await begin(id, from, (epoch) => {
        const building: Building = { epoch, isHandingOver: false, topics: [...topics], begunAtMs: nowMs };
        return [of(BUILD, id.name, epoch, JSON.stringify(building))];
      });
    },

    async handOver(name, epoch, { hasResults } = { hasResults: true }) {
      const reader = await oldReader(name);
      return await change("handing over a group", [
        of(IS_BUILT, name, epoch, 0),
        ...(hasResults ? [of(IS_TOLD, name, reader)] : []),
        of(STOP, reader),
        of(HAND_OVER, name),
      ]);
    },

    async switchTo(name, epoch) {
      const reader = readerOf(name, epoch);
      return await change("switching a group", [
        of(IS_BUILT, name, epoch, 1),
        of(IS_EQUAL, name, await oldReader(name), reader),
        of(LIMIT_OLD, name, epoch),
        of(SHOW_BUILT, name, epoch),
        of(SHOW_NEW, name, epoch, reader),
        of(SWITCH, name, epoch),
      ]);
    },

    async abandon(name, epoch) {
      return await change("giving up an epoch", [
        of(IS_BUILDING, name, epoch),
        of(STOP, readerOf(name, epoch)),
        of(LET_GO, await oldReader(name)),
        of(ABANDON, name),
      ]);
    },
  };
}

function toGroup(row: Record<string, D1Value>): StoredGroup {
  return {
    name: String(row.name),
    epoch: Number(row.epoch),
    isPaused: row.is_paused === 1,
    start: jsonOf(row.start) as GroupStart | null,
    building: jsonOf(row.building) as Building | null,
  };
}

function jsonOf(text: D1Value | undefined): unknown {
  return typeof text === "string" ? JSON.parse(text) : null;
}
