// Queries on D1. Pages go by the rows' own sort key, so a page is stable while rows are added.
import type { JsonObject } from "../telemetry/json-value.ts";
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";
import { d1DeadLetters } from "./d1-dead-letters.ts";
import type {
  Found,
  PageKey,
  PageRequest,
  QueryStore,
  StoredMetric,
  StoredSpan,
  StoredTrace,
} from "./storage.ts";
import { formatMoment, nanosToMoment } from "../telemetry/time.ts";

type RawRow = Record<string, D1Value>;

const HIDDEN = "FROM sources WHERE is_visible = 0";
/**
 * Not of an epoch that is still being built. Mostly there is none: that is asked once a query, and no row is looked up
 * (each look-up of NOT IN counts as a row read, which D1 bills).
 */
const isSeen = (rows: string) =>
  `(NOT EXISTS (SELECT 1 ${HIDDEN}) OR ${rows}.source NOT IN (SELECT id ${HIDDEN}))`;

/** Spans of a trace that are looked at for its row in the list: a trace may have very many, and a page many traces. */
const MAX_SUMMED_SPANS = 1_000;

/** Spans of the trace whose root is at hand. Unnamed, SQLite takes the tenant's whole time line for the index. */
const OF_TRACE = `FROM (SELECT o.status, o.service FROM spans AS o INDEXED BY spans_by_trace
    WHERE o.tenant = spans.tenant AND o.trace_id = spans.trace_id AND ${isSeen("o")}
    LIMIT ${MAX_SUMMED_SPANS})`;

/** What is told of a trace, beside its root. */
const TRACE_COLUMNS = `trace_id, name, service, status, duration,
  (SELECT count(*) ${OF_TRACE}) AS span_count,
  (SELECT count(*) ${OF_TRACE} WHERE status = 'error') AS error_count,
  (SELECT json_group_array(DISTINCT service) ${OF_TRACE} WHERE service IS NOT NULL) AS services`;

/** An isolate has 128 MB for all its requests. */
const MAX_TRACE_BYTES = 8_000_000;

const PLACE_ORDER = "spans.time, source, partition, offset, idx";
const SPANS_OF_TRACE = `SELECT CAST(time AS TEXT) AS time, source, partition, offset, idx, trace_id, span_id, parent_span_id,
    name, kind, status, service, host, duration, attributes, detail
  FROM (SELECT *, sum(length(attributes) + length(detail)) OVER (ORDER BY ${PLACE_ORDER}) AS bytes
    FROM spans INDEXED BY spans_by_trace WHERE tenant = ?1 AND trace_id = ?2 AND ${isSeen("spans")}
    ORDER BY ${PLACE_ORDER} LIMIT ?3) AS spans
  WHERE bytes <= ${MAX_TRACE_BYTES} ORDER BY ${PLACE_ORDER}`;

const COUNT_SPANS = `SELECT count(*) AS spans FROM spans INDEXED BY spans_by_trace
  WHERE tenant = ?1 AND trace_id = ?2 AND ${isSeen("spans")}`;

const OF_TENANT = `FROM metrics AS m INDEXED BY metrics_by_name WHERE m.tenant = ?1 AND ${isSeen("m")}`;

/**
 * Jumps from name to name in the index: costs by the names, not by their points. The first jump has one bound, the
 * further one: of two SQLite looks up one, and walks all points from there to the other.
 */
const METRIC_NAMES = `WITH RECURSIVE names (name) AS (
    SELECT CASE WHEN ?3 >= ?2
      THEN (SELECT min(m.name) ${OF_TENANT} AND m.name > ?3)
      ELSE (SELECT min(m.name) ${OF_TENANT} AND m.name >= ?2) END
    UNION ALL
    SELECT (SELECT min(m.name) ${OF_TENANT} AND m.name > names.name) FROM names WHERE names.name IS NOT NULL
    LIMIT ?4
  )
  SELECT name,
    (SELECT CAST(m.time AS TEXT) ${OF_TENANT} AND m.name = names.name ORDER BY m.time DESC LIMIT 1) AS time,
    (SELECT m.kind ${OF_TENANT} AND m.name = names.name ORDER BY m.time DESC LIMIT 1) AS kind
  FROM names WHERE name IS NOT NULL AND substr(name, 1, length(?2)) = ?2`;

