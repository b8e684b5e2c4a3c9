// Windows on PostgreSQL, in a partition for each day of their starts. Questions name the days they are about, so that
// the others are not looked at, however many there are: `due_days` tells where something is due.
import { DAY_MS } from "../day.ts";
import type {
  FoundWindow,
  PartitionCommit,
  QueryStore,
  SeriesSlice,
  StoredWindow,
  StreamStore,
  WindowQuery,
} from "../storage.ts";
import { FoundWindows, spansByDay, type Span } from "../window-days.ts";
import type { PostgresConnections } from "./connections.ts";
import { ensurePartitions } from "./partitions.ts";
import type { RawRow, Run, Value } from "./session.ts";
import { arrayOf, readLabels, readText, storedLabels, storedText } from "./text.ts";
import { boundsOf, OF_DAY, OWN, valuesOf, windowStatements } from "./window-statements.ts";

const CONTENTS = "w.start_ms, w.end_ms, w.due_ms, w.revision, w.state";
/** OFFSET 0 keeps each look-up one of its own: a join of all might walk all windows of the day. */
const lookUp = (condition: string) => `SELECT l.place, ${CONTENTS}
  FROM unnest($7::integer[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])
    AS l (place, tenant, name, "window", series, from_ms, to_ms)
  CROSS JOIN LATERAL (SELECT * FROM windows AS w
    WHERE w.tenant = l.tenant AND w.name = l.name AND w."window" = l."window" AND w.series = l.series::uuid
      AND ${condition} AND ${OF_DAY} OFFSET 0) AS w`;
const LOOK_UP = {
  exact: lookUp("w.start_ms = l.from_ms"),
  sessions: lookUp(`w.start_ms BETWEEN l.from_ms AND l.to_ms AND starts_with(w."window", 'session:')`),
  others: lookUp("w.start_ms BETWEEN l.from_ms AND l.to_ms"),
};

const DUE_DAYS = `SELECT day FROM due_days WHERE ${OWN} AND next_due_ms <= $5::bigint ORDER BY day`;
const DUE = `SELECT tenant, name, "window", replace(series::text, '-', '') AS series, ${CONTENTS} FROM windows AS w
  WHERE w.due_ms <= $7::bigint AND ${OF_DAY} ORDER BY w.due_ms LIMIT $8::integer`;

const HORIZON = `SELECT NULL AS "window", min(next_due_ms) AS at FROM due_days WHERE ${OWN}
  UNION ALL SELECT "window", start_ms FROM newest_windows WHERE ${OWN}`;

const LABELS = `SELECT replace(s.series::text, '-', '') AS series, s.labels
  FROM unnest($1::text[], $2::text[], $3::text[]) AS p (tenant, name, series)
  JOIN series AS s ON s.tenant = p.tenant AND s.name = p.name AND s.series = p.series::uuid`;

/** As of raw rows (query.ts), by the window's start. */
const LIMITED = "SELECT 1 FROM sources AS v WHERE v.is_visible AND v.visible_until_ms IS NOT NULL";
const IS_VISIBLE = `(w.source = ANY (ARRAY (SELECT id FROM sources WHERE is_visible AND visible_until_ms IS NULL))
  OR (EXISTS (${LIMITED}) AND EXISTS (${LIMITED} AND v.id = w.source AND w.start_ms < v.visible_until_ms)))`;

/** $1 to $5: tenant, name, window, first start and the first one that is too late; $6: rows. */
const page = (
  conditions: readonly string[],
) => `SELECT w.tenant, w.name, w."window", replace(w.series::text, '-', '') AS series,
    w.partition, ${CONTENTS}, s.labels
  FROM (SELECT * FROM windows AS w WHERE w.tenant = $1::text AND w.name = $2::text AND w."window" = $3::text
    AND w.start_ms >= $4::bigint AND w.start_ms < $5::bigint
    AND ${[IS_VISIBLE, ...conditions].join(" AND ")}
    ORDER BY w.start_ms DESC LIMIT $6::integer) AS w
  JOIN series AS s ON s.tenant = w.tenant AND s.name = w.name AND s.series = w.series
  ORDER BY w.start_ms DESC`;
/** Of a single start: only so do the ends of a slice bound what is walked of the key. */
const OF_ONE_START = "w.start_ms = $4::bigint";
/** Of a table, from and through. */
const inSlice = (of: string, from: number) =>
  `${of}.series >= $${from}::uuid AND ${of}.series <= $${from + 1}::uuid`;
/** Labels that it has. */
const hasLabels = (
  labels: number,
  condition: string,
) => `w.series = ANY (ARRAY (SELECT s.series FROM series AS s
    WHERE s.tenant = $1::text AND s.name = $2::text AND ${condition} AND NOT EXISTS (SELECT
      FROM json_each_text($${labels}::text::json) AS l WHERE (s.labels::json ->> l.key) IS DISTINCT FROM l.value)))`;

