// Queries on PostgreSQL, with the answers of D1's. Pages go by the rows' own sort key, so a page is stable while rows are
// added. Rows of sources that are not visible are passed over.
import type { JsonObject } from "../../telemetry/json-value.ts";
import { formatMoment, nanosToMoment } from "../../telemetry/time.ts";
import type {
  Found,
  PageKey,
  PageRequest,
  QueryStore,
  StoredMetric,
  StoredSpan,
  StoredTrace,
} from "../storage.ts";
import { Conditions } from "./conditions.ts";
import type { PostgresConnections } from "./connections.ts";
import { findDeadLetter, listDeadLetters } from "./dead-letters.ts";
import type { RawRow } from "./session.ts";
import { readLabels, readText, storedText } from "./text.ts";
import { postgresWindowQuery } from "./windows.ts";

/** Spans of a trace that are looked at for its row in the list: a trace may have very many, and a page many traces. */
const MAX_SUMMED_SPANS = 1_000;

/** An isolate has 128 MB for all its requests. */
const MAX_TRACE_CHARS = 8_000_000;

/** What is asked of sources is a handful of rows, asked for once in a statement. */
const UNLIMITED = "ARRAY (SELECT id FROM sources WHERE is_visible AND visible_until_ms IS NULL)";
/** Of what a later epoch tells anew only the times before that. */
const LIMITED = "SELECT 1 FROM sources AS v WHERE v.is_visible AND v.visible_until_ms IS NOT NULL";
const isVisible = (rows: string) => `(${rows}.source = ANY (${UNLIMITED})
  OR (EXISTS (${LIMITED}) AND EXISTS (${LIMITED} AND v.id = ${rows}.source AND ${rows}.time < v.visible_until_ms * 1000000)))`;

const KEY_COLUMNS = `time, source, partition, "offset", idx`;
const NEWEST_FIRST = `time DESC, source DESC, partition DESC, "offset" DESC, idx DESC`;

/** What all spans of the trace tell, whose root is at hand. */
const TOLD_BY_SPANS = `SELECT count(*) AS span_count, count(*) FILTER (WHERE status = 'error') AS error_count,
    coalesce(json_agg(DISTINCT service) FILTER (WHERE service IS NOT NULL), '[]')::text AS services
  FROM (SELECT o.status, o.service FROM spans AS o
    WHERE o.tenant = root.tenant AND o.trace_id = root.trace_id AND ${isVisible("o")}
    LIMIT ${MAX_SUMMED_SPANS}) AS summed`;

const SPANS_OF_TRACE = `SELECT * FROM (
    SELECT *, sum(length(attributes) + length(detail)) OVER (ORDER BY ${KEY_COLUMNS}) AS chars FROM (
      SELECT * FROM spans AS s WHERE tenant = $1 AND trace_id = $2 AND ${isVisible("s")}
      ORDER BY ${KEY_COLUMNS} LIMIT $3::integer
    ) AS earliest
  ) AS page WHERE chars <= ${MAX_TRACE_CHARS} ORDER BY ${KEY_COLUMNS}`;

const COUNT_SPANS = `SELECT count(*) AS spans FROM spans AS s
  WHERE tenant = $1 AND trace_id = $2 AND ${isVisible("s")}`;

const nextName = (condition: string) => `SELECT m.name FROM metrics AS m
  WHERE m.tenant = $1 AND ${condition} AND ${isVisible("m")} ORDER BY m.name LIMIT 1`;

/** Jumps from name to name in the index: costs by the names, not by their points. */
const METRIC_NAMES = `WITH RECURSIVE names (name) AS (
    (SELECT CASE WHEN $3::text COLLATE "C" >= $2::text COLLATE "C"
      THEN (${nextName("m.name > $3::text")}) ELSE (${nextName("m.name >= $2::text")}) END)
    UNION ALL
    SELECT (${nextName("m.name > names.name")}) FROM names WHERE starts_with(names.name, $2::text)
  )
  SELECT names.name, newest.time, newest.kind FROM names CROSS JOIN LATERAL (
    SELECT m.time, m.kind FROM metrics AS m WHERE m.tenant = $1 AND m.name = names.name AND ${isVisible("m")}
    ORDER BY ${NEWEST_FIRST} LIMIT 1
  ) AS newest WHERE starts_with(names.name, $2::text) LIMIT $4::integer`;

