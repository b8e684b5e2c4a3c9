// Queries on D1. Pages go by the rows' own sort key, so a page is stable while rows are added.
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";
import type { Found, PageKey, PageRequest, QueryStore } from "./storage.ts";

type RawRow = Record<string, D1Value>;

export function createD1QueryStore(db: D1): QueryStore {
  async function page(
    table: "metrics" | "logs" | "events",
    /** Named, since without statistics SQLite walks the tenant's whole time line for a name that is rare in it. */
    index: string | undefined,
    columns: string,
    request: PageRequest,
    filters: { sql: string; values: D1Value[] }[],
  ): Promise<RawRow[]> {
    const where = ["tenant = ?"];
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
    const sql = `SELECT CAST(time AS TEXT) AS time, source, partition, offset, idx, ${columns}
      FROM ${table} ${index === undefined ? "" : `INDEXED BY ${index}`}
      WHERE ${where.join(" AND ")}
      ORDER BY time DESC, source DESC, partition DESC, offset DESC, idx DESC LIMIT ?`;
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
        "name, coalesce(exact, value) AS value, labels",
        query,
        filters,
      );
      return rows.map((row) =>
        found(row, {
          name: String(row.name),
          value: Number(row.value),
          labels: JSON.parse(String(row.labels)),
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
        "level, service, host, message, attributes",
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
  };
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
