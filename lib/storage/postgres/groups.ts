// Consumer groups on PostgreSQL. Changes come one after the other: each locks the table of groups first.
import { readerOf, type Building, type GroupId, type GroupStart, type GroupStore } from "../groups.ts";
import type { PostgresConnections } from "./connections.ts";
import type { RawRow, Run, Value } from "./session.ts";
import { arrayOf, readText, storedText } from "./text.ts";

const LOCK = "LOCK TABLE consumer_groups IN SHARE ROW EXCLUSIVE MODE";
const NEXT_EPOCH = `1 + greatest((SELECT coalesce(max(last_epoch), 0) FROM consumer_groups),
  (SELECT coalesce(max(epoch), 0) FROM sources))`;

const ALL = "SELECT * FROM consumer_groups ORDER BY name";
const ONE = "SELECT epoch, building FROM consumer_groups WHERE name = $1";
const ADD = `INSERT INTO consumer_groups (name, epoch, last_epoch, is_shown) VALUES ($1, 0, 0, $2::integer = 1)
  ON CONFLICT (name) DO NOTHING`;
const ADD_APART = `INSERT INTO consumer_groups (name, epoch, last_epoch, is_shown)
  SELECT $1, ${NEXT_EPOCH}, ${NEXT_EPOCH}, $2::integer = 1 ON CONFLICT (name) DO NOTHING`;
const PAUSE = "UPDATE consumer_groups SET is_paused = $2::integer = 1 WHERE name = $1";
const STOP = "INSERT INTO stopped_readers (group_id) VALUES ($1) ON CONFLICT (group_id) DO NOTHING";
/** Waits for commits that are under way; those that come later find the reader stopped. */
const WAIT_FOR_COMMITS = "SELECT 1 FROM offsets WHERE group_id = $1 FOR UPDATE";
const LET_GO = "DELETE FROM stopped_readers WHERE group_id = $1";
const BEGIN_ANEW = `UPDATE consumer_groups SET epoch = $2::bigint, last_epoch = $2::bigint, start = $3::text
  WHERE name = $1`;
const BUILD = "UPDATE consumer_groups SET last_epoch = $2::bigint, building = $3::text WHERE name = $1";
const SET_BUILDING = "UPDATE consumer_groups SET building = $2::text WHERE name = $1";

/** $1 the old reader; $2 topics and $3 partitions without those that are read no more. */
const IS_READ = `o.group_id = $1 AND o.topic = ANY ($2::text[])
  AND o.topic || '/' || o.partition <> ALL ($3::text[])`;
const DUE = `SELECT 1 AS due FROM offsets AS o
    JOIN sources AS s ON s.topic = o.topic AND s.incarnation = o.incarnation AND s.epoch = o.epoch
    JOIN due_days AS d ON d.source = s.id AND d.partition = o.partition
  WHERE ${IS_READ} AND d.next_due_ms <= o.watermark_ms LIMIT 1`;
/** $4 the new reader: it stands where the old one ended, or in a later making. */
const UNEQUAL = `SELECT 1 AS unequal FROM offsets AS o LEFT JOIN offsets AS n
    ON n.group_id = $4 AND n.topic = o.topic AND n.partition = o.partition
  WHERE ${IS_READ} AND (n.next_offset IS NULL OR n.incarnation < o.incarnation
    OR (n.incarnation = o.incarnation AND n.next_offset <> o.next_offset))
  LIMIT 1`;
const IF_SHOWN = "EXISTS (SELECT FROM consumer_groups WHERE name = $1 AND is_shown)";
const LIMIT_OLD = `UPDATE sources SET visible_until_ms = least(visible_until_ms, $4::bigint)
  WHERE topic = $2 AND incarnation = $3::bigint AND epoch <> $5::bigint AND is_visible AND ${IF_SHOWN}`;
/** Of all makings that it has read. */
const SHOW_BUILT = `UPDATE sources SET is_visible = true WHERE epoch = $2::bigint AND NOT is_visible AND ${IF_SHOWN}`;
/** Also what it has read nothing of. */
const SHOW_NEW = `INSERT INTO sources (topic, incarnation, epoch, is_visible)
  SELECT DISTINCT topic, incarnation, $2::bigint, true FROM offsets WHERE group_id = $3 AND ${IF_SHOWN}
  ON CONFLICT (topic, incarnation, epoch) DO UPDATE SET is_visible = true`;
const SWITCH = `UPDATE consumer_groups SET epoch = $2::bigint, start = NULL, building = NULL WHERE name = $1`;