/** The statement with its parameters. */
function pageOf(query: WindowQuery): { sql: string; values: Value[] } {
  const { tenant, name, window, labels, series, fromMs, toMs, limit } = query;
  const values: Value[] = [storedText(tenant), storedText(name), storedText(window), fromMs, toMs, limit];
  const conditions: string[] = [];
  let ofSeries = "true";
  if (series) {
    const first = values.push(series.from, throughOf(series)) - 1;
    conditions.push(inSlice("w", first));
    ofSeries = inSlice("s", first);
    if (toMs === fromMs + 1) conditions.push(OF_ONE_START);
  }
  if (Object.keys(labels).length > 0) {
    const at = values.push(storedLabels(labels));
    conditions.push(hasLabels(at, ofSeries));
  }
  return { sql: page(conditions), values };
}

/** The last id: no uuid is behind all. */
function throughOf({ below }: SeriesSlice): string {
  return below === undefined ? "f".repeat(32) : (BigInt(`0x${below}`) - 1n).toString(16).padStart(32, "0");
}

type WindowStore = Pick<StreamStore, "windows" | "dueWindows" | "windowHorizon" | "seriesLabels">;

/** What a commit writes of windows, the days' partitions made first: behind what adds its source. */
export async function storeWindows(run: Run, commit: PartitionCommit): Promise<void> {
  const { days, statements } = windowStatements(commit);
  await ensurePartitions(run, "windows", days);
  await Promise.all(statements.map(({ sql, values }) => run(sql, values)));
}

export function postgresWindows(connections: PostgresConnections): WindowStore {
  return {
    async windows(source, lookups) {
      const wanted = spansByDay(lookups);
      if (wanted.size === 0) return [];
      return await connections.transaction("reading windows", async (run) => {
        const found = new FoundWindows(lookups);
        for (const [day, spans] of wanted) {
          for (const kind of ["exact", "sessions", "others"] as const) {
            if (spans[kind].length === 0) continue;
            const rows = await run(LOOK_UP[kind], [
              ...valuesOf(source),
              ...boundsOf(day),
              ...spanValues(spans[kind]),
            ]);
            for (const row of rows) found.add(Number(row.place), contentsOf(row));
          }
        }
        return { outcome: found.all(), isKept: true };
      });
    },

    async dueWindows(source, throughMs, limit) {
      return await connections.transaction("reading windows that are due", async (run) => {
        const found: StoredWindow[] = [];
        const dueDays = await run(DUE_DAYS, [...valuesOf(source), throughMs]);
        for (const { day } of dueDays) {
          // Nothing is due before its window begins: what the first days have is due before what later days have.
          if (found.length >= limit && Number(found[limit - 1]?.dueMs) <= Number(day) * DAY_MS) break;
          const rows = await run(DUE, [...valuesOf(source), ...boundsOf(Number(day)), throughMs, limit]);
          found.push(...rows.map(storedWindow));
          found.sort((a, b) => Number(a.dueMs) - Number(b.dueMs));
          found.length = Math.min(found.length, limit);
        }
        return { outcome: found, isKept: true };
      });
    },

    async windowHorizon(source) {
      const rows = await connections.read("reading the windows' horizon", HORIZON, valuesOf(source));
      let nextDueMs: number | null = null;
      const newestStartMs: Record<string, number> = {};
      for (const { window, at } of rows) {
        if (typeof window === "string") newestStartMs[readText(window)] = Number(at);
        else if (at !== null) nextDueMs = Number(at);
      }
      return { nextDueMs, newestStartMs };
    },

    async seriesLabels(places) {
      if (places.length === 0) return new Map();
      const rows = await connections.read("reading series", LABELS, [
        arrayOf(places.map(({ tenant }) => storedText(tenant))),
        arrayOf(places.map(({ name }) => storedText(name))),
        arrayOf(places.map(({ series }) => series)),
      ]);
      return new Map(rows.map((row) => [String(row.series), readLabels(String(row.labels))]));
    },
  };
}

export function postgresWindowQuery(connections: PostgresConnections): Pick<QueryStore, "windows"> {
  return {
    async windows(query) {
      const { sql, values } = pageOf(query);
      const rows = await connections.read("querying windows", sql, values);
      return rows.map((row): FoundWindow => ({
        ...storedWindow(row),
        partition: Number(row.partition),
        labels: readLabels(String(row.labels)),
      }));
    },
  };
}

const spanValues = (spans: readonly Span[]): Value[] => [
  arrayOf(spans.map(({ place }) => place)),
  arrayOf(spans.map(({ tenant }) => storedText(tenant))),
  arrayOf(spans.map(({ name }) => storedText(name))),
  arrayOf(spans.map(({ window }) => storedText(window))),
  arrayOf(spans.map(({ series }) => series)),
  arrayOf(spans.map(({ fromMs }) => fromMs)),
  arrayOf(spans.map(({ toMs }) => toMs)),
];

/** A row of a window with its place. */
function storedWindow(row: RawRow): StoredWindow {
  return {
    tenant: readText(String(row.tenant)),
    name: readText(String(row.name)),
    series: String(row.series),
    window: readText(String(row.window)),
    ...contentsOf(row),
  };
}

function contentsOf(row: RawRow) {
  return {
    startMs: Number(row.start_ms),
    endMs: Number(row.end_ms),
    dueMs: row.due_ms === null ? null : Number(row.due_ms),
    revision: Number(row.revision),
    state: readText(String(row.state)),
  };
}