export function createPostgresQueryStore(connections: PostgresConnections): QueryStore {
  async function page(
    table: "metrics" | "logs" | "events" | "spans",
    { tenant, from, to, after, limit }: PageRequest,
    conditions: Conditions,
    /** What is to be done with the page, where it is not the answer itself. */
    wrap = (sql: string) => sql,
  ): Promise<RawRow[]> {
    conditions.add("tenant = ?", storedText(tenant));
    if (from !== undefined) conditions.add("time >= ?::bigint", from);
    if (to !== undefined) conditions.add("time < ?::bigint", to);
    if (after !== undefined) {
      const { time, source, partition, offset, idx } = after;
      const place = `(${KEY_COLUMNS}) < (?::bigint, ?::bigint, ?::integer, ?::bigint, ?::integer)`;
      conditions.add(place, time, source, partition, offset, idx);
    }
    const values = [...conditions.values, limit];
    const sql = `SELECT * FROM ${table} AS r WHERE ${conditions.sql} AND ${isVisible("r")}
      ORDER BY ${NEWEST_FIRST} LIMIT $${values.length}::integer`;
    return await connections.read(`querying ${table}`, wrap(sql), values);
  }

  return {
    ...postgresWindowQuery(connections),

    async metrics({ name, labels, ...request }) {
      const conditions = new Conditions();
      if (name !== undefined) conditions.add("name = ?", storedText(name));
      for (const [label, value] of Object.entries(labels))
        conditions.add("labels::json ->> ?::text = ?", storedText(label), storedText(value));
      const rows = await page("metrics", request, conditions);
      return rows.map((row) =>
        found<StoredMetric>(row, {
          name: readText(String(row.name)),
          value: numberOf(row),
          labels: readLabels(String(row.labels)),
          ...(row.kind === null ? {} : { kind: String(row.kind) }),
          ...detailOf(row),
        }),
      );
    },

    async logs({ service, level, text, ...request }) {
      const conditions = new Conditions();
      if (service !== undefined) conditions.add("service = ?", storedText(service));
      if (level !== undefined) conditions.add("level = ?", storedText(level.toUpperCase()));
      if (text !== undefined) {
        conditions.add(`strpos(lower(message), lower(?::text COLLATE "C")) > 0`, storedText(text));
      }
      const rows = await page("logs", request, conditions);
      return rows.map((row) =>
        found(row, {
          level: readText(String(row.level)),
          message: readText(String(row.message)),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          attributes: JSON.parse(String(row.attributes)) as JsonObject,
          ...detailOf(row),
        }),
      );
    },

    async events({ eventType, ...request }) {
      const conditions = new Conditions();
      if (eventType !== undefined) conditions.add("event_type = ?", storedText(eventType));
      const rows = await page("events", request, conditions);
      return rows.map((row) =>
        found(row, {
          event_type: readText(String(row.event_type)),
          data: JSON.parse(String(row.data)),
          id: textOrNull(row.id),
          key: textOrNull(row.key),
          attributes: row.attributes === null ? null : JSON.parse(String(row.attributes)),
        }),
      );
    },

    async traces({ service, name, status, minDuration, ...request }) {
      const conditions = new Conditions();
      conditions.add("parent_span_id IS NULL");
      if (service !== undefined) conditions.add("service = ?", storedText(service));
      if (name !== undefined) conditions.add("name = ?", storedText(name));
      if (status !== undefined) conditions.add("status = ?", storedText(status));
      if (minDuration !== undefined) conditions.add("duration >= ?::numeric", minDuration);
      const rows = await page(
        "spans",
        request,
        conditions,
        (roots) => `SELECT * FROM (${roots}) AS root CROSS JOIN LATERAL (${TOLD_BY_SPANS}) AS told
          ORDER BY ${NEWEST_FIRST}`,
      );
      return rows.map((row) =>
        found<StoredTrace>(row, {
          trace_id: String(row.trace_id),
          name: readText(String(row.name)),
          service: textOrNull(row.service),
          status: String(row.status),
          duration_ms: Number(row.duration) / 1e6,
          span_count: Number(row.span_count),
          error_count: Number(row.error_count),
          services: (JSON.parse(String(row.services)) as string[]).map(readText),
        }),
      );
    },

    async spans(tenant, traceId, limit) {
      const values = [storedText(tenant), storedText(traceId), limit];
      const rows = await connections.read("querying a trace", SPANS_OF_TRACE, values);
      return rows.map((row) =>
        found<StoredSpan>(row, {
          trace_id: String(row.trace_id),
          span_id: String(row.span_id),
          parent_span_id: textOrNull(row.parent_span_id),
          name: readText(String(row.name)),
          kind: String(row.kind),
          status: String(row.status),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          duration_ms: Number(row.duration) / 1e6,
          attributes: JSON.parse(String(row.attributes)) as JsonObject,
          detail: JSON.parse(String(row.detail)) as JsonObject,
        }),
      );
    },

    async spanCount(tenant, traceId) {
      const values = [storedText(tenant), storedText(traceId)];
      const [row] = await connections.read("counting a trace", COUNT_SPANS, values);
      return Number(row?.spans ?? 0);
    },

    async metricNames({ tenant, prefix, after, limit }) {
      const values = [storedText(tenant), storedText(prefix), storedText(after), limit];
      const rows = await connections.read("querying metric names", METRIC_NAMES, values);
      return rows.map((row) => ({
        name: readText(String(row.name)),
        kind: textOrNull(row.kind),
        last_timestamp: formatMoment(nanosToMoment(String(row.time))),
      }));
    },

    async deadLetters(query) {
      return await listDeadLetters(connections, query);
    },

    async deadLetter(id, tenant) {
      return await findDeadLetter(connections, id, tenant);
    },
  };
}

/** A number; a text that is none; null. */
function numberOf({ value, exact }: RawRow): number | string | null {
  if (typeof exact === "string") return readText(exact);
  return value === null || value === undefined ? null : Number(value);
}

function detailOf({ detail }: RawRow): { detail?: JsonObject } {
  return detail === null || detail === undefined ? {} : { detail: JSON.parse(String(detail)) as JsonObject };
}

function textOrNull(value: RawRow[string]): string | null {
  return value === null || value === undefined ? null : readText(String(value));
}

function found<T>(row: RawRow, record: T): Found<T> {
  const key: PageKey = {
    time: String(row.time),
    source: Number(row.source),
    partition: Number(row.partition),
    offset: Number(row.offset),
    idx: Number(row.idx),
  };
  return { key, record };
}