export function createPostgresGroupStore(connections: PostgresConnections): GroupStore {
  /** @param work says what comes of it; undefined or false: nothing is kept */
  const change = async <T>(what: string, work: (run: Run) => Promise<T>): Promise<T> =>
    await connections.transaction(what, async (run) => {
      await run(LOCK);
      const outcome = await work(run);
      return { outcome, isKept: outcome !== undefined && outcome !== false };
    });
  const begin = async (
    { name, isShown }: GroupId,
    from: number,
    work: (run: Run, epoch: number) => Promise<void>,
  ): Promise<number | undefined> =>
    await change("beginning an epoch", async (run) => {
      const known = await find(run, name);
      if ((known?.epoch ?? 0) !== from || known?.building) return undefined;
      const [next] = await run(`SELECT ${NEXT_EPOCH} AS epoch`);
      const epoch = Number(next?.epoch);
      await run(ADD, [storedText(name), Number(isShown)]);
      await work(run, epoch);
      return epoch;
    });
  const ofBuilt = async (
    what: string,
    { name, epoch, isHandingOver }: { name: string; epoch: number; isHandingOver?: boolean },
    work: (run: Run, known: { epoch: number; building: Building }) => Promise<boolean>,
  ): Promise<boolean> =>
    await change(what, async (run) => {
      const known = await find(run, name);
      if (known?.building?.epoch !== epoch) return false;
      if (isHandingOver !== undefined && known.building.isHandingOver !== isHandingOver) return false;
      return await work(run, { epoch: known.epoch, building: known.building });
    });

  return {
    async groups() {
      const rows = await connections.read("reading groups", ALL, []);
      return rows.map((row) => ({
        name: readText(String(row.name)),
        isPaused: row.is_paused === true,
        start: jsonOf(row.start) as GroupStart | null,
        ...stateOf(row),
      }));
    },

    async addApart({ name, isShown }) {
      await change(
        "adding a group",
        async (run) => await run(ADD_APART, [storedText(name), Number(isShown)]),
      );
    },

    async setPaused({ name, isShown }, isPaused) {
      await change("pausing a group", async (run) => {
        await run(ADD, [storedText(name), Number(isShown)]);
        return await run(PAUSE, [storedText(name), Number(isPaused)]);
      });
    },

    async beginAnew(id, from, start) {
      return await begin(id, from, async (run, epoch) => {
        await stop(run, readerOf(id.name, from));
        await run(BEGIN_ANEW, [storedText(id.name), epoch, JSON.stringify(start)]);
      });
    },

    async beginBuilding(id, from, topics, nowMs) {
      return await begin(id, from, async (run, epoch) => {
        const building: Building = { epoch, isHandingOver: false, topics: [...topics], begunAtMs: nowMs };
        await run(BUILD, [storedText(id.name), epoch, JSON.stringify(building)]);
      });
    },

    async handOver(name, epoch, { hasResults } = { hasResults: true }) {
      return await ofBuilt(
        "handing over a group",
        { name, epoch, isHandingOver: false },
        async (run, known) => {
          // First, so that no commit that is under way has the last word on what is due.
          await stop(run, readerOf(name, known.epoch));
          if (hasResults && (await run(DUE, oldPlaces(name, known))).length > 0) return false;
          const building: Building = { ...known.building, isHandingOver: true };
          await run(SET_BUILDING, [storedText(name), JSON.stringify(building)]);
          return true;
        },
      );
    },

    async switchTo(name, epoch) {
      return await ofBuilt("switching a group", { name, epoch, isHandingOver: true }, async (run, known) => {
        const reader = readerOf(name, epoch);
        if ((await run(UNEQUAL, [...oldPlaces(name, known), storedText(reader)])).length > 0) return false;
        for (const { topic, incarnation, fromTimeMs } of known.building.topics) {
          if (fromTimeMs === null) continue;
          await run(LIMIT_OLD, [storedText(name), storedText(topic), incarnation, fromTimeMs, epoch]);
        }
        await run(SHOW_BUILT, [storedText(name), epoch]);
        await run(SHOW_NEW, [storedText(name), epoch, storedText(reader)]);
        await run(SWITCH, [storedText(name), epoch]);
        return true;
      });
    },

    async abandon(name, epoch) {
      return await ofBuilt("giving up an epoch", { name, epoch }, async (run, known) => {
        await stop(run, readerOf(name, epoch));
        await run(LET_GO, [storedText(readerOf(name, known.epoch))]);
        await run(SET_BUILDING, [storedText(name), null]);
        return true;
      });
    },
  };
}

/** Where the old reader stands, in what is still read. */
function oldPlaces(name: string, { epoch, building }: { epoch: number; building: Building }): Value[] {
  const gone = building.topics.flatMap(({ topic, gonePartitions = [] }) =>
    gonePartitions.map((partition) => `${storedText(topic)}/${partition}`),
  );
  const topics = building.topics.map(({ topic }) => storedText(topic));
  return [storedText(readerOf(name, epoch)), arrayOf(topics), arrayOf(gone)];
}

async function stop(run: Run, reader: string): Promise<void> {
  await run(STOP, [storedText(reader)]);
  await run(WAIT_FOR_COMMITS, [storedText(reader)]);
}

async function find(
  run: Run,
  name: string,
): Promise<{ epoch: number; building: Building | null } | undefined> {
  const [row] = await run(ONE, [storedText(name)]);
  return row && stateOf(row);
}

const stateOf = (row: RawRow) => ({
  epoch: Number(row.epoch),
  building: jsonOf(row.building) as Building | null,
});

function jsonOf(text: RawRow[string]): unknown {
  return typeof text === "string" ? JSON.parse(text) : null;
}