export function createD1QueryStore(db: D1): QueryStore {
  async function page(
    table: "metrics" | "logs" | "events" | "spans",
    /** Named, since without statistics SQLite walks the tenant's whole time line for a name that is rare in it. */
    index: string | undefined,
    columns: string,
    request: PageRequest,
    filters: { sql: string; values: D1Value[] }[],
  ): Promise<RawRow[]> {
    const where = ["tenant = ?", isSeen(table)];
    const values: D1Value[] = [request.tenant];
    const add = (sql: string, ...more: D1Value[]) => {
      where.push(sql);
      values.push(...more);
    };
    if (request.from !== undefined) add("time >= CAST(? AS INTEGER)", request.from);
    if (request.to !== undefined) add("time < CAST(? AS INTEGER)", request.to);
    if (request.after !== undefined) {
      const { time, source, partition, offset, idx } = request.after;
      const place = "(time, source, partition, offset, idx) < (CAST(? AS INTEGER), ?, ?, ?, ?)";
      add(place, time, source, partition, offset, idx);
    }
    for (const filter of filters) add(filter.sql, ...filter.values);
    // Ordered by the column, not by the text that stands for it in the answer: no index is in the texts' order.
    const sql = `SELECT CAST(time AS TEXT) AS time, source, partition, offset, idx, ${columns}
      FROM ${table} ${index === undefined ? "" : `INDEXED BY ${index}`}
      WHERE ${where.join(" AND ")}
      ORDER BY ${table}.time DESC, source DESC, partition DESC, offset DESC, idx DESC LIMIT ?`;
    const { results } = await withDeadline(`querying ${table}`, () =>
      db
        .prepare(sql)
        .bind(...values, request.limit)
        .all(),
    );
    return results;
  }

  return {
    async metrics(query) {
      const filters = [];
      if (query.name !== undefined) filters.push({ sql: "name = ?", values: [query.name] });
      for (const [label, value] of Object.entries(query.labels)) {
        filters.push({
          sql: "EXISTS (SELECT 1 FROM json_each(labels) AS l WHERE l.key = ? AND l.value = ?)",
          values: [label, value],
        });
      }
      const rows = await page(
        "metrics",
        query.name === undefined ? undefined : "metrics_by_name",
        "name, value, exact, labels, kind, detail",
        query,
        filters,
      );
      return rows.map((row) =>
        found<StoredMetric>(row, {
          name: String(row.name),
          value: numberOf(row),
          labels: JSON.parse(String(row.labels)),
          ...(row.kind === null ? {} : { kind: String(row.kind) }),
          ...detailOf(row),
        }),
      );
    },

    async logs(query) {
      const filters = [];
      if (query.service !== undefined) filters.push({ sql: "service = ?", values: [query.service] });
      if (query.level !== undefined) filters.push({ sql: "level = ?", values: [query.level.toUpperCase()] });
      if (query.text !== undefined) {
        filters.push({ sql: "instr(lower(message), lower(?)) > 0", values: [query.text] });
      }
      const rows = await page(
        "logs",
        query.service === undefined ? undefined : "logs_by_service",
        "level, service, host, message, attributes, detail",
        query,
        filters,
      );
      return rows.map((row) =>
        found(row, {
          level: String(row.level),
          message: String(row.message),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          attributes: JSON.parse(String(row.attributes)),
          ...detailOf(row),
        }),
      );
    },

    async events(query) {
      const filters = [];
      if (query.eventType !== undefined) filters.push({ sql: "event_type = ?", values: [query.eventType] });
      const rows = await page(
        "events",
        query.eventType === undefined ? undefined : "events_by_type",
        "event_type, id, key, data, attributes",
        query,
        filters,
      );
      return rows.map((row) =>
        found(row, {
          event_type: String(row.event_type),
          data: JSON.parse(String(row.data)),
          id: textOrNull(row.id),
          key: textOrNull(row.key),
          attributes: row.attributes === null ? null : JSON.parse(String(row.attributes)),
        }),
      );
    },

    async traces(query) {
      const filters = [{ sql: "parent_span_id IS NULL", values: [] as D1Value[] }];
      if (query.service !== undefined) filters.push({ sql: "service = ?", values: [query.service] });
      if (query.name !== undefined) filters.push({ sql: "name = ?", values: [query.name] });
      if (query.status !== undefined) filters.push({ sql: "status = ?", values: [query.status] });
      if (query.minDuration !== undefined)
        filters.push({ sql: "duration >= ?", values: [query.minDuration] });
      const rows = await page("spans", "spans_at_root", TRACE_COLUMNS, query, filters);
      return rows.map((row) =>
        found<StoredTrace>(row, {
          trace_id: String(row.trace_id),
          name: String(row.name),
          service: textOrNull(row.service),
          status: String(row.status),
          duration_ms: Number(row.duration) / 1e6,
          span_count: Number(row.span_count),
          error_count: Number(row.error_count),
          services: JSON.parse(String(row.services)),
        }),
      );
    },

    async spans(tenant, traceId, limit) {
      const { results } = await withDeadline("querying a trace", () =>
        db.prepare(SPANS_OF_TRACE).bind(tenant, traceId, limit).all(),
      );
      return results.map((row) =>
        found<StoredSpan>(row, {
          trace_id: String(row.trace_id),
          span_id: String(row.span_id),
          parent_span_id: textOrNull(row.parent_span_id),
          name: String(row.name),
          kind: String(row.kind),
          status: String(row.status),
          service: textOrNull(row.service),
          host: textOrNull(row.host),
          duration_ms: Number(row.duration) / 1e6,
          attributes: JSON.parse(String(row.attributes)),
          detail: JSON.parse(String(row.detail)),
        }),
      );
    },

    async spanCount(tenant, traceId) {
      const { results } = await withDeadline("counting a trace", () =>
        db.prepare(COUNT_SPANS).bind(tenant, traceId).all(),
      );
      return Number(results[0]?.spans ?? 0);
    },

    async metricNames({ tenant, prefix, after, limit }) {
      const { results } = await withDeadline("querying metric names", () =>
        db.prepare(METRIC_NAMES).bind(tenant, prefix, after, limit).all(),
      );
      return results.map((row) => ({
        name: String(row.name),
        kind: textOrNull(row.kind),
        last_timestamp: formatMoment(nanosToMoment(String(row.time))),
      }));
    },

    ...d1DeadLetters(db),
  };
}

/** A number, also where SQLite's own is off by a bit; a text that is none; null. */
function numberOf({ value, exact }: RawRow): number | string | null {
  if (exact === null || exact === undefined) return value === null ? null : Number(value);
  const number = Number(exact);
  return Number.isFinite(number) ? number : String(exact);
}

function detailOf({ detail }: RawRow): { detail?: JsonObject } {
  return detail === null || detail === undefined ? {} : { detail: JSON.parse(String(detail)) };
}

function textOrNull(value: D1Value | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
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
